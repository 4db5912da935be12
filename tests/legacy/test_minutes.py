"""Minutes, rolls, resets and what is left out: the reference, trade by trade, against the hub, batch by batch."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import ESH4, ESM4, GCJ4, MINUTE, NAMES, RULES, SECOND, SPREAD, STRANGER, at, trades

from pine.core.timeframe import NS_PER_HOUR
from pine.hub.aggregator import Aggregator
from pine.hub.clock import TapeClock
from pine.legacy.aggregator import TradeAggregator
from pine.legacy.clock import TapeTime
from pine.legacy.market import Beat, Boundary, Naming, Trade
from pine.legacy.minutes import RootMinutes
from pine.legacy.source import of_array

UNDEF_PRICE, UNDEF_SIZE, UNDEF_TIME = (1 << 63) - 1, (1 << 32) - 1, (1 << 64) - 1
STARTS = ("2024-03-05T22:55", "2024-03-08T21:45", "2024-07-12T20:40")
WRONG = (
    {"price": UNDEF_PRICE},
    {"size": 0},
    {"size": UNDEF_SIZE},
    {"ts_recv": UNDEF_TIME},
    {"ts_recv": 0},
    {"ts_event": UNDEF_TIME},
    {"action": b"A"},
    {"flags": 8},
    {"flags": 8, "ts_recv": 1},
    {"ts_recv": at("2031-01-01")},
)


@st.composite
def tapes(draw: st.DrawFn) -> list[Any]:
    """Trades, names and heartbeats around a session's close, some out of order, some of them nonsense."""
    ts = at(draw(st.sampled_from(STARTS)))
    made: list[Any] = [Naming(number, name) for number, name in NAMES.items()]
    for gap in draw(st.lists(st.sampled_from([0, 1, 20, 59, 61, 200, 900]), min_size=15, max_size=60)):
        ts += gap * SECOND
        kind = draw(st.integers(0, 19))
        if kind == 0:
            made.append(Beat(ts))
        elif kind == 1:
            made.append(Naming(draw(st.sampled_from([ESH4, GCJ4])), draw(st.sampled_from(["ESH4", "GCJ4"]))))
        else:
            row = trades([(ts, draw(_ids), draw(st.integers(1, 40)) / 4, draw(st.integers(1, 9)))])
            row["ts_event"] = ts - draw(st.sampled_from([0, 200_000, 90 * SECOND]))
            if kind == 2:
                for name, value in draw(st.sampled_from(WRONG)).items():
                    row[name] = value
            made.append(row)
    return [*made, Beat(ts + 40 * NS_PER_HOUR)]


_ids = st.sampled_from([ESH4, ESH4, ESH4, ESM4, ESM4, SPREAD, GCJ4, STRANGER])


def through_hub(tape: list[Any], **settings: Any) -> tuple[list[Boundary], dict[str, int]]:
    hub = Aggregator(RULES, TapeClock(), **settings)
    hub.begin_session(replaying=False)
    closed = []
    for item in tape:
        if isinstance(item, np.ndarray):
            hub.add(item)
        elif isinstance(item, Naming):
            hub.map_instrument(*item)
        else:
            hub.heartbeat(item.ts)
        closed += hub.advance()
    found = []
    for item in closed:
        events = {kind: {e.symbol: e.details for e in item.events if e.kind == kind} for kind in ("roll", "reset")}
        found.append(
            Boundary(
                item.boundary,
                {bar.symbol: bar for bar in item.bars if bar.timeframe.value == "1min"},
                {symbol: details["to"] for symbol, details in events["roll"].items()},
                {s: (d["first_minute"], d["last_minute"]) for s, d in events["reset"].items()},
            )
        )
    return [boundary for boundary in found if boundary], {k: v for k, v in hub.counts.items() if v}


def through_reference(
    tape: list[Any], fill_quiet: bool = False, **settings: Any
) -> tuple[list[Boundary], dict[str, int]]:
    found: list[Boundary] = []
    roots = {symbol: RootMinutes(symbol, rule, fill_quiet) for symbol, rule in RULES.items()}
    aggregator = TradeAggregator(roots, TapeTime(), found.append, **settings)
    aggregator.connect(replaying=False)
    for item in tape:
        for record in of_array(item, {}) if isinstance(item, np.ndarray) else [item]:
            aggregator.take(record)
    return [boundary for boundary in found if boundary], {k: v for k, v in aggregator.counts.items() if v}


@given(tapes(), st.sampled_from(["ts_recv", "ts_event"]), st.booleans())
def test_every_tape_makes_the_same_minutes_rolls_and_resets(tape: list[Any], bar_clock: str, fill_quiet: bool) -> None:
    hub = through_hub(tape, bar_clock=bar_clock, fill_quiet=fill_quiet)
    assert through_reference(tape, fill_quiet, bar_clock=bar_clock) == hub


def test_whole_hours_are_told_although_nothing_was_traded() -> None:
    found: list[Boundary] = []
    aggregator = TradeAggregator({"ES": RootMinutes("ES", RULES["ES"])}, TapeTime(), found.append)
    aggregator.connect(replaying=False)
    aggregator.take(Naming(ESH4, "ESH4"))
    start = at("2024-03-05T14:10")
    aggregator.take(Trade(ESH4, 1, 1, "T", 0, start, start))
    aggregator.take(Beat(start + 2 * NS_PER_HOUR))
    assert [boundary.ts for boundary in found] == [start + MINUTE, at("2024-03-05T15:00"), at("2024-03-05T16:00")]


@pytest.mark.parametrize("replaying", [True, False])
def test_a_replay_that_brings_known_minutes_again_adds_nothing(replaying: bool) -> None:
    found: list[Boundary] = []
    aggregator = TradeAggregator({"ES": RootMinutes("ES", RULES["ES"])}, TapeTime(), found.append)
    rows = [(at("2024-03-05T14:00") + n * 20 * SECOND, ESH4, 10 + n, 1) for n in range(12)]
    tape = list(of_array(trades(rows), {ESH4: "ESH4"}))
    aggregator.connect(replaying=False)
    for record in tape[:9]:
        aggregator.take(record)
    aggregator.connect(aggregator.closed_until, replaying=replaying)
    for record in tape:
        aggregator.take(record)
    aggregator.end_replay()
    aggregator.take(Beat(at("2024-03-05T14:06")))
    bars = [boundary.minutes["ES"] for boundary in found if boundary.minutes]
    prices = [(round(bar.open), round(bar.close), bar.volume) for bar in bars]
    assert prices == [(10, 12, 3), (13, 15, 3), (16, 18, 3), (19, 21, 3)]


@given(st.integers(0, 4), st.integers(1, 6), st.integers(0, 4), st.booleans())
def test_no_flat_minute_is_made_inside_a_hole_or_behind_it(
    before: int, length: int, after: int, fill_quiet: bool
) -> None:
    start = at("2024-03-05T14:00")
    first = start + (1 + before) * MINUTE
    last = first + (length - 1) * MINUTE
    tapes = [
        trades([(start, ESH4, 10, 1)]),
        trades([(last + (1 + after) * MINUTE + SECOND, ESH4, 11, 1)]),
    ]
    found: list[Boundary] = []
    reference = TradeAggregator({"ES": RootMinutes("ES", RULES["ES"], fill_quiet)}, TapeTime(), found.append)
    reference.connect(replaying=False)
    hub = Aggregator({"ES": RULES["ES"]}, TapeClock(), fill_quiet=fill_quiet)
    hub.begin_session(replaying=False)
    closed = []
    for number, (tape, reached) in enumerate(zip(tapes, (first, last + 30 * MINUTE), strict=True)):
        if number:
            hub.lose(first, last)
            reference.lose(first, last)
            hub.begin_session(replaying=False, floor=last + MINUTE)
            reference.connect(last + MINUTE, replaying=False)
        hub.map_instrument(ESH4, "ESH4")
        hub.add(tape)
        hub.heartbeat(reached + 2 * SECOND)
        closed += hub.advance()
        for record in [Naming(ESH4, "ESH4"), *of_array(tape, {}), Beat(reached + 2 * SECOND)]:
            reference.take(record)
    bars = [bar for item in closed for bar in item.bars if bar.timeframe.value == "1min"]
    assert [boundary.minutes["ES"] for boundary in found if boundary.minutes] == bars
    assert len(bars) > (before + 20 if fill_quiet else 1)
    assert not any(first <= bar.start <= last for bar in bars)
