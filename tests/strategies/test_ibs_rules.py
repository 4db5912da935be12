"""The IBS rules: every entry condition, every exit and their order."""

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from pine.strategies.account import Position
from pine.strategies.ibs_rules import (
    IbsParams,
    IbsState,
    entry_facts,
    exit_reason,
)

from .hours import HOUR, hour, ns, state_of

# ---- entry

QUICK = {"pivot_left": 1, "pivot_right": 1}
# (high, low, close): the second bar makes a pivot high of 12, the third a pivot low of 7
SWING = [(10.0, 8.0, 9.0), (12.0, 9.0, 10.0), (11.0, 7.0, 9.0), (11.5, 8.0, 8.35)]


def test_weak_close_inside_the_range_is_bought() -> None:
    facts = entry_facts(state_of(IbsParams(**QUICK), SWING, "2024-01-02T10:00"))
    assert facts == {"ibs": pytest.approx(0.1), "close": 8.35, "pivot_low": 7.0, "pivot_high": 12.0}


@pytest.mark.parametrize(
    ("low", "high", "bought"),
    [(0.0, 0.2, True), (0.25, 0.5, True), (0.0, 0.25, True), (0.26, 0.5, False), (0.0, 0.24, False)],
)
def test_ibs_must_lie_in_its_band_edges_included(low: float, high: float, bought: bool) -> None:
    params = IbsParams(**QUICK, ibs_entry_low=low, ibs_entry_high=high)
    close = 8.0 + 0.25 * 4.0 if high != 0.2 else 8.5
    bars = [*SWING[:3], (12.0, 8.0, close)]
    assert (entry_facts(state_of(params, bars, "2024-01-02T10:00")) is not None) is bought


@pytest.mark.parametrize(
    ("last", "bought"),
    [
        ((11.5, 7.0, 7.0), True),  # on the pivot low itself
        ((11.5, 6.9, 6.95), False),  # below it
        ((30.0, 11.0, 12.0), True),  # on the pivot high itself
        ((30.0, 12.0, 12.05), False),  # above it
    ],
)
def test_inside_range_needs_a_close_between_the_last_pivots_edges_included(
    last: tuple[float, float, float], bought: bool
) -> None:
    # the fourth bar confirms the pivot low; the fifth is judged and confirms nothing new
    bars = [*SWING[:3], (11.0, 8.0, 9.0), last]
    assert (entry_facts(state_of(IbsParams(**QUICK), bars, "2024-01-02T10:00")) is not None) is bought


@pytest.mark.parametrize("missing", ["high", "low"])
def test_inside_range_needs_both_pivots(missing: str) -> None:
    # steadily rising lows make no pivot low, steadily falling highs no pivot high
    rising = [(10.0, 5.0, 6.0), (12.0, 6.0, 7.0), (11.0, 7.0, 7.1)]
    falling = [(12.0, 6.0, 7.0), (11.0, 5.0, 6.0), (10.0, 5.5, 5.6)]
    state = state_of(IbsParams(**QUICK), rising if missing == "low" else falling, "2024-01-02T10:00")
    assert bool(state.pivots.highs) is (missing == "low")
    assert bool(state.pivots.lows) is (missing == "high")
    assert entry_facts(state) is None


def test_no_extra_condition_needs_no_pivots() -> None:
    params = IbsParams(entry_setting="none")
    assert entry_facts(state_of(params, [(10.0, 8.0, 8.2)], "2024-01-02T10:00")) == {
        "ibs": pytest.approx(0.1),
        "close": 8.2,
    }


@pytest.mark.parametrize(
    ("second_peak", "last_high", "bought"),
    [
        (13.0, 13.5, True),
        (13.0, 13.0, False),  # the bar must be above the last pivot high, not on it
        (12.0, 12.5, False),  # an equal pivot high is no rise
        (11.5, 13.5, False),
    ],
)
def test_hh_above_needs_rising_pivot_highs_and_a_bar_above(second_peak: float, last_high: float, bought: bool) -> None:
    bars = [
        (10.0, 8.0, 9.0),
        (12.0, 8.0, 9.0),
        (11.0, 8.0, 9.0),
        (second_peak, 8.0, 9.0),
        (10.5, 8.0, 9.0),
        (last_high, 8.0, 8.1),
    ]
    state = state_of(IbsParams(**QUICK, entry_setting="hh above"), bars, "2024-01-02T10:00")
    facts = entry_facts(state)
    assert (facts is not None) is bought
    if facts is not None:
        assert (facts["previous_pivot_high"], facts["pivot_high"]) == (12.0, 13.0)


def test_hh_above_needs_two_pivot_highs() -> None:
    bars = [(10.0, 8.0, 9.0), (12.0, 8.0, 9.0), (11.0, 8.0, 9.0), (13.0, 8.0, 8.1)]
    state = state_of(IbsParams(**QUICK, entry_setting="hh above"), bars, "2024-01-02T10:00")
    assert list(state.pivots.highs) == [12.0]
    assert entry_facts(state) is None


WINTER, SUMMER = "2024-01-09", "2024-07-09"


@pytest.mark.parametrize(
    ("clock", "day", "refused_utc"),
    [
        # bars that close at 15:00 and 16:00 of the clock; 17:00 is allowed again
        ("UTC", WINTER, {15, 16}),
        ("UTC", SUMMER, {15, 16}),
        ("America/Chicago", WINTER, {21, 22}),
        ("America/Chicago", SUMMER, {20, 21}),
    ],
)
def test_default_windows_exclude_their_end_on_either_clock(clock: Any, day: str, refused_utc: set[int]) -> None:
    params = IbsParams(clock=clock, entry_setting="none")
    refused = {h for h in range(24) if entry_facts(state_of(params, [(10.0, 8.0, 8.0)], f"{day}T{h:02d}:00")) is None}
    assert refused == refused_utc


def test_windows_follow_chicago_through_the_change_of_its_clock() -> None:
    params = IbsParams(clock="America/Chicago", entry_setting="none", windows=["09:00-10:00"])

    def allowed(closes_at: str) -> bool:
        return entry_facts(state_of(params, [(10.0, 8.0, 8.0)], closes_at)) is not None

    assert allowed("2024-03-08T15:00")  # Friday before: 09:00 is 15:00 UTC
    assert not allowed("2024-03-08T14:00")
    assert allowed("2024-03-11T14:00")  # Monday after: 14:00 UTC
    assert not allowed("2024-03-11T15:00")


def test_without_windows_nothing_is_bought() -> None:
    params = IbsParams(entry_setting="none", windows=[])
    assert entry_facts(state_of(params, [(10.0, 8.0, 8.0)], "2024-01-02T10:00")) is None


# ---- exit

ENTRY_HOUR = ns("2024-01-02T01:00")
QUIET = (100.4, 99.6, 100.0)  # IBS 0.5, a long way from stop and target


def position(entered: int = ENTRY_HOUR, price: float = 100.0) -> Position:
    return Position("ES", "ESZ4", 1, price, entered, "x-1")


def verdict(params: IbsParams, bars: Sequence[tuple[float, float, float]], entered: int = ENTRY_HOUR) -> str | None:
    """Return the exit reason at the last of hourly bars, the first of which starts at the hour of the fill."""
    state = IbsState(params)
    for i, bar in enumerate(bars):
        state.update(hour(ENTRY_HOUR + i * HOUR, *bar))
    found = exit_reason(state, position(entered))
    return None if found is None else found[0]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ((99.6, 98.9, 99.0), "stop loss"),  # on the stop
        ((99.6, 98.9, 99.01), None),  # just above it, though the low was below: closes only
        ((102.0, 100.9, 101.0), "take profit"),  # on the target
        ((102.0, 100.9, 100.99), None),
        ((100.5, 99.5, 100.3), "IBS exit"),  # IBS 0.8
        ((100.5, 99.5, 100.29), None),
        ((100.5, 99.5, 100.5), "IBS exit"),  # IBS 1
        (QUIET, None),
    ],
)
def test_stop_target_and_ibs_by_hand(last: tuple[float, float, float], reason: str | None) -> None:
    # 0.8 of a range of one point from 99.5 is 100.3; a hair of rounding lies below it
    params = IbsParams(ibs_exit_low=0.7999999)
    assert verdict(params, [QUIET, last]) == reason


def test_nothing_is_judged_at_the_close_of_the_hour_that_holds_the_fill() -> None:
    stopped = (99.0, 90.0, 90.0)
    eager = IbsParams(bar_stop_bars=1, auto_close_time="02:00")  # the fill's hour closes at 02:00
    assert verdict(eager, [stopped]) is None
    assert verdict(eager, [QUIET, stopped]) == "stop loss"


@pytest.mark.parametrize(("minute", "held"), [(0, 1), (1, 1), (59, 1), (60, 0)])
def test_hour_of_the_fill_is_the_one_that_holds_its_minute(minute: int, held: int) -> None:
    state = IbsState(IbsParams())
    state.update(hour(ENTRY_HOUR, *QUIET))
    state.update(hour(ENTRY_HOUR + HOUR, *QUIET))
    assert state.bars_since(ENTRY_HOUR + minute * HOUR // 60) == held


@pytest.mark.parametrize("bars", [1, 2, 8])
def test_bar_stop_counts_completed_hours_after_the_one_of_the_fill(bars: int) -> None:
    params = IbsParams(bar_stop_bars=bars, enable_auto_close=False)
    assert verdict(params, [QUIET] * bars) is None
    assert verdict(params, [QUIET] * (bars + 1)) == "bar stop"
    assert verdict(params, [QUIET] * (bars + 5)) == "bar stop"


def test_bar_stop_counts_bars_and_not_hours_on_the_clock() -> None:
    params = IbsParams(bar_stop_bars=2, enable_auto_close=False)
    state = IbsState(params)
    state.update(hour(ENTRY_HOUR, *QUIET))
    state.update(hour(ENTRY_HOUR + 50 * HOUR, *QUIET))  # after a weekend
    assert exit_reason(state, position()) is None
    state.update(hour(ENTRY_HOUR + 51 * HOUR, *QUIET))
    found = exit_reason(state, position())
    assert found is not None
    assert found[0] == "bar stop"
    assert found[1]["bars_held"] == 2


def test_first_rule_that_holds_wins() -> None:
    """One bar that fulfils every rule on its side, then the same with the winner switched off, down to the last."""
    fill, last = (100.4, 99.6, 100.0), ns("2024-01-02T03:00")

    def reason(bar: tuple[float, float, float], **off: bool) -> str | None:
        params = IbsParams(bar_stop_bars=1, auto_close_time="03:00", **off)
        state = IbsState(params)
        state.update(hour(last - 2 * HOUR, *fill))
        state.update(hour(last - HOUR, *bar))
        found = exit_reason(state, position())
        return None if found is None else found[0]

    down, up = (98.5, 95.0, 98.5), (102.0, 100.0, 102.0)  # both close on their high: IBS 1
    assert reason(down) == "stop loss"
    assert reason(up) == "take profit"
    assert reason(down, enable_stop=False) == "IBS exit"
    assert reason(up, enable_target=False) == "IBS exit"
    off = {"enable_stop": False, "enable_target": False, "enable_ibs_exit": False}
    assert reason(up, **off) == "bar stop"
    assert reason(up, **off, enable_bar_stop=False) == "auto close"
    assert reason(up, **off, enable_bar_stop=False, enable_auto_close=False) is None


def test_stop_comes_before_target_when_both_hold() -> None:
    # with a true range of zero both lie on the entry
    params = IbsParams(stop_type="atr", stop_atr_length=2, target_type="atr", target_atr_length=2)
    flat = (100.0, 100.0, 100.0)
    assert verdict(params, [flat, flat, flat]) == "stop loss"


TIRELESS = {"enable_stop": False, "enable_target": False, "enable_ibs_exit": False, "enable_bar_stop": False}


@pytest.mark.parametrize(
    ("clock", "day", "utc_hour"),
    [
        ("UTC", "2024-01-09", 15),
        ("UTC", "2024-07-09", 15),
        ("America/Chicago", "2024-01-09", 21),
        ("America/Chicago", "2024-07-09", 20),
        ("America/Chicago", "2024-03-11", 20),  # Monday after the change
        ("America/Chicago", "2024-11-04", 21),
    ],
)
def test_auto_close_comes_exactly_once_a_day_at_its_time(clock: Any, day: str, utc_hour: int) -> None:
    state = IbsState(IbsParams(clock=clock, **TIRELESS))
    held = position(entered=ns(day) - 24 * HOUR)
    closed_at = []
    for n in range(24):
        state.update(hour(ns(day) + n * HOUR - HOUR, *QUIET))
        found = exit_reason(state, held)
        if found is not None:
            closed_at.append((n, found[0]))
    assert closed_at == [(utc_hour, "auto close")]


def test_auto_close_at_midnight_can_be_written_as_the_end_of_the_day_or_is_refused() -> None:
    try:
        params = IbsParams(auto_close_time="24:00", **TIRELESS)
    except ValueError:
        return
    state = IbsState(params)
    state.update(hour(ns("2024-01-09T23:00"), *QUIET))
    assert exit_reason(state, position()) is not None


def test_auto_close_at_a_time_when_no_hour_closes_is_refused() -> None:
    with pytest.raises(ValueError, match="15:30"):
        IbsParams(auto_close_time="15:30")


def test_distances_in_true_ranges() -> None:
    # the true ranges of the three bars after the first are 2, 2, 2, their average is 2
    bars = [(101.0, 99.0, 100.0)] * 4
    stop = IbsParams(stop_type="atr", stop_atr_length=2, stop_atr_multiple=1.5, enable_ibs_exit=False)
    # the last bar's true range of 3 (from the close before it) makes the average 2.5: stop at 100 - 3.75
    assert verdict(stop, [*bars, (99.0, 97.0, 97.0)]) is None
    assert verdict(evolve(stop, stop_atr_multiple=1.2), [*bars, (99.0, 97.0, 97.0)]) == "stop loss"
    assert verdict(evolve(stop, stop_atr_multiple=1.2), [*bars, (99.0, 97.0, 97.01)]) is None
    # the last bar's true range of 2 leaves the average at 2: target at 100 + 1
    target = IbsParams(target_type="atr", target_atr_length=2, target_atr_multiple=0.5, enable_ibs_exit=False)
    assert verdict(target, [*bars, (101.2, 99.2, 101.15)]) == "take profit"
    assert verdict(target, [*bars, (101.2, 99.2, 100.9)]) is None


def test_distance_in_true_ranges_holds_nothing_before_there_is_one() -> None:
    params = IbsParams(stop_type="atr", target_type="atr", enable_ibs_exit=False)
    assert verdict(params, [QUIET, (60.0, 50.0, 50.0)]) is None
    assert verdict(params, [QUIET, (160.0, 150.0, 160.0)]) is None


def test_exit_tells_the_facts_that_led_to_it() -> None:
    state = IbsState(IbsParams())
    state.update(hour(ENTRY_HOUR, *QUIET))
    state.update(hour(ENTRY_HOUR + HOUR, 99.5, 98.5, 98.75))
    assert exit_reason(state, position()) == (
        "stop loss",
        {"ibs": 0.25, "close": 98.75, "entry_price": 100.0, "bars_held": 1, "stop": 99.0},
    )


# ---- parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ibs_entry_low": 0.3}, "ibs_entry_low 0.3 above ibs_entry_high 0.2"),
        ({"ibs_exit_low": 0.9, "ibs_exit_high": 0.85}, "ibs_exit_low 0.9 above ibs_exit_high 0.85"),
        ({"ibs_entry_high": 1.1}, "ibs_entry_high"),
        ({"pivot_left": 0}, "pivot_left"),
        ({"bar_stop_bars": 0}, "bar_stop_bars"),
        ({"stop_percent": 0.0}, "stop_percent"),
        ({"windows": ["15:00-15:00"]}, "15:00-15:00"),
        ({"windows": ["24:00-15:00"]}, "24:00-15:00"),
        ({"windows": ["9:00-15:00"]}, "9:00"),
        ({"auto_close_time": "25:00"}, "25:00"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IbsParams(**changes)


def test_equal_edges_of_a_band_are_a_band() -> None:
    assert IbsParams(ibs_entry_low=0.2, ibs_entry_high=0.2).ibs_entry_low == 0.2
