"""Away for longer than the gateway replays: a named hole, on which hub and workers agree; filled it is not."""

from pathlib import Path

import orjson
import pytest
from house import at, events, house, log

from pine.bus import keys, streams
from pine.core.bar import Bar
from pine.core.period import period
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.hub.aggregator import Aggregator
from pine.hub.clock import TapeClock
from pine.sandbox.market import GeneratedMarket
from pine.sandbox.tape import Tape

LEFT, BACK, LATER = at("2024-03-04T15:20"), at("2024-03-05T20:10"), at("2024-03-05T23:01")
"""The hub goes, comes back 29 hours later, and is there when the second session closes."""


def test_the_hole_is_an_event_and_no_hour_or_day_over_it_is_published(
    market: GeneratedMarket, tape: Tape, tmp_path: Path
) -> None:
    with house(tmp_path, tape, webhooks=False) as desk:
        worker = desk.worker("one")
        hub = desk.hub()
        desk.play(LEFT)
        desk.decided("one", LEFT)
        assert hub.stop() == 0

        desk.configure("clock: tape", "clock: wall")
        hub = desk.start_at("hub", BACK + NS_PER_MINUTE)
        desk.play(BACK)
        desk.published(BACK)
        assert hub.stop() == 0
        assert "gap: longer away than the gateway replays" in log(hub)
        hub = desk.start_at("hub", LATER + NS_PER_MINUTE)
        desk.play(LATER)
        desk.decided("one", LATER)
        assert "gap: " not in log(hub)

        fresh = desk.worker("two")
        desk.decided("two", LATER)
        told = [orjson.loads(fields[b"event"]) for _, fields in streams.read_range(desk.client, keys.EVENTS)]
        gaps = [event for event in told if event["kind"] == "gap"]
        first, last = gaps[0]["first_minute"], gaps[0]["last_minute"]
        assert [(gap["symbol"], gap["first_minute"], gap["last_minute"]) for gap in gaps] == [
            (symbol, first, last) for symbol in ("ES", "GC")
        ]
        assert first == LEFT
        assert BACK - 24 * 60 * NS_PER_MINUTE < last < BACK - 23 * 60 * NS_PER_MINUTE

        whole = unbroken_bars(market)
        rule = desk.config.session_rule("ES")
        for symbol in ("ES", "GC"):
            for timeframe in Timeframe:
                lost = range(period(timeframe, first, rule).start, period(timeframe, last, rule).end)
                expected = [bar for bar in whole if (bar.symbol, bar.timeframe) == (symbol, timeframe)]
                kept = [bar for bar in expected if bar.start not in lost and bar.start < LATER - NS_PER_MINUTE]
                found = [
                    Bar.from_json(fields[b"bar"])
                    for _, fields in streams.read_range(desk.client, keys.bars(symbol, timeframe))
                ]
                assert [bar for bar in found if bar.start < LATER - NS_PER_MINUTE] == kept
                assert len(kept) < len(expected)

        for child in (worker, fresh):
            assert child.stop() == 0
            assert "disagree" not in log(child)
            assert events(child, "worker stopped", alerts=0)


@pytest.mark.long
def test_a_root_that_no_hub_had_for_a_while_has_a_gap_and_no_hour_or_day_over_it(
    market: GeneratedMarket, tape: Tape, tmp_path: Path
) -> None:
    times = [at("2024-03-04T09:30"), at("2024-03-04T10:25"), at("2024-03-04T12:01")]
    with house(tmp_path, tape, webhooks=False) as desk:
        both = desk.config.path.read_text()
        only_es = both.replace(", GC: {}", "").replace("[ES, GC]", "[ES]").replace("[GC]", "[ES]")
        for text, moment in zip((both, only_es, both), times, strict=True):
            desk.config.path.write_text(text)
            hub = desk.hub()
            desk.play(moment)
            desk.published(moment)
            assert hub.stop() == 0
        told = [orjson.loads(fields[b"event"]) for _, fields in streams.read_range(desk.client, keys.EVENTS)]
        assert [(e["kind"], e["symbol"], e["first_minute"]) for e in told] == [("gap", "GC", times[0])]
        whole = {(bar.symbol, bar.timeframe, bar.start): bar for bar in unbroken_bars(market)}
        for symbol, hours in (("ES", [9, 10, 11]), ("GC", [11])):
            found = [
                Bar.from_json(fields[b"bar"])
                for _, fields in streams.read_range(desk.client, keys.bars(symbol, Timeframe.HOUR))
            ]
            assert [bar.timestamp.hour for bar in found if bar.timestamp.hour in (9, 10, 11)] == hours
            assert all(whole[symbol, Timeframe.HOUR, bar.start] == bar for bar in found)
        assert b"left" not in desk.client.hgetall(keys.SYMBOLS)[b"GC"]


def unbroken_bars(market: GeneratedMarket) -> list[Bar]:
    """Return every bar of the two sessions, as a hub that was never away builds them."""
    from pine.core.instruments import spec
    from pine.core.period import SessionRule

    aggregator = Aggregator({s: SessionRule(group=spec(s).group) for s in ("ES", "GC")}, TapeClock())
    aggregator.begin_session(replaying=False)
    aggregator.clock.observe(int(market.trades["ts_recv"][0]))
    for instrument, raw in market.symbols.items():
        aggregator.map_instrument(instrument, raw)
    aggregator.add(market.trades)
    aggregator.heartbeat(LATER + 2_000_000_000)
    return [bar for closed in aggregator.advance() for bar in closed.bars]
