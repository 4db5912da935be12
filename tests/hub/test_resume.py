"""A hub that takes up from the streams goes on as the one before it would have."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import ESH4, ESM4, GCJ4, MINUTE, NAMES, RULES, SECOND, SPREAD, at, fresh, lines, play, trades

from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.hub.aggregator import Aggregator, Closed, Event
from pine.hub.clock import TapeClock


def successor(published: Sequence[Closed]) -> Aggregator:
    """Return an aggregator that knows only what is on the streams."""
    last = published[-1].boundary
    leads = {s: {lead.session_start: lead for c in published for lead in c.leads if lead.symbol == s} for s in RULES}
    aggregator = Aggregator(RULES, TapeClock(), leads=leads)
    for symbol, rule in RULES.items():
        begin = session_begin(last, rule)
        inside = [c for c in published if begin < c.boundary <= last]
        minutes = [b for c in inside for b in c.bars if b.timeframe is Timeframe.MINUTE and b.symbol == symbol]
        volume: Counter[str] = Counter()
        for item in inside:
            volume.update(item.volumes.get(symbol, {}))
        holes = [
            (e.details["first_minute"], e.details["last_minute"])
            for c in inside
            for e in c.events
            if e.symbol == symbol and e.kind in ("gap", "reset")
        ]
        aggregator.seed(symbol, minutes, volume, holes, last)
    return aggregator


@st.composite
def tapes(draw: st.DrawFn) -> list[tuple[int, int, float, int]]:
    ts = draw(st.sampled_from([at("2024-03-05T21:30"), at("2024-03-08T20:45"), at("2024-03-10T21:50")]))
    rows = []
    for gap in draw(st.lists(st.integers(0, 500), min_size=20, max_size=120)):
        ts += gap * SECOND
        instrument = draw(st.sampled_from([ESH4, ESH4, ESM4, SPREAD, GCJ4]))
        rows.append((ts, instrument, draw(st.integers(1, 40)) / 4, draw(st.integers(1, 9))))
    return rows


@given(tapes(), st.floats(0.05, 0.95))
def test_whatever_was_published_the_rest_is_that_of_an_unbroken_hub(rows: list, share: float) -> None:
    end = rows[-1][0] + 26 * NS_PER_HOUR
    unbroken = play(fresh(), trades(rows), until=end)
    published = unbroken[: max(1, int(len(unbroken) * share))]
    last = published[-1].boundary
    second = successor(published)
    second.begin_session(replaying=True, floor=last)
    for instrument, name in NAMES.items():
        second.table.add(instrument, name, last)
    replayed = [row for row in rows if row[0] >= last - MINUTE]
    play(second, trades(replayed))
    second.end_replay()
    assert play(second, until=end) == unbroken[len(published) :]


def test_hours_and_days_over_a_hole_are_not_published_and_the_hole_is_an_event() -> None:
    start = at("2024-03-05T14:00")
    first = play(fresh(), trades([(start, ESH4, 10, 1), (start + 5 * MINUTE, ESH4, 11, 1)]))
    second = successor(first)
    last, back = first[-1].boundary, at("2024-03-05T16:20")
    second.lose(last, back - MINUTE)
    second.begin_session(replaying=True, floor=back)
    for instrument, name in NAMES.items():
        second.table.add(instrument, name, last)
    second.add(trades([(back, ESH4, 12, 1), (back + 60 * MINUTE, ESH4, 13, 1)]))
    second.end_replay()
    closed = play(second, until=at("2024-03-06T23:01"))
    assert [b[1] for b in lines(closed)] == [back, back + 60 * MINUTE]
    assert [b[1] for b in lines(closed, "hourly")] == [at("2024-03-05T17:00")]
    assert lines(closed, "daily") == []
    gaps = [(c.boundary, e.symbol) for c in closed for e in c.events if e.kind == "gap"]
    assert gaps == [(back + MINUTE, "ES"), (back + MINUTE, "GC")]


def test_a_restart_after_a_hole_still_publishes_no_day_over_it() -> None:
    start = at("2024-03-05T14:00")
    first = play(fresh(), trades([(start, ESH4, 10, 1), (start + 5 * MINUTE, ESH4, 11, 1)]))
    second = successor(first)
    back = at("2024-03-05T16:20")
    second.lose(first[-1].boundary, back - MINUTE)
    second.begin_session(replaying=False, floor=back)
    for instrument, name in NAMES.items():
        second.table.add(instrument, name, back)
    published = first + play(second, trades([(back, ESH4, 12, 1)]), until=back + 10 * MINUTE)
    third = successor(published)
    third.begin_session(replaying=False, floor=published[-1].boundary)
    for instrument, name in NAMES.items():
        third.table.add(instrument, name, back)
    rest = play(third, trades([(back + 20 * MINUTE, ESH4, 13, 1)]), until=at("2024-03-06T23:01"))
    assert lines(rest, "hourly") == []
    assert lines(rest, "daily") == []


def test_a_replay_that_does_not_begin_on_a_minute_is_refused() -> None:
    with pytest.raises(ValueError, match="whole minute"):
        fresh().begin_session(replaying=True, floor=at("2024-03-05T14:00") + 7)


def test_after_a_hole_over_a_close_the_next_sessions_have_days_and_leads_again() -> None:
    aggregator = fresh()
    play(aggregator, trades([(at("2024-03-05T20:00"), ESH4, 10, 1)]), until=at("2024-03-05T20:05"))
    back = at("2024-03-06T21:00")
    aggregator.lose(aggregator.closed_until, back - MINUTE)
    aggregator.begin_session(replaying=False, floor=back)
    for instrument, name in NAMES.items():
        aggregator.table.add(instrument, name, back)
    rows = [(back + n * NS_PER_HOUR + SECOND, ESH4 if n < 2 else ESM4, 11, 1) for n in range(51)]
    closed = play(aggregator, trades(rows), until=rows[-1][0] + MINUTE)
    starts = [at(f"2024-03-0{day}T23:00") for day in (5, 6, 7)]
    leads = [(lead.session_start, lead.raw_symbol) for c in closed for lead in c.leads if lead.symbol == "ES"]
    assert leads[:3] == list(zip(starts, ["ESH4", "ESH4", "ESM4"], strict=True))
    assert [bar[1] for bar in lines(closed, "daily")] == [starts[2]]  # in the one before the lead was not traded


def test_what_is_announced_comes_last_at_the_next_boundary_of_an_open_market() -> None:
    aggregator = fresh()
    closing = at("2024-03-05T22:00")
    play(aggregator, trades([(closing - 5 * MINUTE, ESH4, 10, 1)]), until=closing - 2 * MINUTE)
    now = aggregator.closed_until
    aggregator.announce(Event("refill", "ES", {}), now + MINUTE)
    aggregator.lose(now - 3 * MINUTE, now, ["GC"])
    aggregator.announce(Event("refill", "GC", {}), closing)
    closed = play(aggregator, until=closing + 62 * MINUTE)
    found = [(item.boundary, event.kind, event.symbol) for item in closed for event in item.events]
    assert found == [
        (now + 2 * MINUTE, "gap", "GC"),
        (now + 2 * MINUTE, "refill", "ES"),
        (closing + 61 * MINUTE, "refill", "GC"),
    ]


def test_holes_that_follow_on_each_other_are_told_as_one() -> None:
    aggregator = fresh()
    play(aggregator, trades([(at("2024-03-05T14:00"), ESH4, 10, 1)]), until=at("2024-03-05T14:05"))
    first = aggregator.closed_until
    aggregator.lose(first, first + MINUTE, ["GC"])
    for n in range(2, 5):  # no connection comes to be meanwhile
        aggregator.lose(first + n * MINUTE, first + n * MINUTE)
    aggregator.begin_session(replaying=False, floor=first + 5 * MINUTE)
    closed = play(aggregator, until=first + 10 * MINUTE)
    found = {(e.symbol, e.details["first_minute"], e.details["last_minute"]) for c in closed for e in c.events}
    assert found == {("ES", first + 2 * MINUTE, first + 4 * MINUTE), ("GC", first, first + 4 * MINUTE)}
