"""Bars are those of the trades, however these were cut into batches."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import ESH4, ESM4, GCJ4, MINUTE, RULES, SECOND, SPREAD, STRANGER, at, fresh, lines, play, trades

from pine.core.bar import fold
from pine.core.period import period
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.hub.aggregator import Aggregator
from pine.hub.clock import TapeClock

T = at("2024-03-05T14:00")


@st.composite
def tapes(draw: st.DrawFn) -> list[tuple[int, int, float, int]]:
    """Trades of two contracts and a spread over some hours around a session's end, with pauses."""
    start = draw(st.sampled_from([at("2024-03-05T21:30"), at("2024-03-08T20:45"), at("2024-03-11T21:50"), T]))
    gaps = draw(st.lists(st.integers(0, 400), min_size=1, max_size=150))
    ts = start
    rows = []
    for gap in gaps:
        ts += gap * SECOND // 2
        instrument = draw(st.sampled_from([ESH4, ESH4, ESH4, ESM4, SPREAD, GCJ4]))
        rows.append((ts, instrument, draw(st.integers(1, 40)) / 4, draw(st.integers(1, 9))))
    return rows


@given(tapes(), st.data())
def test_any_batching_of_the_same_trades_makes_identical_bars(rows: list, data: st.DataObject) -> None:
    whole = trades(rows)
    end = rows[-1][0] + 26 * NS_PER_HOUR
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=12)))
    pieces = np.split(whole, cuts)
    assert play(fresh(), whole, until=end) == play(fresh(), *pieces, until=end)


@given(tapes())
def test_minutes_equal_a_plain_loop_over_the_trades_of_the_lead(rows: list) -> None:
    """The oracle knows the lead per session from the published table and nothing else."""
    closed = play(fresh(), trades(rows), until=rows[-1][0] + 26 * NS_PER_HOUR)
    leads = {(lead.symbol, lead.session_start): lead.raw_symbol for item in closed for lead in item.leads}
    names = {ESH4: ("ES", "ESH4"), ESM4: ("ES", "ESM4"), GCJ4: ("GC", "GCJ4")}
    rule = fresh().rules["ES"]
    expected: dict[tuple[str, int], list[float]] = {}
    volumes: dict[tuple[str, int], int] = defaultdict(int)
    for ts, instrument, price, size in rows:
        if instrument not in names:
            continue
        symbol, contract = names[instrument]
        minute = ts // MINUTE * MINUTE
        if leads[(symbol, period(Timeframe.DAY, minute, rule).start)] == contract:
            expected.setdefault((symbol, minute), []).append(price)
            volumes[(symbol, minute)] += size
    wanted = sorted((m, s, p[0], max(p), min(p), p[-1], volumes[(s, m)]) for (s, m), p in expected.items())
    assert sorted((b[1], b[0], *b[2:7]) for b in lines(closed)) == wanted


@given(tapes())
def test_volume_is_conserved_per_contract(rows: list) -> None:
    closed = play(fresh(), trades(rows), until=rows[-1][0] + 26 * NS_PER_HOUR)
    names = {ESH4: "ESH4", ESM4: "ESM4", GCJ4: "GCJ4"}
    expected: dict[str, int] = defaultdict(int)
    for _, instrument, _, size in rows:
        if instrument in names:
            expected[names[instrument]] += size
    found: dict[str, int] = defaultdict(int)
    for item in closed:
        for volumes in item.volumes.values():
            for contract, volume in volumes.items():
                found[contract] += volume
    assert found == expected


@given(tapes())
def test_hours_and_days_equal_the_fold_of_their_minutes_and_every_bar_is_sound(rows: list) -> None:
    closed = play(fresh(), trades(rows), until=rows[-1][0] + 26 * NS_PER_HOUR)
    bars = [bar for item in closed for bar in item.bars]
    for bar in bars:
        bar.check()
    for timeframe in (Timeframe.HOUR, Timeframe.DAY):
        groups: dict[tuple[str, int], list] = defaultdict(list)
        for bar in bars:
            if bar.timeframe is Timeframe.MINUTE:
                groups[(bar.symbol, period(timeframe, bar.start, fresh().rules[bar.symbol]).start)].append(bar)
        folded = {place: fold(minutes, timeframe, place[1]) for place, minutes in groups.items()}
        assert {(b.symbol, b.start): b for b in bars if b.timeframe is timeframe} == folded


def test_a_trade_on_a_boundary_opens_the_new_minute() -> None:
    closed = play(fresh(), trades([(T + 59 * SECOND, ESH4, 10, 1), (T + MINUTE, ESH4, 11, 2)]), until=T + 3 * MINUTE)
    assert [(b[1], b[2], b[6]) for b in lines(closed)] == [(T, 10.0, 1), (T + MINUTE, 11.0, 2)]


def test_the_known_example_of_two_minutes() -> None:
    rows = [(T + 10 * SECOND, ESH4, 4000, 1), (T + 45 * SECOND, ESH4, 4001, 2), (T + 65 * SECOND, ESH4, 4002, 1)]
    closed = play(fresh(), trades(rows), until=T + 2 * MINUTE)
    assert lines(closed)[0] == ("ES", T, 4000.0, 4001.0, 4000.0, 4001.0, 3, "ESH4")


def test_a_minute_without_trades_makes_no_bar() -> None:
    closed = play(fresh(), trades([(T, ESH4, 10, 1), (T + 5 * MINUTE, ESH4, 11, 1)]), until=T + 7 * MINUTE)
    assert [b[1] for b in lines(closed)] == [T, T + 5 * MINUTE]


def test_an_open_minute_is_never_handed_out() -> None:
    closed = play(fresh(), trades([(T, ESH4, 10, 1), (T + MINUTE, ESH4, 11, 1)]))
    assert lines(closed) == []
    assert lines(play(fresh(), trades([(T, ESH4, 10, 1), (T + MINUTE + SECOND, ESH4, 11, 1)])))[0][1] == T


def test_spreads_strangers_undefined_prices_and_zero_sizes_are_counted_and_never_in_a_bar() -> None:
    aggregator = fresh()
    rows = [(T + i, ESH4, 10, 1) for i in range(8)]
    batch = trades(rows)
    batch["instrument_id"][1] = SPREAD
    batch["instrument_id"][2] = STRANGER
    batch["price"][3] = (1 << 63) - 1
    batch["size"][4] = 0
    batch["action"][5] = b"C"
    batch["ts_recv"][6] = (1 << 64) - 1
    closed = play(aggregator, batch, until=T + 2 * MINUTE)
    assert lines(closed) == [("ES", T, 10.0, 10.0, 10.0, 10.0, 2, "ESH4")]
    counted = {name: count for name, count in aggregator.counts.items() if count}
    assert counted == {
        "trades": 8,
        "spread": 1,
        "unmapped_instrument": 1,
        "undefined_price": 1,
        "zero_size": 1,
        "not_a_trade": 1,
        "undefined_time": 1,
    }


def test_negative_prices_of_outrights_are_prices() -> None:
    closed = play(fresh(), trades([(T, ESH4, -37.63, 1), (T + 1, ESH4, 0, 1)]), until=T + 2 * MINUTE)
    assert lines(closed)[0][2:6] == (-37.63, 0.0, -37.63, 0.0)


def test_the_legacy_clock_bins_on_event_time() -> None:
    batch = trades([(T + 100_000, ESH4, 10, 1)])  # received just after the boundary, happened just before
    assert lines(play(fresh(), batch, until=T + 2 * MINUTE))[0][1] == T
    assert lines(play(fresh(bar_clock="ts_event"), batch, until=T + 2 * MINUTE))[0][1] == T - MINUTE


def test_quiet_minutes_are_filled_inside_a_session_and_not_across_the_halt_or_the_weekend() -> None:
    friday = at("2024-03-08T21:57")  # the market closes at 22:00 UTC and opens on Sunday at 22:00 UTC
    sunday = at("2024-03-10T22:01")
    rows = [(friday, ESH4, 10, 1), (sunday, ESH4, 11, 1)]
    closed = play(fresh(fill_quiet=True), trades(rows), until=sunday + 3 * MINUTE)
    assert [(b[1], b[6]) for b in lines(closed)] == [
        (friday, 1),
        (friday + MINUTE, 0),
        (friday + 2 * MINUTE, 0),
        (sunday, 1),
        (sunday + MINUTE, 0),
        (sunday + 2 * MINUTE, 0),
    ]


def test_bars_that_close_together_come_in_one_piece_minutes_before_hours_before_days() -> None:
    evening = at("2024-03-05T22:59")
    rows = [(evening - 65 * MINUTE, ESH4, 10, 1), (evening - 90 * MINUTE, GCJ4, 20, 1)]
    closed = play(fresh(), trades(sorted(rows)), until=evening + 2 * MINUTE)
    last = [item for item in closed if item.boundary == at("2024-03-05T23:00")]
    assert [(b.symbol, b.timeframe.value) for b in last[0].bars] == [("ES", "daily"), ("GC", "daily")]


@pytest.mark.parametrize("restarted", [False, True])
def test_no_flat_minute_is_made_inside_a_hole_or_behind_it(restarted: bool) -> None:
    start = at("2024-03-05T14:00")
    aggregator = fresh(fill_quiet=True)
    published = play(aggregator, trades([(start, ESH4, 10, 1)]), until=start + 2 * MINUTE)
    aggregator.heartbeat(start + 5 * MINUTE)
    aggregator.reset("ES")
    hole = (start + 2 * MINUTE, start + 4 * MINUTE)
    if restarted:
        aggregator = fresh(fill_quiet=True, leads={"ES": {lead.session_start: lead for lead in published[0].leads}})
        minutes = [bar for item in published for bar in item.bars if bar.timeframe is Timeframe.MINUTE]
        aggregator.seed("ES", minutes, {"ESH4": 1}, [hole], hole[0])
        aggregator.begin_session(replaying=False, floor=hole[0])
        aggregator.table.add(ESH4, "ESH4", start)
    closed = play(aggregator, trades([(start + 8 * MINUTE, ESH4, 11, 1)]), until=start + 10 * MINUTE)
    assert [bar[1] for bar in lines(published)] == [start, start + MINUTE]
    assert [bar[1] for bar in lines(closed)] == [start + 8 * MINUTE, start + 9 * MINUTE]


def test_a_name_given_before_any_time_is_known_does_not_undo_a_later_one() -> None:
    aggregator = Aggregator(RULES, TapeClock())
    aggregator.begin_session(replaying=False)
    aggregator.map_instrument(ESH4, "ESH4")
    aggregator.heartbeat(at("2024-03-05T14:00"))
    aggregator.map_instrument(ESH4, "ESM4")
    closed = play(aggregator, trades([(at("2024-03-05T14:00:01"), ESH4, 5000.0, 1)]), until=at("2024-03-05T14:02"))
    assert [line[-1] for line in lines(closed)] == ["ESM4"]


@pytest.mark.parametrize("wrong", [{"ts_recv": 1, "flags": 8}, {"ts_recv": 0}, {"ts_event": (1 << 64) - 1}])
def test_short_years_are_resolved_by_the_first_time_that_is_one(wrong: dict[str, int]) -> None:
    aggregator = Aggregator(RULES, TapeClock())
    aggregator.begin_session(replaying=False)
    for number, name in ((ESH4, "ESH4"), (ESM4, "ESM4")):
        aggregator.map_instrument(number, name)
    start = at("2024-03-05T14:00")
    tape = trades([(start, ESM4, 5100.0, 1), (start + SECOND, ESH4, 5000.0, 9)])
    for name, value in wrong.items():
        tape[name][0] = value
    play(aggregator, tape, until=start + 2 * MINUTE)
    assert {outright.contract.year for outright in aggregator.table.outrights} == {2024}
