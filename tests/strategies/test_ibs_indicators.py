"""What the IBS rules look at: the formula, pivots, average true range."""

from collections.abc import Sequence
from datetime import datetime

import backtrader as bt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.strategies.ibs_rules import (
    AverageTrueRange,
    Pivots,
    internal_bar_strength,
)

# ---- formula


@pytest.mark.parametrize(
    ("high", "low", "close", "ibs"),
    [
        (10.0, 6.0, 6.0, 0.0),
        (10.0, 6.0, 10.0, 1.0),
        (10.0, 6.0, 7.0, 0.25),
        (10.0, 6.0, 9.0, 0.75),
        (-37.0, -41.0, -40.0, 0.25),  # prices may be negative
        (5.0, 5.0, 5.0, 0.5),  # no range
        (10.0, 6.0, 5.0, 0.0),  # below the low, and above the high: never outside 0 to 1
        (10.0, 6.0, 11.0, 1.0),
    ],
)
def test_ibs_by_hand(high: float, low: float, close: float, ibs: float) -> None:
    assert internal_bar_strength(high, low, close) == ibs


@given(prices=st.lists(st.integers(-(10**6), 10**6), min_size=3, max_size=3))
def test_ibs_lies_between_0_and_1_and_is_mirrored(prices: list[int]) -> None:
    low, close, high = (quarter / 4 for quarter in sorted(prices))
    ibs = internal_bar_strength(high, low, close)
    assert 0.0 <= ibs <= 1.0
    assert internal_bar_strength(-low, -high, -close) == pytest.approx(1.0 - ibs)


# ---- pivots

few_prices = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40)


@given(ranges=few_prices, left=st.integers(1, 5), right=st.integers(1, 5))
def test_pivots_are_those_of_a_search_over_all_bars(ranges: list[tuple[int, int]], left: int, right: int) -> None:
    bars = [(float(max(pair)), float(min(pair))) for pair in ranges]
    pivots = Pivots(left, right)
    for n, (high, low) in enumerate(bars, start=1):
        pivots.update(high, low)
        highs, lows = [], []
        for i in range(left, n - right):
            before, after = bars[i - left : i], bars[i + 1 : i + 1 + right]
            if all(bars[i][0] > b[0] for b in before) and all(bars[i][0] >= a[0] for a in after):
                highs.append(bars[i][0])
            if all(bars[i][1] < b[1] for b in before) and all(bars[i][1] <= a[1] for a in after):
                lows.append(bars[i][1])
        assert list(pivots.highs) == highs[-2:]
        assert list(pivots.lows) == lows[-2:]


def test_pivot_is_confirmed_by_the_last_bar_on_its_right_and_not_before() -> None:
    pivots = Pivots(2, 2)
    for high in (1.0, 2.0, 5.0, 4.0):
        pivots.update(high, 0.0)
    assert list(pivots.highs) == []
    pivots.update(5.0, 0.0)  # an equal high on the right does not take it away
    assert list(pivots.highs) == [5.0]


def test_equal_high_on_the_left_is_no_pivot() -> None:
    pivots = Pivots(2, 2)
    for high in (5.0, 2.0, 5.0, 4.0, 3.0):
        pivots.update(high, 0.0)
    assert list(pivots.highs) == []


# ---- average true range


def wilder(bars: Sequence[tuple[float, float, float]], length: int) -> list[float | None]:
    """Wilder's average true range of every bar, as he tells it (1978, p. 21)."""
    ranges = []
    for (high, low, _), (_, _, previous) in zip(bars[1:], bars[:-1], strict=True):
        ranges.append(max(high - low, abs(high - previous), abs(low - previous)))
    result: list[float | None] = [None] * len(bars)
    for i in range(length, len(bars)):
        if i == length:
            result[i] = sum(ranges[:length]) / length
        else:
            before = result[i - 1]
            assert before is not None
            result[i] = before + (ranges[i - 1] - before) / length
    return result


@st.composite
def price_bars(draw: st.DrawFn, min_size: int = 0) -> list[tuple[float, float, float]]:
    rows = draw(st.lists(st.lists(st.integers(0, 400), min_size=3, max_size=3), min_size=min_size, max_size=40))
    return [(high / 4, low / 4, close / 4) for low, close, high in map(sorted, rows)]


@given(bars=price_bars(), length=st.integers(2, 14))
def test_average_true_range_is_wilders(bars: list[tuple[float, float, float]], length: int) -> None:
    atr = AverageTrueRange(length)
    for bar, expected in zip(bars, wilder(bars, length), strict=True):
        atr.update(*bar)
        assert atr.value == (None if expected is None else pytest.approx(expected))


class _Memory(bt.feed.DataBase):  # type: ignore[misc]
    """Hands bars from a list to Backtrader."""

    params = (("bars", ()),)

    def start(self) -> None:
        super().start()
        self._left = list(enumerate(self.p.bars))

    def _load(self) -> bool:
        if not self._left:
            return False
        i, (high, low, close) = self._left.pop(0)
        self.lines.datetime[0] = bt.date2num(datetime(2024, 1, 1 + i // 24, i % 24))  # noqa: DTZ001
        for name, value in (("open", close), ("high", high), ("low", low), ("close", close), ("volume", 1)):
            getattr(self.lines, name)[0] = value
        self.lines.openinterest[0] = 0
        return True


class _Watch(bt.Strategy):  # type: ignore[misc]
    params = (("length", 14),)

    def __init__(self) -> None:
        self.atr = bt.indicators.ATR(self.data, period=self.p.length)
        self.seen: dict[int, float] = {}

    def next(self) -> None:
        self.seen[len(self) - 1] = self.atr[0]


@settings(deadline=None, max_examples=15)
@given(bars=price_bars(min_size=16), length=st.sampled_from([2, 5, 14]))
def test_average_true_range_is_backtraders(bars: list[tuple[float, float, float]], length: int) -> None:
    cerebro = bt.Cerebro(stdstats=False, preload=False, runonce=False)
    cerebro.adddata(_Memory(bars=bars))
    cerebro.addstrategy(_Watch, length=length)
    (watch,) = cerebro.run()
    atr, mine = AverageTrueRange(length), {}
    for i, bar in enumerate(bars):
        atr.update(*bar)
        if atr.value is not None:
            mine[i] = atr.value
    assert mine == watch.seen  # to the last bit: stops must not depend on who computes them
