"""Hours and days from minutes: equal to a fold that knows nothing of pine's periods, in every kind of week."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.feeds.builder import BarBuilder, differences

from .weeks import CHICAGO_RULE, HOUR_NS, MINUTE_NS, UTC_RULE, at, day_of, longer, walk, week

RULES = {"GC": CHICAGO_RULE, "ES": UTC_RULE}
WEEKS = {
    "winter": week("2024-01-14"),
    "summer": week("2024-07-14"),
    "clocks go forward": week("2024-03-10"),
    "the week before": week("2024-03-03"),
    "clocks go back": week("2024-11-03"),
    "only London's clocks change": week("2024-03-31"),
}
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def tapes(draw: st.DrawFn, gaps: bool = True) -> list[Bar]:
    """Some of the minutes of a few hours or days, of two symbols with different sessions, in order of time."""
    minutes = WEEKS[draw(st.sampled_from(list(WEEKS)))]
    edges = [i for i in range(1, len(minutes)) if minutes[i] - minutes[i - 1] > MINUTE_NS or minutes[i] % HOUR_NS == 0]
    around = draw(st.lists(st.sampled_from([0, *edges]), min_size=1, max_size=4))
    found: list[Bar] = []
    for symbol in RULES:
        chosen: set[int] = set()
        for edge in around:
            length = draw(st.integers(1, 150))
            first = max(edge - draw(st.integers(0, 150)), 0)
            every = draw(st.integers(1, 40)) if gaps else 1
            chosen |= set(minutes[first : first + length : every])
        found += walk(symbol, sorted(chosen), draw(SEEDS))
    order = list(RULES)
    return sorted(found, key=lambda bar: (bar.start, order.index(bar.symbol)))


def build(
    builder: BarBuilder, minutes: list[Bar], resets: dict[int, tuple[str, int, int]] | None = None
) -> dict[int, list[Bar]]:
    """Run minutes through a builder, step by step as the clock does; return what closed at each step."""
    resets = resets or {}
    ends = {bar.start + MINUTE_NS for bar in minutes} | longer(minutes, builder.rules).keys() | resets.keys()
    waiting = list(reversed(minutes))
    closed = {}
    for ts in sorted(ends):
        if ts in resets:
            builder.reset(*resets[ts])
        while waiting and waiting[-1].start < ts:
            builder.add(waiting.pop())
        if bars := builder.close(ts):
            closed[ts] = bars
    return closed


@given(tapes())
def test_hours_and_days_equal_the_fold_of_their_minutes_and_come_when_they_close(minutes: list[Bar]) -> None:
    assert build(BarBuilder(RULES), minutes) == longer(minutes, RULES)


@pytest.mark.parametrize("name", ["summer", "clocks go forward", "clocks go back"])
def test_a_whole_week_of_both_session_styles_is_right(name: str) -> None:
    minutes = [bar for symbol in RULES for bar in walk(symbol, WEEKS[name], seed=5)]
    minutes.sort(key=lambda bar: bar.start)
    closed = build(BarBuilder(RULES), minutes)
    assert closed == longer(minutes, RULES)
    days = [bar for bars in closed.values() for bar in bars if bar.timeframe is Timeframe.DAY]
    assert sorted(bar.symbol for bar in days) == ["ES"] * 5 + ["GC"] * 5


@given(tapes())
def test_no_volume_is_lost_or_counted_twice(minutes: list[Bar]) -> None:
    closed = [bar for bars in build(BarBuilder(RULES), minutes).values() for bar in bars]
    for timeframe in (Timeframe.HOUR, Timeframe.DAY):
        assert sum(bar.volume for bar in closed if bar.timeframe is timeframe) == sum(bar.volume for bar in minutes)


@given(tapes())
@settings(max_examples=25)
def test_nothing_comes_before_its_period_is_over(minutes: list[Bar]) -> None:
    for bar in minutes[::5]:
        hour_end = bar.start // HOUR_NS * HOUR_NS + HOUR_NS
        builder = BarBuilder(RULES)
        builder.add(bar)
        assert builder.close(hour_end - 1) == []
        (hour, *rest) = builder.close(hour_end)
        day_end = day_of(bar.start, RULES[bar.symbol])[1]
        assert (hour.timeframe, hour.volume) == (Timeframe.HOUR, bar.volume)
        assert [day.timeframe for day in rest or builder.close(day_end)] == [Timeframe.DAY]
        assert builder.close(day_end + HOUR_NS) == []


@given(tapes(gaps=False), st.data())
def test_lost_minutes_discard_their_hour_and_day_and_nothing_else(minutes: list[Bar], data: st.DataObject) -> None:
    ours = [bar for bar in minutes if bar.symbol == "ES"]
    first = data.draw(st.integers(0, len(ours) - 1))
    last = min(first + data.draw(st.integers(0, 90)), len(ours) - 1)
    lost = {bar.start for bar in ours[first : last + 1]}
    kept = [bar for bar in minutes if not (bar.symbol == "ES" and min(lost) <= bar.start <= max(lost))]
    reset = {min(lost) + MINUTE_NS: ("ES", min(lost), max(lost))}

    def touched(bar: Bar) -> bool:
        """Whether a period holds one of the lost minutes at either end of the hole."""
        if bar.symbol != "ES":
            return False
        for minute in (min(lost), max(lost)):
            hour = minute // HOUR_NS * HOUR_NS
            start = hour if bar.timeframe is Timeframe.HOUR else day_of(minute, UTC_RULE)[0]
            if bar.start == start:
                return True
        return False

    expected = {
        ts: left for ts, bars in longer(kept, RULES).items() if (left := [bar for bar in bars if not touched(bar)])
    }
    assert build(BarBuilder(RULES), kept, reset) == expected


def test_after_a_reset_the_next_hour_and_the_next_day_are_whole() -> None:
    minutes = walk("ES", week("2024-01-14")[: 2 * 1380], seed=3)
    lost = at("2024-01-15T10:20")
    kept = [bar for bar in minutes if bar.start != lost]
    closed = build(BarBuilder(RULES), kept, {lost + MINUTE_NS: ("ES", lost, lost)})
    missing = {(bar.timeframe, bar.start) for bars in longer(kept, RULES).values() for bar in bars}
    missing -= {(bar.timeframe, bar.start) for bars in closed.values() for bar in bars}
    assert missing == {(Timeframe.HOUR, at("2024-01-15T10:00")), (Timeframe.DAY, at("2024-01-14T23:00"))}


def test_a_reset_of_one_symbol_leaves_the_others_alone() -> None:
    starts = week("2024-01-14")[:120]
    minutes = sorted([*walk("ES", starts, 1), *walk("GC", starts, 2)], key=lambda bar: bar.start)
    closed = build(BarBuilder(RULES), minutes, {starts[30]: ("ES", starts[30], starts[30])})
    assert [bar for bars in closed.values() for bar in bars if bar.symbol == "GC"] == [
        bar for bars in longer(minutes, RULES).values() for bar in bars if bar.symbol == "GC"
    ]


BARS = st.builds(
    lambda symbol, timeframe, volume: Bar(symbol, timeframe, 0, 1.0, 1.0, 1.0, 1.0, volume, 7, f"{symbol}H4"),
    st.sampled_from(["ES", "GC"]),
    st.sampled_from([Timeframe.HOUR, Timeframe.DAY]),
    st.integers(0, 2),
)
SETS = st.lists(BARS, max_size=4, unique_by=lambda bar: (bar.symbol, bar.timeframe))


@given(SETS, SETS)
def test_differences_are_empty_exactly_when_both_hold_the_same_bars(built: list[Bar], published: list[Bar]) -> None:
    assert (differences(built, published) == []) == (set(built) == set(published))


@given(SETS, st.randoms())
def test_order_makes_no_difference(bars: list[Bar], random: object) -> None:
    shuffled = list(bars)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert differences(bars, shuffled) == []


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume", "instrument_id", "contract_symbol"])
def test_a_difference_in_any_field_is_told_with_both_bars(field: str) -> None:
    (bar,) = walk("ES", [0], seed=1)
    hour = attrs.evolve(bar, timeframe=Timeframe.HOUR)
    value = getattr(hour, field)
    other = attrs.evolve(hour, **{field: value + "x" if isinstance(value, str) else value + 1})
    (line,) = differences([hour], [other])
    assert line.startswith("ES hourly: ")
    assert str(hour) in line
    assert str(other) in line


def test_a_bar_that_only_one_side_has_is_a_difference() -> None:
    (bar,) = walk("ES", [0], seed=1)
    assert len(differences([bar], [])) == len(differences([], [bar])) == 1
