"""Traps of consumer groups and of the client library, each sprung on a real server, and what pine does instead."""

import re
import threading
from pathlib import Path

import pytest
import redis
from redis import Redis
from waiting import until

import pine
from pine.bus import keys, streams
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.errors import Conflict, DataError, WentBack

from .proxy import LossyProxy

GROUP = "ibs_a"


def fill(client: Redis, count: int, first: int = 1) -> None:
    """Append clock entries under ids of one millisecond each."""
    for n in range(first, first + count):
        client.xadd(keys.CLOCK, {"prev": f"{n - 1}-0"}, id=f"{n}-0")


def ids(entries: list[streams.Entry]) -> list[str]:
    return [identifier for identifier, _ in entries]


def consumers(client: Redis) -> dict[str, int]:
    """Return how many entries are pending with each consumer."""
    return {about["name"].decode(): about["pending"] for about in client.xinfo_consumers(keys.CLOCK, GROUP)}


def lost_role(client: Redis) -> Lease:
    """Return the lease of a hub whose role and number the server does not know any more."""
    lease = Lease.try_acquire(client, keys.HUB, "one")
    assert isinstance(lease, Lease)
    client.delete(keys.lease(keys.HUB))
    client.set(keys.fence(keys.HUB), lease.token - 1)
    return lease


@pytest.fixture
def writer(client: Redis) -> Writer:
    lease = Lease.try_acquire(client, keys.HUB)
    assert isinstance(lease, Lease)
    return Writer(client, keys.HUB, lease.token)


def test_socket_timeout_a_blocking_read_outlasts_the_librarys_own_limit(server: EmbeddedServer, client: Redis) -> None:
    """The library gives up after 5 s unless it is told otherwise, and then asks again by itself."""
    streams.ensure_group(client, keys.CLOCK, GROUP)
    assert streams.read_group(client, keys.CLOCK, GROUP, "1", block_ms=5_500) == []


def test_socket_timeout_a_blocking_read_ends_with_its_server(server: EmbeddedServer, client: Redis) -> None:
    streams.ensure_group(client, keys.CLOCK, GROUP)
    ended: list[redis.RedisError] = []

    def read() -> None:
        with client_for(server.url) as mine:  # type: ignore[attr-defined]
            try:
                streams.read_group(mine, keys.CLOCK, GROUP, "1", block_ms=0)
            except redis.RedisError as error:
                ended.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    until(lambda: client.info()["blocked_clients"] == 1, "the reader blocks")
    server.stop()
    thread.join()
    server.ensure()
    with pytest.raises(redis.ConnectionError):
        raise ended[0]


def test_hidden_retry_a_write_whose_reply_was_lost_is_not_sent_again_by_the_library(
    server: EmbeddedServer, client: Redis, tmp_path: Path
) -> None:
    proxy = LossyProxy(tmp_path / "proxy.sock", server.socket)
    far = client_for(f"unix://{proxy.path}")
    far.ping()
    proxy.lose_next_reply.set()
    with pytest.raises(redis.ConnectionError):
        far.xadd(keys.HUB_LOG, {"event": "once"})
    far.close()
    proxy.close()
    assert client.xlen(keys.HUB_LOG) == 1


def test_group_at_dollar_the_backlog_is_seen(client: Redis) -> None:
    fill(client, 5)
    client.xgroup_create(keys.CLOCK, "at_dollar", id="$")
    assert streams.read_group(client, keys.CLOCK, "at_dollar", "1", count=9) == [], "the trap"
    streams.ensure_group(client, keys.CLOCK, GROUP, "2-0")
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "1", count=9)) == ["3-0", "4-0", "5-0"]


def test_redelivery_what_was_read_and_not_acknowledged_comes_only_to_whoever_asks_for_it(client: Redis) -> None:
    fill(client, 5)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    streams.read_group(client, keys.CLOCK, GROUP, "1", count=3)
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "2", count=1)) == ["4-0"], "the trap"
    assert ids(streams.claim_predecessors(client, keys.CLOCK, GROUP, "3")) == ["1-0", "2-0", "3-0", "4-0"]


@pytest.mark.parametrize("how", ["trimmed", "deleted"])
def test_empty_body_is_a_loss_that_is_said_and_not_skipped(client: Redis, how: str) -> None:
    fill(client, 5)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    streams.read_group(client, keys.CLOCK, GROUP, "1", count=4)
    if how == "trimmed":
        client.xtrim(keys.CLOCK, minid="3-0", approximate=False)
    else:
        client.xdel(keys.CLOCK, "3-0")
    with pytest.raises(DataError, match=f"{keys.CLOCK} {'1-0' if how == 'trimmed' else '3-0'}: pending in group"):
        streams.claim_predecessors(client, keys.CLOCK, GROUP, "2")


def test_delconsumer_a_consumer_with_pending_entries_is_kept_and_an_empty_one_goes(client: Redis) -> None:
    fill(client, 4)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    for consumer in ("1", "2", "10", "operator"):
        streams.read_group(client, keys.CLOCK, GROUP, consumer)
    client.xack(keys.CLOCK, GROUP, "1-0", "3-0", "4-0")
    streams.read_group(client, keys.CLOCK, GROUP, "11", count=1)
    assert streams.forget_predecessors(client, keys.CLOCK, GROUP, "10") == 1
    kept = consumers(client)
    assert kept == {"2": 1, "10": 0, "operator": 0} | ({"11": 0} if "11" in kept else {})
    assert ids(streams.claim_predecessors(client, keys.CLOCK, GROUP, "10")) == ["2-0"]


def test_delconsumer_a_blocked_read_of_a_removed_consumer_loses_nothing(server: EmbeddedServer, client: Redis) -> None:
    """A stalled holder's read goes on in the server; what it is served must be found by its successor."""
    streams.ensure_group(client, keys.CLOCK, GROUP)
    served: list[list[streams.Entry]] = []

    def stalled() -> None:
        with client_for(server.url) as old:  # type: ignore[attr-defined]
            served.append(streams.read_group(old, keys.CLOCK, GROUP, "1", block_ms=0))

    thread = threading.Thread(target=stalled)
    thread.start()
    until(lambda: client.info()["blocked_clients"] == 1, "the old holder blocks")
    streams.forget_predecessors(client, keys.CLOCK, GROUP, "2")
    fill(client, 2)
    thread.join()
    assert ids(served[0]) == ["1-0"], "the trap: it was served what belongs to its successor"
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "2")) == ["2-0"]
    assert ids(streams.claim_predecessors(client, keys.CLOCK, GROUP, "2")) == ["1-0", "2-0"]


def test_explicit_id_duplicate_older_and_different_are_told_apart(client: Redis, writer: Writer) -> None:
    fill(client, 2)
    texts = set()
    for identifier, previous in (("2-0", "1-0"), ("2-0", "other"), ("1-5", "1-0")):
        with pytest.raises(redis.ResponseError) as refused:
            client.xadd(keys.CLOCK, {"prev": previous}, id=identifier)
        texts.add(str(refused.value))
    assert len(texts) == 1, "the trap"
    writer.append(keys.CLOCK, "2-0", {"prev": "1-0"})
    assert writer.commit().repeated == 1
    writer.append(keys.CLOCK, "2-0", {"prev": "other"})
    with pytest.raises(Conflict, match="another entry stands there"):
        writer.commit()
    writer.append(keys.CLOCK, "1-5", {"prev": "1-0"})
    with pytest.raises(Conflict, match="already at 2-0 and holds nothing under this id"):
        writer.commit()


def test_missing_group_is_told_from_a_server_that_is_away(client: Redis) -> None:
    fill(client, 1)
    for key in (keys.CLOCK, keys.EVENTS):
        with pytest.raises(redis.ResponseError) as refused:
            streams.read_group(client, key, GROUP, "1")
        assert streams.is_groupless(refused.value)
        with pytest.raises(redis.ResponseError) as refused:
            streams.claim_predecessors(client, key, GROUP, "1")
        assert streams.is_groupless(refused.value)


@pytest.mark.parametrize("found", ["no group", "0-0 as the last one", "1-0 not acknowledged", None])
def test_stolen_or_lost_only_the_next_entry_of_a_group_can_be_acknowledged(
    client: Redis, writer: Writer, found: str | None
) -> None:
    fill(client, 2)
    if found != "no group":
        streams.ensure_group(client, keys.CLOCK, GROUP)
    if found in ("1-0 not acknowledged", None):
        streams.read_group(client, keys.CLOCK, GROUP, "1", count=2)
    if found is None:
        client.xack(keys.CLOCK, GROUP, "1-0")
    writer.require_next(keys.CLOCK, GROUP, "2-0")
    writer.append(keys.EVENTS, "2-0", {"event": "{}"})
    writer.acknowledge(keys.CLOCK, GROUP, "2-0")
    if found is None:
        assert writer.commit().added == 1
        assert client.xpending(keys.CLOCK, GROUP)["pending"] == 0
        return
    with pytest.raises(WentBack, match=found):
        writer.commit()
    assert not client.exists(keys.EVENTS)


@pytest.mark.parametrize("lost", ["the stream", "its end"])
def test_went_back_nothing_is_added_to_a_stream_that_lost_what_was_written(
    client: Redis, writer: Writer, lost: str
) -> None:
    for n in (1, 2):
        writer.append(keys.CLOCK, f"{n}-0", {"prev": ""})
        writer.commit()
    client.delete(keys.CLOCK)
    if lost == "its end":
        fill(client, 1)
    writer.append(keys.CLOCK, "3-0", {"prev": "2-0"})
    writer.append(keys.EVENTS, "3-0", {"event": "{}"})
    with pytest.raises(WentBack, match=rf"{keys.CLOCK}: found [01]-0, expected 2-0"):
        writer.commit()
    assert not client.exists(keys.EVENTS)
    assert client.xlen(keys.CLOCK) == (lost == "its end")


def test_went_back_an_emptied_stream_is_not_taken_for_a_lost_one(client: Redis, writer: Writer) -> None:
    writer.append(keys.CLOCK, "1-0", {"prev": ""})
    writer.commit()
    client.xtrim(keys.CLOCK, maxlen=0, approximate=False)
    writer.append(keys.CLOCK, "2-0", {"prev": "1-0"})
    assert writer.commit().added == 1


def test_went_back_a_role_whose_number_the_server_lost_is_kept_if_nobody_has_it(client: Redis) -> None:
    lease = lost_role(client)
    writer = Writer(client, keys.HUB, lease.token)
    writer.append(keys.CLOCK, "1-0", {"prev": ""})
    with pytest.raises(WentBack, match=keys.fence(keys.HUB)):
        writer.commit()
    assert lease.renew()
    writer.append(keys.CLOCK, "1-0", {"prev": ""})
    assert writer.commit().added == 1


def test_went_back_a_role_that_was_given_to_another_meanwhile_is_lost(client: Redis) -> None:
    lease = lost_role(client)
    assert isinstance(Lease.try_acquire(client, keys.HUB, "two"), Lease)
    assert not lease.renew()


def test_flush_stands_nowhere_in_the_code_and_trimming_in_one_place() -> None:
    """A cache flush has cost others their bus; the only stream with a length is the hub's log."""
    found = {
        f"{path.name}: {line.strip()}"
        for path in Path(pine.__file__).parent.rglob("*.*")
        if path.suffix in (".py", ".lua")
        for line in path.read_text().splitlines()
        if re.search(r"flush(all|db)|xtrim|maxlen=[^N]|minid", line, re.IGNORECASE)
    }
    allowed = ("keys.HUB_LOG", "deque(", "trim.lua", "trim.py")
    assert [line for line in found if not any(word in line for word in allowed)] == []
