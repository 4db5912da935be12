"""Away for longer than the gateway replays, with Databento Historical at hand: as if the hub had never been away."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from house import House, at, house, log, until
from once import once
from standin import stand_ins

from pine.bus import keys, streams
from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, Timeframe
from pine.history.answer import History
from pine.history.archive import Archive
from pine.history.refill import Refill
from pine.sandbox.demo.record import Record, differences, read_record
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_data import HistoryData
from pine.sandbox.history_faults import HistoryFault
from pine.sandbox.tape import Tape

LEFT, BACK, LATER = at("2024-03-04T15:20"), at("2024-03-05T20:10"), at("2024-03-05T23:01")
Serve = Callable[..., HistoryServer]


@pytest.fixture
def serve(tape: Tape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start the Historical stand-in."""
    with stand_ins(tmp_path, monkeypatch) as start:
        yield partial(start, HistoryData(tape))


@pytest.fixture(scope="module")
def unbroken(tape: Tape, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What a hub that was never away leaves on the streams."""
    return once(tmp_path_factory, "never-away", lambda: never_away(tape, tmp_path_factory.mktemp("unbroken")))


def never_away(tape: Tape, folder: Path) -> Record:
    """Run it."""
    with house(folder, tape, webhooks=False) as desk:
        desk.hub()
        desk.play(LATER)
        desk.published(LATER)
        return market(desk)


def market(desk: House) -> Record:
    """Return everything that a hub publishes."""
    record = read_record(desk.client, desk.config, LATER + NS_PER_MINUTE)
    return {name: entries for name, entries in record.items() if name.startswith("market:")}


def leave(desk: House, gateway: str) -> None:
    """Let a hub follow the market until it goes."""
    hub = desk.hub()
    desk.play(LEFT)
    desk.published(LEFT)
    assert hub.stop() == 0
    desk.configure("clock: tape", "clock: wall")
    desk.configure("databento: {", f'databento: {{historical_gateway: "{gateway}", ')


def go_on(desk: House) -> str:
    """Let a hub come back, and follow the market to its end; return what it logged."""
    hub = desk.start_at("hub", BACK + NS_PER_MINUTE)
    desk.play(BACK)
    desk.published(BACK)
    assert hub.stop() == 0
    text = log(hub)
    hub = desk.start_at("hub", LATER + NS_PER_MINUTE)
    desk.play(LATER)
    desk.published(LATER)
    assert hub.stop() == 0
    return text


def paid(server: HistoryServer) -> list[str]:
    """Return what was bought."""
    return [str(r["fields"]) for r in server.requests if r["endpoint"] == "timeseries.get_range" and r["status"] == 200]


def test_the_streams_are_those_of_a_hub_that_was_never_away(
    tape: Tape, tmp_path: Path, serve: Serve, unbroken: Record
) -> None:
    server = serve()
    with house(tmp_path, tape, webhooks=False) as desk:
        leave(desk, server.gateway)
        text = go_on(desk)
        assert "gap bought" in text
        assert "gap: " not in text
        assert differences(unbroken, market(desk)) == []
    assert len(paid(server)) == 2


@pytest.mark.long
@pytest.mark.parametrize("point", ["facts-written", "clock-written"])
def test_a_hub_that_is_killed_while_it_publishes_what_it_bought_leaves_the_same_and_buys_nothing_twice(
    tape: Tape, tmp_path: Path, serve: Serve, unbroken: Record, point: str
) -> None:
    server = serve()
    with house(tmp_path, tape, webhooks=False) as desk:
        leave(desk, server.gateway)
        desk.pauses.ask("hub", point)
        hub = desk.start_at("hub", BACK + NS_PER_MINUTE)
        desk.caught("hub", point)
        assert desk.client.hget(keys.heartbeat("hub"), "status") in (b"filling", b"running")
        desk.bury(hub, keys.HUB)
        desk.pauses.release("hub", point)
        assert "gap: " not in go_on(desk)
        assert differences(unbroken, market(desk)) == []
    assert max(Counter(paid(server)).values()) == 1


def test_a_hub_that_ends_or_is_killed_while_it_buys_and_while_it_publishes_leaves_the_same_and_buys_nothing_twice(
    tape: Tape, tmp_path: Path, serve: Serve, unbroken: Record
) -> None:
    server = serve("sound@get_range", "timeout@get_range", "timeout:300@get_range")
    with house(tmp_path, tape, webhooks=False) as desk:
        leave(desk, server.gateway)
        for end in (lambda hub: desk.bury(hub, keys.HUB), lambda hub: hub.stop()):
            asked = len(server.requests)
            hub = desk.start_at("hub", BACK + NS_PER_MINUTE)
            until(lambda n=asked: silent(server, n), "the vendor does not answer")
            until(lambda: desk.client.hget(keys.heartbeat("hub"), "status") == b"filling", "the hub says it is filling")
            end(hub)
        assert hub.process.returncode == 0
        desk.pauses.ask("hub", "facts-written")
        hub = desk.start_at("hub", BACK + NS_PER_MINUTE)
        desk.caught("hub", "facts-written")
        assert desk.client.hget(keys.heartbeat("hub"), "status") in (b"filling", b"running")
        desk.bury(hub, keys.HUB)
        desk.pauses.release("hub", "facts-written")
        assert "gap: " not in go_on(desk)
        assert differences(unbroken, market(desk)) == []
    assert max(Counter(paid(server)).values()) == 1


def silent(server: HistoryServer, after: int) -> bool:
    """Tell whether the vendor keeps somebody waiting."""
    return any(request["fault"] == "timeout" for request in server.requests[after:])


@pytest.mark.parametrize("sealed", [pytest.param("before", marks=pytest.mark.long), "after"])
def test_what_could_not_be_filled_in_time_is_named_and_refilled_later_also_by_the_next_hub(
    tape: Tape, tmp_path: Path, serve: Serve, unbroken: Record, sealed: str
) -> None:
    server = serve()
    server.faults.plan([HistoryFault.parse("503")] * 1000)
    with house(tmp_path, tape, webhooks=False) as desk:
        leave(desk, server.gateway)
        desk.configure("hub: {", "hub: {gap_wait_s: 1, ")
        text = go_on(desk)
        assert "gap not filled in time" in text
        gaps = events(desk, "gap")
        assert {gap["symbol"] for gap in gaps} == {"ES", "GC"}
        assert {gap["first_minute"] for gap in gaps} == {LEFT}
        assert events(desk, "refill") == []
        if sealed == "before":
            assert desk.run("archive", "--once").returncode == 0
        server.faults.plan([])
        hub = desk.start_at("hub", LATER + 10 * NS_PER_HOUR)
        until(lambda: goes_on(desk) and len(events(desk, "refill")) == len(gaps), "the holes are refilled")
        desk.bury(hub, keys.HUB)
        if sealed == "after":
            assert desk.run("archive", "--once").returncode == 0
        spans = {(gap["symbol"], gap["first_minute"], gap["last_minute"]) for gap in gaps}
        refills = [Refill.from_event(event) for event in events(desk, "refill")]
        assert {(r.symbol, r.first_minute, r.last_minute) for r in refills} == spans
        archive = Archive.of(desk.config)
        assert archive.verify() == []
        for refill in refills:
            bars = archive.bars(refill.symbol, Timeframe.MINUTE, refill.first_minute, refill.last_minute + 1)
            assert refill.matches(bars)
            assert len(bars) > 100
        history = History.of(desk.config, desk.client)
        for symbol in ("ES", "GC"):
            for timeframe in Timeframe:
                answer = history.bars(symbol, timeframe, at("2024-03-03T23:00"), at("2024-03-05T23:00"))
                assert answer.holes == ()
                whole = unbroken[keys.bars(symbol, timeframe)]
                expected = [Bar.from_json(fields[b"bar"]) for _, fields in whole]
                assert list(answer.bars) == [bar for bar in expected if bar.start < at("2024-03-05T23:00")]
        # A hub that comes later finds that nothing is left to do.
        asked = len(server.requests)
        hub = desk.start_at("hub", LATER + 20 * NS_PER_HOUR)
        later = desk.last(keys.CLOCK) + 30 * NS_PER_MINUTE
        until(lambda: goes_on(desk) and desk.last(keys.CLOCK) > later, "the market goes on")
        until(lambda: desk.client.hget(keys.heartbeat("hub"), "unfilled") == b"0", "no hole is left")
        assert hub.stop() == 0
        assert len(events(desk, "refill")) == len(gaps)
        assert len(server.requests) == asked


def goes_on(desk: House) -> bool:
    """Let another half minute of the market pass."""
    desk.hold.ts += 30 * NS_PER_SECOND
    return True


def events(desk: House, kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind."""
    found = [orjson.loads(fields[b"event"]) for _, fields in streams.read_range(desk.client, keys.EVENTS)]
    return [event for event in found if event["kind"] == kind]


@pytest.mark.long
def test_a_root_that_no_hub_had_for_a_while_has_a_gap_with_no_hour_over_it_and_is_refilled(
    tape: Tape, tmp_path: Path, serve: Serve, unbroken: Record
) -> None:
    server = serve()
    times = [at("2024-03-04T09:30"), at("2024-03-04T10:25"), at("2024-03-04T12:01")]
    with house(tmp_path, tape, webhooks=False) as desk:
        desk.configure("databento: {", f'databento: {{historical_gateway: "{server.gateway}", ')
        both = desk.config.path.read_text()
        only_es = both.replace(", GC: {}", "").replace("[ES, GC]", "[ES]").replace("[GC]", "[ES]")
        for text, moment in zip((both, only_es, both), times, strict=True):
            desk.config.path.write_text(text)
            hub = desk.hub()
            desk.play(moment)
            desk.published(moment)
            if moment == times[-1]:
                until(lambda: goes_on(desk) and events(desk, "refill"), "the hole is refilled")
            assert hub.stop() == 0
        (gap,), (refill,) = events(desk, "gap"), events(desk, "refill")
        names = ("symbol", "first_minute", "last_minute")
        assert [refill[name] for name in names] == [gap[name] for name in names]
        assert (gap["symbol"], gap["first_minute"]) == ("GC", times[0])
        assert refill["minutes"] > 0
        for symbol, hours in (("ES", [9, 10, 11]), ("GC", [11])):
            whole, found = (
                {bar.start: bar for bar in map(hour_of, entries)}
                for entries in (unbroken[keys.bars(symbol, Timeframe.HOUR)], bars_of(desk, symbol))
            )
            assert [bar.timestamp.hour for bar in found.values() if bar.timestamp.hour in (9, 10, 11)] == hours
            assert all(whole[start] == bar for start, bar in found.items())
        assert b"left" not in desk.client.hgetall(keys.SYMBOLS)[b"GC"]


def hour_of(entry: tuple[str, dict[bytes, bytes]]) -> Bar:
    """Return the bar of an entry."""
    return Bar.from_json(entry[1][b"bar"])


def bars_of(desk: House, symbol: str) -> list[tuple[str, dict[bytes, bytes]]]:
    """Return the hours on the stream of a root."""
    return list(streams.read_range(desk.client, keys.bars(symbol, Timeframe.HOUR)))
