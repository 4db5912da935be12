"""Trimming: nothing goes that anybody needs, and what goes is what nobody does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from market import begin, closed_bars, configure, publish, record

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.cursors import acknowledged, behind, read_cursors
from pine.bus.embedded import EmbeddedServer
from pine.bus.trim import cut_below
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import parse_time
from pine.hub.publisher import read_session
from pine.ops.trim import trim
from pine.orders.entries import Origin, encode

HOUR = 3_600_000
START = parse_time("2024-03-04T00:00") // NS_PER_MS
TEXT = """
data_dir: data
retention: 1d
retention_max: 2d
instruments: {ES: {}}
strategies:
  one: {type: ibs, instruments: [ES]}
  off: {type: ibs, enabled: false, instruments: [ES]}
"""
MINUTES, HOURS = keys.bars("ES", Timeframe.MINUTE), keys.bars("ES", Timeframe.HOUR)
MARKET = (keys.CLOCK, keys.EVENTS, MINUTES, HOURS, keys.volume("ES"), keys.flight("one"))
STEPS = MARKET[:4]
N = 40
"""Entries of each stream, six hours apart: ten days, of which retention covers one and retention_max two."""


def moment(n: int) -> int:
    return START + n * 6 * HOUR


@define
class Group:
    """What a group was handed, as a count from the beginning, and what it has not acknowledged of that."""

    delivered: int = 0
    pending: set[int] = field(factory=set)

    def has_done(self, n: int) -> bool:
        return n < self.delivered and n not in self.pending

    def reached(self) -> int:
        """The entry by which it is judged how far behind it is: the first pending one, else the last delivered one."""
        return min(self.pending, default=self.delivered - 1)


def fill(client: Client, stream: str, groups: dict[str, Group]) -> None:
    """Make a stream and bring its groups to where they are said to be."""
    for n in range(N):
        client.xadd(stream, {"prev": ""}, id=streams.entry_id(moment(n)))
    for name, group in groups.items():
        streams.ensure_group(client, stream, name)
        if group.delivered:
            entries = streams.read_group(client, stream, name, "c", count=group.delivered)
            for n, (identifier, _) in enumerate(entries):
                if n not in group.pending:
                    client.xack(stream, name, identifier)  # type: ignore[attr-defined]


def begun(client: Client, strategy: str, origin: int) -> None:
    client.xadd(keys.ledger(strategy), {"entry": encode(Origin(origin, origin))}, id=f"{origin}-1")


def left(client: Client, stream: str) -> set[int]:
    return {(streams.ms_of(i) - START) // (6 * HOUR) for i, _ in streams.read_range(client, stream)}


def everything(client: Client, archive: Group | None = None) -> None:
    """Make every stream, archived to its end."""
    for stream in MARKET:
        fill(client, stream, {keys.ARCHIVE: archive or Group(N)})
    client.hset(keys.SYMBOLS, mapping={"ES": "{}"})


def told(facts: dict, stream: str) -> dict:
    return next(found for found in facts["streams"] if found["stream"] == stream)


# ---- whatever the groups are, nothing goes that is needed


@st.composite
def groups(draw: st.DrawFn) -> Group:
    delivered = draw(st.integers(0, N) | st.just(N))
    pending = draw(st.sets(st.integers(0, N - 1), max_size=3)) if draw(st.booleans()) else set()
    return Group(delivered, {n for n in pending if n < delivered})


NAMES = (keys.ARCHIVE, keys.ARCHIVE, "one", "off", "gone")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = EmbeddedServer(tmp_path_factory.mktemp("trim") / "data", "everysec")
    server.ensure()
    client = client_for(server.url)
    yield client
    client.close()
    server.stop()


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return configure(tmp_path_factory.mktemp("config"), TEXT)


@pytest.mark.examples(40, long=80)
@given(
    found=st.fixed_dictionaries(
        {s: st.dictionaries(st.sampled_from(NAMES), groups(), max_size=4) for s in MARKET},
    ),
    archived=st.booleans(),
    origins=st.dictionaries(st.sampled_from(["one", "off", "gone"]), st.integers(0, N - 1), max_size=3),
    dry_run=st.booleans(),
)
def test_no_entry_goes_that_is_not_archived_or_that_a_group_that_counts_has_not_acknowledged(
    shared: Client,
    two_days: Config,
    found: dict[str, dict[str, Group]],
    archived: bool,
    origins: dict[str, int],
    dry_run: bool,
) -> None:
    try:
        for stream, known in found.items():
            if archived:
                known.setdefault(keys.ARCHIVE, Group(N))
            fill(shared, stream, known)
        for name, n in origins.items():
            begun(shared, name, moment(n))
        facts = trim(shared, two_days, dry_run=dry_run)
        for stream, known in found.items():
            gone = set(range(N)) - left(shared, stream)
            assert not (dry_run and gone)
            assert dry_run or len(gone) == told(facts, stream)["removed"]
            for n in gone:
                assert known[keys.ARCHIVE].has_done(n)
                assert moment(n) < moment(N - 1) - 24 * HOUR
            for name in ("one", "off", "gone"):
                on_clock = found[keys.CLOCK].get(name)
                progress = on_clock or known.get(name)
                recent = progress is not None and N - 1 - progress.reached() <= 8
                if name != "one" and not recent:
                    continue
                own = known.get(name)
                assert own is None or all(own.has_done(n) for n in gone)
                if stream in STEPS and on_clock is not None:
                    concerned = stream in (keys.CLOCK, keys.EVENTS) or name != "gone" or own is not None
                    assert not concerned or all(n < origins.get(name, N) for n in gone)
    finally:
        shared.delete(*MARKET, *(keys.ledger(name) for name in origins), keys.SYMBOLS)  # type: ignore[attr-defined]


# ---- what goes, and who holds the rest


def test_what_is_archived_read_and_old_goes_in_whole_sessions(client: Client, tmp_path: Path) -> None:
    everything(client)
    facts = trim(client, configure(tmp_path, TEXT))
    limit = moment(N - 1) - 24 * HOUR  # Wednesday 18:00: the session under way then began on Tuesday at 23:00
    begin_of_session = parse_time("2024-03-11T23:00") // NS_PER_MS
    assert limit == parse_time("2024-03-12T18:00") // NS_PER_MS
    for stream in (keys.CLOCK, keys.EVENTS, MINUTES, HOURS):
        assert left(client, stream) == {n for n in range(N) if moment(n) >= begin_of_session}
    assert left(client, keys.volume("ES")) == {n for n in range(N) if moment(n) >= limit}
    assert left(client, keys.flight("one")) == {n for n in range(N) if moment(n) >= limit}
    assert {found["held_by"] for found in facts["streams"]} >= {"retention"}
    again = trim(client, configure(tmp_path, TEXT))
    assert again["removed"] == 0


def test_a_dry_run_tells_the_same_and_removes_nothing(client: Client, tmp_path: Path) -> None:
    everything(client)
    config = configure(tmp_path, TEXT)
    would, did = trim(client, config, dry_run=True), trim(client, config)
    assert would["removed"] == did["removed"] > 100
    assert [evolve_left(found) for found in would["streams"]] == [evolve_left(found) for found in did["streams"]]


def evolve_left(found: dict) -> tuple:
    return found["stream"], found["removed"], found["left"], found["kept_from"], found["held_by"]


def test_a_stream_without_the_archives_group_is_never_trimmed_and_that_is_said(client: Client, tmp_path: Path) -> None:
    for stream in MARKET:
        fill(client, stream, {} if stream == keys.volume("ES") else {keys.ARCHIVE: Group(N)})
    facts = trim(client, configure(tmp_path, TEXT))
    assert left(client, keys.volume("ES")) == set(range(N))
    assert told(facts, keys.volume("ES"))["held_by"] == "not archived: no group archive"
    assert told(facts, MINUTES)["removed"] > 0


def test_a_root_of_which_one_timeframe_is_not_archived_keeps_all_and_the_clock_with_it(
    client: Client, tmp_path: Path
) -> None:
    for stream in MARKET:
        fill(client, stream, {} if stream == HOURS else {keys.ARCHIVE: Group(N)})
    facts = trim(client, configure(tmp_path, TEXT))
    for stream in STEPS:
        assert left(client, stream) == set(range(N))
    assert told(facts, MINUTES)["held_by"] == f"not archived: no group archive ({HOURS})"
    assert told(facts, keys.CLOCK)["held_by"] == f"not archived: no group archive ({HOURS})"


def test_what_the_archive_was_handed_and_has_not_acknowledged_stays(client: Client, tmp_path: Path) -> None:
    fill(client, keys.CLOCK, {keys.ARCHIVE: Group(N)})
    fill(client, keys.flight("one"), {keys.ARCHIVE: Group(30, {7, 20})})
    facts = trim(client, configure(tmp_path, TEXT))
    assert left(client, keys.flight("one")) == set(range(7, N))
    assert told(facts, keys.flight("one"))["held_by"] == "not archived yet"


@pytest.mark.parametrize(("name", "behind_by", "holds"), [("off", 8, True), ("off", 9, False), ("gone", 9, False)])
def test_a_strategy_that_is_not_enabled_holds_on_until_it_is_retention_max_behind(
    name: str, behind_by: int, holds: bool, client: Client, tmp_path: Path
) -> None:
    everything(client)
    streams.ensure_group(client, keys.CLOCK, name, streams.entry_id(moment(N - 1 - behind_by)))
    begun(client, name, moment(0))
    facts = trim(client, configure(tmp_path, TEXT))
    assert (left(client, keys.CLOCK) == set(range(N))) is holds
    assert told(facts, keys.CLOCK)["given_up"] == ([] if holds else [name])
    assert told(facts, keys.CLOCK)["held_by"] == ("warm-up of " + name if holds else "retention (market:ES:1min)")


def test_an_enabled_strategy_holds_on_however_far_it_is_behind(client: Client, tmp_path: Path) -> None:
    everything(client)
    streams.ensure_group(client, keys.CLOCK, "one", streams.entry_id(moment(3)))
    begun(client, "one", moment(2))
    trim(client, configure(tmp_path, TEXT))
    session = parse_time("2024-03-03T23:00") // NS_PER_MS
    assert session < moment(0)
    assert left(client, MINUTES) == set(range(N))
    assert left(client, keys.CLOCK) == set(range(N))
    assert left(client, keys.flight("one")) != set(range(N))


def test_a_strategy_that_is_no_longer_configured_keeps_only_the_roots_that_it_read(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path, TEXT.replace("{ES: {}}", "{ES: {}, GC: {}}"))
    everything(client)
    others = [keys.bars("GC", timeframe) for timeframe in Timeframe]
    for stream in others:
        fill(client, stream, {keys.ARCHIVE: Group(N)})
    for stream in (keys.CLOCK, MINUTES):
        streams.ensure_group(client, stream, "gone", streams.entry_id(moment(N - 2)))
    begun(client, "gone", moment(10))
    facts = trim(client, config)
    assert min(left(client, MINUTES)) == 8  # the session that holds the minute before the origin, Wednesday 12:00
    assert told(facts, HOURS)["held_by"] == f"warm-up of gone ({MINUTES})"
    assert min(left(client, keys.CLOCK)) <= 10
    assert 10 not in left(client, others[0])


def test_ledgers_requests_deliveries_and_leads_stay_whatever_groups_they_have(client: Client, tmp_path: Path) -> None:
    everything(client)
    kept = [keys.control("one"), keys.deliveries("one")]
    for stream in kept:
        fill(client, stream, {keys.ARCHIVE: Group(N), "worker": Group(N)})
    begun(client, "gone", moment(0))
    client.hset(keys.lead("ES"), mapping={str(START): "ESH4"})
    facts = trim(client, configure(tmp_path, TEXT))
    assert all(left(client, stream) == set(range(N)) for stream in kept)
    assert (client.xlen(keys.ledger("gone")), client.hkeys(keys.lead("ES"))) == (1, [str(START).encode()])
    assert {found["stream"] for found in facts["streams"]} == set(MARKET)


def test_without_a_clock_there_is_nothing_to_trim(client: Client, tmp_path: Path) -> None:
    fill(client, keys.flight("one"), {keys.ARCHIVE: Group(N)})
    assert trim(client, configure(tmp_path, TEXT))["streams"] == []
    assert left(client, keys.flight("one")) == set(range(N))


# ---- the last look inside the server


def test_a_cut_is_refused_when_somebody_came_in_since_it_was_decided(client: Client) -> None:
    fill(client, keys.CLOCK, {keys.ARCHIVE: Group(N), "one": Group(5, {3})})
    edge = (moment(4), 0)
    assert cut_below(client, keys.CLOCK, edge).refused == "one is new"
    assert cut_below(client, keys.CLOCK, edge, counted=["one"]).refused == "one has not acknowledged everything"
    begun(client, "two", moment(0))
    cut = cut_below(client, keys.CLOCK, edge, uncounted=["one"], absent=[keys.ledger("two")])
    assert cut.refused == "ledger:two has begun"
    assert left(client, keys.CLOCK) == set(range(N))
    assert cut_below(client, keys.CLOCK, (moment(3), 0), counted=["one"]).removed == 3
    assert cut_below(client, keys.CLOCK, edge, uncounted=["one"]).removed == 1


def test_a_cut_is_refused_without_the_archive_or_without_the_stream(client: Client) -> None:
    fill(client, keys.CLOCK, {"one": Group(N)})
    assert cut_below(client, keys.CLOCK, (moment(4), 0), counted=["one"]).refused == "there is no group archive"
    assert cut_below(client, keys.EVENTS, (moment(4), 0)).refused == "the stream is gone"


# ---- real processes' streams


@pytest.mark.parametrize("stopped_at", [pytest.param(1500, marks=pytest.mark.long), 1991])
def test_a_worker_restarted_after_trimming_decides_as_if_nothing_had_been_trimmed(
    stopped_at: int, tmp_path: Path
) -> None:
    """Its origin is set to the second session, as a rebase would; the first is trimmed, the clock with it."""
    seen = {}
    for trims in (False, True):
        folder = tmp_path / str(trims)
        folder.mkdir()
        server = EmbeddedServer(folder / "data")
        server.ensure()
        client = client_for(server.url)
        config = configure(folder, TRIMMED)
        closed = closed_bars(3)
        publish(client, config, closed)
        origin = second_session(client, config)
        writer = Writer(client, "worker:one", 0)
        writer.append(keys.ledger("one"), streams.entry_id(origin), {"entry": encode(Origin(origin, origin))})
        writer.commit()
        begin(client, config, "one").until_step(stopped_at)
        if trims:
            for stream in market_streams(config):
                archive_everything(client, stream)
            facts = trim(client, config)
            assert told(facts, keys.CLOCK)["removed"] > 1000
            oldest = client.xrange(keys.CLOCK, count=1)[0]
            assert not client.xrange(keys.CLOCK, oldest[1][b"prev"].decode(), oldest[1][b"prev"].decode())
            assert told(facts, keys.bars("ES", Timeframe.MINUTE))["removed"] > 500
        run = begin(client, config, "one").until_caught_up()
        assert run.engine.alerts == []
        assert streams.group_info(client, keys.CLOCK, "one")["lag"] in (0, None)
        seen[trims] = [record(client, stream) for stream in (keys.ledger("one"), keys.flight("one"))]
        client.close()
        server.stop()
    assert len(seen[False][0]) > 5
    assert seen[True] == seen[False]


TRIMMED = """
data_dir: data
retention: 1d
instruments: {ES: {}, GC: {}, 6E: {}}
strategies:
  one: {type: ibs, max_positions: 2, instruments: [ES, GC], params: {entry_setting: none, stop_percent: 0.3}}
"""


SO_FAR = 3600
"""Steps of the generated market until the middle of its third session."""


def second_session(client: Client, config: Config) -> int:
    """Return the first step of the second session, in ms."""
    day = client.xrange(keys.bars("ES", Timeframe.DAY), count=1)[0]
    last = streams.entry_id(streams.ms_of(day[0]) + 24 * HOUR)
    return streams.ms_of(client.xrange(keys.CLOCK, f"({last}", count=1)[0][0])


def market_streams(config: Config) -> list[str]:
    found = [keys.CLOCK, keys.EVENTS]
    for symbol in config.instruments:
        found += [keys.bars(symbol, timeframe) for timeframe in Timeframe] + [keys.volume(symbol)]
    return found


def archive_everything(client: Client, stream: str) -> None:
    streams.ensure_group(client, stream, keys.ARCHIVE, streams.last_id(client, stream) or "0")


def test_a_strategy_that_begins_after_trimming_sees_whole_hours_and_days_only(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TRIMMED)
    publish(client, config, closed_bars(3))
    for stream in market_streams(config):
        archive_everything(client, stream)
    assert trim(client, config)["removed"] > 3000
    run = begin(client, config, "one").until_caught_up()
    assert run.engine.steps == client.xlen(keys.CLOCK)
    assert run.engine.alerts == []


def test_a_hub_finds_the_session_under_way_after_trimming(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, TRIMMED)
    closed = closed_bars(3)
    publish(client, config, closed[:SO_FAR])
    for stream in market_streams(config):
        archive_everything(client, stream)
    last = streams.ms_of(streams.last_id(client, keys.CLOCK) or "0") * NS_PER_MS
    from pine.core.period import session_begin

    begins = {symbol: session_begin(last, config.session_rule(symbol)) for symbol in config.instruments}
    before = {symbol: read_session(client, symbol, start, last) for symbol, start in begins.items()}
    assert all(minutes for minutes, _ in before.values())
    assert trim(client, config)["removed"] > 1000
    assert {symbol: read_session(client, symbol, start, last) for symbol, start in begins.items()} == before
    publish(client, config, closed[SO_FAR:])  # and goes on


# ---- cursors


def test_a_cursor_knows_what_a_group_has_not_acknowledged_also_where_the_server_does_not_count(client: Client) -> None:
    fill(client, keys.CLOCK, {"a": Group(9, {4, 6}), "b": Group(0)})
    streams.ensure_group(client, keys.CLOCK, "c", streams.entry_id(moment(11)))
    cursors = read_cursors(client, keys.CLOCK)
    assert {name: behind(client, keys.CLOCK, cursor) for name, cursor in cursors.items()} == {"a": 33, "b": 40, "c": 28}
    assert streams.group_info(client, keys.CLOCK, "c")["lag"] is None
    reached = {name: acknowledged(client, keys.CLOCK, cursor) for name, cursor in cursors.items()}
    assert reached == {"a": (moment(3), 0), "b": None, "c": (moment(11), 0)}
    assert cursors["a"].needs == (moment(4), 0)
    assert evolve(cursors["a"], oldest_pending=None).needs == (moment(8), 1)
    assert read_cursors(client, keys.EVENTS) == {}
