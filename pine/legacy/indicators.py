"""Indicators on Backtrader's lines that Backtrader itself does not have.

They are called again with the same bar whenever a bar of another feed arrives, so each value is computed from bars by
their index and from the value before, never from how often it was asked for.
"""

import math
import operator
from typing import Any, ClassVar

import backtrader as bt


class InternalBarStrength(bt.Indicator):  # type: ignore[misc]
    """(close - low) / (high - low); 0.5 where there is no range."""

    lines: Any = ("ibs",)

    def next(self) -> None:
        """Compute the newest value."""
        high, low, close = self.data.high[0], self.data.low[0], self.data.close[0]
        self.lines.ibs[0] = min(max((close - low) / (high - low), 0.0), 1.0) if high > low else 0.5


class _Pivot(bt.Indicator):  # type: ignore[misc]
    """The newest confirmed pivot and the one before it, carried on from bar to bar."""

    lines: Any = ("last", "previous")
    params: Any = (("left", 5), ("right", 5))
    price: ClassVar[str]
    beats: ClassVar[Any]
    holds: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        self.addminperiod(self.p.left + 1 + self.p.right)

    def next(self) -> None:
        """Look whether the bar `right` bars ago is a pivot."""
        middle = self._value(self.p.right)
        before = [self._value(self.p.right + n) for n in range(1, self.p.left + 1)]
        after = [self._value(n) for n in range(self.p.right)]
        if self._confirms(middle, before, after):
            self.lines.previous[0] = self._carried(self.lines.last)
            self.lines.last[0] = middle
        else:
            self.lines.last[0] = self._carried(self.lines.last)
            self.lines.previous[0] = self._carried(self.lines.previous)

    def _carried(self, line: Any) -> float:
        return float(line[-1]) if len(self) > self.p.left + 1 + self.p.right else math.nan

    def _value(self, ago: int) -> float:
        return float(getattr(self.data, self.price)[-ago])

    def _confirms(self, middle: float, before: list[float], after: list[float]) -> bool:
        return all(self.beats(middle, value) for value in before) and all(self.holds(middle, value) for value in after)


class PivotHigh(_Pivot):
    """A high above all before it and not below any after it."""

    price, beats, holds = "high", operator.gt, operator.ge


class PivotLow(_Pivot):
    """A low below all before it and not above any after it."""

    price, beats, holds = "low", operator.lt, operator.le


def value_of(line: Any) -> float | None:
    """Return a line's newest value, or nothing while it has none."""
    if not len(line):
        return None
    value = float(line[0])
    return None if math.isnan(value) else value
