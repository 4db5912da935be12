"""Reading streams: pages, groups, and what a dead consumer left behind."""

import pytest
from redis import Redis

from pine.bus import keys, streams
from pine.core.errors import DataError

GROUP = "ibs_a"


def fill(client: Redis, count: int, stream: str = keys.CLOCK) -> list[str]:
    """Append entries 1-0, 2-0, … and return their ids."""
    pipeline = client.pipeline(transaction=False)
    for n in range(1, count + 1):
        pipeline.xadd(stream, {"n": n}, id=f"{n}-0")
    return [identifier.decode() for identifier in pipeline.execute()]


def ids(entries: list[streams.Entry]) -> list[str]:
    return [identifier for identifier, _ in entries]


@pytest.mark.parametrize(
    "count", [0, 1, streams.PAGE - 1, streams.PAGE, streams.PAGE + 1, 2 * streams.PAGE, 2 * streams.PAGE + 7]
)
def test_a_range_is_read_whole_however_many_pages_it_has(client: Redis, count: int) -> None:
    written = fill(client, count)
    assert ids(list(streams.read_range(client, keys.CLOCK))) == written


def test_both_ends_of_a_range_are_included(client: Redis) -> None:
    written = fill(client, 5000)
    assert ids(list(streams.read_range(client, keys.CLOCK, "1000-0", "4321-0"))) == written[999:4321]
    assert ids(list(streams.read_range(client, keys.CLOCK, "(1000-0", "(4321-0"))) == written[1000:4320]


def test_entries_of_one_millisecond_stay_in_order_across_pages(client: Redis) -> None:
    pipeline = client.pipeline(transaction=False)
    for n in range(streams.PAGE + 500):
        pipeline.xadd(keys.EVENTS, {"n": n}, id=f"7-{n}")
    pipeline.execute()
    found = list(streams.read_range(client, keys.EVENTS, "7"))
    assert [int(fields[b"n"]) for _, fields in found] == list(range(streams.PAGE + 500))


def test_the_last_id_is_the_newest_and_nothing_of_an_empty_or_absent_stream(client: Redis) -> None:
    assert streams.last_id(client, keys.CLOCK) is None
    fill(client, 12)
    assert streams.last_id(client, keys.CLOCK) == "12-0"
    client.xtrim(keys.CLOCK, maxlen=0, approximate=False)
    assert streams.last_id(client, keys.CLOCK) is None


def test_ids_as_numbers_order_as_the_server_orders_them() -> None:
    texts = ["0-1", "9-0", "10-0", "10-2", "10-10", "11-0"]
    assert sorted(texts, key=streams.id_pair) == texts
    assert streams.id_pair("1700000000000") == (1_700_000_000_000, 0)
    assert streams.ms_of(b"1700000000000-3") == 1_700_000_000_000
    assert streams.entry_id(5) == "5-0"


def test_a_group_is_made_once_and_begins_where_it_was_told(client: Redis) -> None:
    fill(client, 5)
    assert streams.ensure_group(client, keys.CLOCK, GROUP, "3-0")
    assert not streams.ensure_group(client, keys.CLOCK, GROUP, "0")
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "1", count=10)) == ["4-0", "5-0"]


def test_a_group_sees_the_backlog_by_default(client: Redis) -> None:
    fill(client, 3)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    assert len(streams.read_group(client, keys.CLOCK, GROUP, "1", count=10)) == 3


def test_a_group_may_come_before_its_stream(client: Redis) -> None:
    assert streams.ensure_group(client, keys.CLOCK, GROUP)
    fill(client, 1)
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "1")) == ["1-0"]


def test_a_key_that_is_no_stream_is_an_error_and_not_an_existing_group(client: Redis) -> None:
    client.hset(keys.SYMBOLS, mapping={"ES": "{}"})
    with pytest.raises(Exception, match="WRONGTYPE"):
        streams.ensure_group(client, keys.SYMBOLS, GROUP)


def test_new_entries_and_pending_ones_are_told_apart(client: Redis) -> None:
    fill(client, 4)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "1", count=2)) == ["1-0", "2-0"]
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "1", count=9)) == ["3-0", "4-0"]
    assert streams.read_group(client, keys.CLOCK, GROUP, "1", count=9) == []
    client.xack(keys.CLOCK, GROUP, "2-0")
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "1", after="0", count=9)) == ["1-0", "3-0", "4-0"]
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "1", after="1-0", count=1)) == ["3-0"]
    assert streams.read_group(client, keys.CLOCK, GROUP, "2", after="0", count=9) == []


def test_a_blocking_read_without_news_comes_back_empty(client: Redis) -> None:
    streams.ensure_group(client, keys.CLOCK, GROUP)
    assert streams.read_group(client, keys.CLOCK, GROUP, "1", block_ms=1) == []


def test_a_successor_gets_what_dead_consumers_left_in_order(client: Redis) -> None:
    fill(client, 260)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    expected = []
    for n, consumer in enumerate(["1", "2", "1", "3"] * 60):
        (entry,) = streams.read_group(client, keys.CLOCK, GROUP, consumer)
        if n % 5:
            expected.append(entry[0])
        else:
            client.xack(keys.CLOCK, GROUP, entry[0])
    claimed = streams.claim_predecessors(client, keys.CLOCK, GROUP, "4")
    assert ids(claimed) == expected
    assert claimed[0][1] == {b"n": b"2"}
    assert ids(streams.claim_predecessors(client, keys.CLOCK, GROUP, "4")) == expected
    assert ids(streams.read_group(client, keys.CLOCK, GROUP, "4")) == ["241-0"]


def test_claiming_where_nothing_is_pending_takes_nothing(client: Redis) -> None:
    fill(client, 3)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    assert streams.claim_predecessors(client, keys.CLOCK, GROUP, "1") == []
    assert len(streams.read_group(client, keys.CLOCK, GROUP, "1", count=9)) == 3


def test_a_pending_entry_whose_body_was_trimmed_is_not_dropped_in_silence(client: Redis) -> None:
    fill(client, 5)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    streams.read_group(client, keys.CLOCK, GROUP, "1", count=3)
    client.xtrim(keys.CLOCK, minid="4-0", approximate=False)
    with pytest.raises(DataError, match=f"{keys.CLOCK}.*1-0"):
        streams.claim_predecessors(client, keys.CLOCK, GROUP, "2")
    assert client.xpending(keys.CLOCK, GROUP)["pending"] == 3, "whoever looks next must find the loss too"


def test_own_pending_entries_whose_body_was_trimmed_come_back_empty(client: Redis) -> None:
    fill(client, 3)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    streams.read_group(client, keys.CLOCK, GROUP, "1", count=2)
    client.xtrim(keys.CLOCK, minid="2-0", approximate=False)
    own = streams.read_group(client, keys.CLOCK, GROUP, "1", after="0", count=9)
    assert own == [("1-0", {}), ("2-0", {b"n": b"2"})]


def test_entries_read_of_a_fresh_group_is_what_lies_before_its_start(client: Redis) -> None:
    streams.ensure_group(client, keys.EVENTS, GROUP)
    assert streams.entries_read(client, keys.EVENTS, GROUP) == 0
    fill(client, 10)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    assert streams.entries_read(client, keys.CLOCK, GROUP) == 0
    streams.ensure_group(client, keys.CLOCK, "ibs_b", "4-0")
    assert streams.entries_read(client, keys.CLOCK, "ibs_b") == 4
    streams.ensure_group(client, keys.CLOCK, "ibs_c", "10-0")
    assert streams.entries_read(client, keys.CLOCK, "ibs_c") == 10


def test_entries_read_follows_reading(client: Redis) -> None:
    fill(client, 10)
    streams.ensure_group(client, keys.CLOCK, GROUP, "4-0")
    streams.read_group(client, keys.CLOCK, GROUP, "1", count=3)
    assert streams.entries_read(client, keys.CLOCK, GROUP) == 7


def test_entries_read_counts_what_was_trimmed(client: Redis) -> None:
    fill(client, 10)
    streams.ensure_group(client, keys.CLOCK, GROUP)
    streams.read_group(client, keys.CLOCK, GROUP, "1", count=6)
    client.xtrim(keys.CLOCK, minid="4-0", approximate=False)
    assert streams.entries_read(client, keys.CLOCK, GROUP) == 6
    streams.ensure_group(client, keys.CLOCK, "ibs_b", "7-0")
    assert streams.entries_read(client, keys.CLOCK, "ibs_b") == 7
    client.xtrim(keys.CLOCK, maxlen=0, approximate=False)
    streams.ensure_group(client, keys.CLOCK, "ibs_c", "10-0")
    assert streams.entries_read(client, keys.CLOCK, "ibs_c") == 10


class Overtaken:
    """A client beside which a writer goes on as soon as anything was asked about a stream."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def xinfo_stream(self, stream: str) -> object:
        about = self._client.xinfo_stream(stream)
        for n in range(100, 110):
            self._client.xadd(stream, {"n": n}, id=f"{n}-0")
        return about


def test_entries_read_is_right_while_a_writer_goes_on(client: Redis) -> None:
    streams.ensure_group(client, keys.CLOCK, GROUP, "5-0")
    for n in range(1, 4):
        client.xadd(keys.CLOCK, {"n": n}, id=f"{n}-0")
    assert streams.entries_read(Overtaken(client), keys.CLOCK, GROUP) == 3
