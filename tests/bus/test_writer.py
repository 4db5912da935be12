"""Fenced writing: repeats do no harm, contradictions stop the writer, a newer holder shuts the older one out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis import Redis

from pine.bus import keys, streams
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease
from pine.bus.writer import MAX_OPERATIONS, Writer, Written
from pine.core.errors import BusError, Conflict, Fenced
from pine.core.timeframe import Timeframe

from .proxy import LossyProxy

BARS = keys.bars("ES", Timeframe.MINUTE)


@pytest.fixture
def lease(client: Redis) -> Lease:
    lease = Lease.try_acquire(client, keys.HUB)
    assert isinstance(lease, Lease)
    return lease


@pytest.fixture
def writer(client: Redis, lease: Lease) -> Writer:
    return Writer(client, keys.HUB, lease.token)


@pytest.fixture
def successor(client: Redis, lease: Lease, writer: Writer) -> Writer:
    """A writer that took the role over; `writer` is behind the times."""
    lease.release()
    newer = Lease.try_acquire(client, keys.HUB)
    assert isinstance(newer, Lease)
    assert newer.token > writer.token
    return Writer(client, keys.HUB, newer.token)


def ids(client: Redis, stream: str) -> list[str]:
    return [identifier for identifier, _ in streams.read_range(client, stream)]


def test_new_entries_count_as_added_and_equal_ones_as_repeated(writer: Writer) -> None:
    writer.append(BARS, "1000-0", {"bar": b"a"})
    writer.append(BARS, "2000-0", {"bar": b"b"})
    assert writer.commit() == Written(added=2, repeated=0)
    writer.append(BARS, "2000-0", {"bar": b"b"})
    writer.append(BARS, "3000-0", {"bar": b"c"})
    assert writer.commit() == Written(added=1, repeated=1)


def test_an_empty_batch_writes_nothing(writer: Writer, client: Redis) -> None:
    assert writer.commit() == Written(0, 0)
    assert not client.exists(BARS)


def test_a_batch_is_written_once_and_not_again_by_the_next_commit(writer: Writer) -> None:
    writer.append(BARS, "1000-0", {"bar": b"a"})
    writer.commit()
    assert writer.commit() == Written(0, 0)


def test_entries_stand_under_their_id_with_the_token_of_their_writer(writer: Writer, client: Redis) -> None:
    writer.append(BARS, "1000-0", {"bar": b"a"})
    writer.commit()
    assert client.xrange(BARS) == [(b"1000-0", {b"bar": b"a", b"fence": str(writer.token).encode()})]


def test_an_equal_entry_of_an_earlier_holder_is_a_repeat(writer: Writer, lease: Lease, client: Redis) -> None:
    writer.append(BARS, "1000-0", {"bar": b"a", "more": "text"})
    writer.commit()
    lease.release()
    newer = Lease.try_acquire(client, keys.HUB)
    assert isinstance(newer, Lease)
    later = Writer(client, keys.HUB, newer.token)
    later.append(BARS, "1000-0", {"more": "text", "bar": b"a"})
    assert later.commit() == Written(added=0, repeated=1)


@pytest.mark.parametrize(
    "other",
    [{"bar": b"b"}, {"bar": b"a", "more": b""}, {"other": b"a"}, {}],
    ids=["value", "one field more", "field", "field missing"],
)
def test_a_different_entry_is_a_conflict_that_says_where_and_what_stands_there(
    writer: Writer, client: Redis, other: dict[str, bytes]
) -> None:
    writer.append(BARS, "1000-0", {"bar": b"a"})
    writer.commit()
    writer.append(BARS, "1000-0", other)  # type: ignore[arg-type]
    with pytest.raises(Conflict) as caught:
        writer.commit()
    assert str(caught.value) == f"{BARS} 1000-0: another entry stands there: bar a fence {writer.token}"
    assert client.xlen(BARS) == 1


def test_an_older_id_is_a_conflict_that_says_how_far_the_stream_is(writer: Writer, client: Redis) -> None:
    writer.append(BARS, "5000-0", {"bar": b"a"})
    writer.commit()
    writer.append(BARS, "4000-0", {"bar": b"late"})
    with pytest.raises(Conflict, match=rf"{BARS} 4000-0: .*5000-0"):
        writer.commit()
    assert ids(client, BARS) == ["5000-0"]


def test_an_id_below_a_trimmed_stream_is_a_conflict_too(writer: Writer, client: Redis) -> None:
    writer.append(BARS, "5000-0", {"bar": b"a"})
    writer.commit()
    client.xtrim(BARS, maxlen=0, approximate=False)
    writer.append(BARS, "5000-0", {"bar": b"a"})
    with pytest.raises(Conflict, match=rf"{BARS} 5000-0"):
        writer.commit()
    assert client.xlen(BARS) == 0


def test_nothing_that_comes_after_a_conflict_in_a_batch_is_written(writer: Writer, client: Redis) -> None:
    writer.append(BARS, "1000-0", {"bar": b"a"})
    writer.commit()
    writer.append(BARS, "1000-0", {"bar": b"b"})
    writer.append(keys.CLOCK, "61000-0", {"prev": ""})
    writer.set_once(keys.lead("ES"), "0", "ESH4")
    with pytest.raises(Conflict):
        writer.commit()
    assert not client.exists(keys.CLOCK, keys.lead("ES"))


def test_a_newer_token_fences_the_older_writer_off_and_nothing_is_written(
    writer: Writer, successor: Writer, client: Redis
) -> None:
    streams.ensure_group(client, keys.CLOCK, "ibs_a")
    writer.append(BARS, "1000-0", {"bar": b"a"})
    writer.set_once(keys.lead("ES"), "0", "ESH4")
    writer.move_group(keys.CLOCK, "ibs_a", "9000-0", 9)
    with pytest.raises(Fenced, match=rf"hub: token {writer.token} .* {successor.token};"):
        writer.commit()
    assert not client.exists(BARS, keys.lead("ES"))
    assert streams.group_info(client, keys.CLOCK, "ibs_a")["last-delivered-id"] == b"0-0"


def test_a_fenced_writer_cannot_even_repeat_what_stands_there(writer: Writer, successor: Writer) -> None:
    successor.append(BARS, "1000-0", {"bar": b"a"})
    successor.commit()
    writer.append(BARS, "1000-0", {"bar": b"a"})
    with pytest.raises(Fenced):
        writer.commit()


def test_roles_do_not_fence_each_other(writer: Writer, client: Redis) -> None:
    for _ in range(3):
        other = Lease.try_acquire(client, "worker:ibs_a")
        assert isinstance(other, Lease)
        other.release()
    writer.append(BARS, "1000-0", {"bar": b"a"})
    assert writer.commit() == Written(added=1)


def test_a_field_is_set_once(writer: Writer, client: Redis) -> None:
    writer.set_once(keys.lead("ES"), "0", "ESH4")
    assert writer.commit() == Written(added=1)
    writer.set_once(keys.lead("ES"), "0", b"ESH4")
    assert writer.commit() == Written(repeated=1)
    writer.set_once(keys.lead("ES"), "0", "ESM4")
    with pytest.raises(Conflict, match=rf"{keys.lead('ES')} 0: .*ESH4"):
        writer.commit()
    assert client.hgetall(keys.lead("ES")) == {b"0": b"ESH4"}


def test_acknowledging_and_moving_leave_nothing_pending_and_the_right_lag(writer: Writer, client: Redis) -> None:
    for n in range(1, 6):
        writer.append(keys.CLOCK, f"{n}000-0", {"prev": f"{n - 1}000-0"})
        writer.append(BARS, f"{n}000-0", {"bar": b"x"})
    writer.commit()
    for stream in (keys.CLOCK, BARS):
        streams.ensure_group(client, stream, "ibs_a")
    read = streams.read_group(client, keys.CLOCK, "ibs_a", "1", count=2)
    for done, (identifier, _) in enumerate(read, start=1):
        writer.acknowledge(keys.CLOCK, "ibs_a", identifier)
        writer.move_group(BARS, "ibs_a", identifier, done)
    assert writer.commit() == Written(0, 0)
    for stream in (keys.CLOCK, BARS):
        info = streams.group_info(client, stream, "ibs_a")
        assert (info["pending"], info["lag"], info["entries-read"]) == (0, 3, 2)
        assert info["last-delivered-id"] == b"2000-0"


def test_a_batch_of_many_parts_arrives_whole_and_in_order(writer: Writer, client: Redis) -> None:
    count = 2 * MAX_OPERATIONS + 345
    for n in range(1, count + 1):
        writer.append(BARS, f"{n}-0", {"bar": str(n)})
    assert writer.commit() == Written(added=count)
    assert ids(client, BARS) == [f"{n}-0" for n in range(1, count + 1)]


def test_a_batch_on_many_streams_reaches_each(writer: Writer, client: Redis) -> None:
    names = [keys.ledger(f"s{n}") for n in range(300)]
    for name in names:
        writer.append(name, "1-0", {"entry": name})
    assert writer.commit() == Written(added=300)
    assert [client.xrange(name)[0][1][b"entry"].decode() for name in names] == names


def test_an_automatic_id_follows_the_newest(writer: Writer, client: Redis) -> None:
    for n in range(3):
        writer.append(keys.deliveries("ibs_a"), "*", {"n": str(n)})
    assert writer.commit() == Written(added=3)
    found = client.xrange(keys.deliveries("ibs_a"))
    assert [fields[b"n"] for _, fields in found] == [b"0", b"1", b"2"]
    assert len({identifier for identifier, _ in found}) == 3


@pytest.mark.parametrize("value", [bytes(range(256)), b"", b"\x00", "ü €\r\n".encode(), b"\xff\xfe" * 40_000])
def test_values_come_back_byte_for_byte_and_compare_byte_for_byte(writer: Writer, client: Redis, value: bytes) -> None:
    writer.append(BARS, "1000-0", {"bar": value})
    writer.commit()
    assert client.xrange(BARS)[0][1][b"bar"] == value
    writer.append(BARS, "1000-0", {"bar": value})
    assert writer.commit() == Written(repeated=1)
    writer.append(BARS, "1000-0", {"bar": value + b"\x00"})
    with pytest.raises(Conflict):
        writer.commit()


@pytest.fixture
def proxy(server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LossyProxy]:
    monkeypatch.chdir(tmp_path)  # a relative path is short enough for a socket
    proxy = LossyProxy(Path("proxy.sock"), server.socket)
    yield proxy
    proxy.close()


def test_a_batch_whose_reply_was_lost_is_sent_again_without_harm(
    client: Redis, lease: Lease, proxy: LossyProxy
) -> None:
    streams.ensure_group(client, keys.CLOCK, "ibs_a")
    Writer(client, keys.HUB, lease.token).commit()
    far = client_for(f"unix://{proxy.path.absolute()}")
    writer = Writer(far, keys.HUB, lease.token)
    writer.append(keys.CLOCK, "500-0", {"prev": ""})  # so that the server has the script
    writer.commit()
    streams.read_group(client, keys.CLOCK, "ibs_a", "1")
    writer.append(BARS, "1000-0", {"bar": b"a"})
    writer.append(keys.CLOCK, "1000-0", {"prev": "500-0"})
    writer.set_once(keys.lead("ES"), "0", "ESH4")
    writer.acknowledge(keys.CLOCK, "ibs_a", "500-0")
    writer.move_group(keys.CLOCK, "ibs_a", "500-0", 1)
    sent = list(writer.operations)
    proxy.lose_next_reply.set()
    with pytest.raises(redis.ConnectionError):
        writer.commit()
    assert client.xlen(BARS) == 1, "the server was to have the batch, only the answer was to be lost"
    writer.operations = sent
    assert writer.commit() == Written(added=0, repeated=3)
    assert (client.xlen(BARS), client.xlen(keys.CLOCK)) == (1, 2)
    info = streams.group_info(client, keys.CLOCK, "ibs_a")
    assert (info["pending"], info["lag"]) == (0, 1)
    far.close()


def test_a_server_without_memory_is_named_and_not_taken_for_a_contradiction(writer: Writer, client: Redis) -> None:
    writer.append(BARS, "1000-0", {"bar": b"a"})
    writer.commit()
    writer.append(BARS, "2000-0", {"bar": b"b"})
    client.config_set("maxmemory", 1)
    with pytest.raises((BusError, redis.RedisError), match="maxmemory") as caught:
        writer.commit()
    assert not isinstance(caught.value, Conflict)
