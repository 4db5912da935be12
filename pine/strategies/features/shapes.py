"""Shapes of single bars and of few in a row."""

from collections import deque

from attrs import define, field

from pine.strategies.features.definition import Feature, NamedFeature, WindowFeature
from pine.strategies.features.parameters import feature, whole
from pine.strategies.ibs_rules import Pivots


@define
class Run(WindowFeature):
    """How many of the last `window` values, counted back from the newest, are 1.0 without a break."""

    name = "run"
    reads = ("{source}",)
    takes = ("window", 0)
    source: str = field(metadata=feature())
    window: int = field(default=20, metadata=whole(1))

    def _of(self, values: deque[float]) -> float:
        for count, value in enumerate(reversed(values)):
            if value != 1.0:
                return float(count)
        return float(len(values))


@define
class BearCount(NamedFeature):
    """Bars in a row up to the newest that closed below their open, at most `window`."""

    name = "bear_count"
    reads = ("run(above(open, close), {window})",)
    window: int = field(default=20, metadata=whole(1))


@define
class BullCount(NamedFeature):
    """Bars in a row up to the newest that closed above their open, at most `window`."""

    name = "bull_count"
    reads = ("run(above(close, open), {window})",)
    window: int = field(default=20, metadata=whole(1))


@define
class InsideBar(Feature):
    """1.0 where neither the high is above the high before nor the low below the low before, else 0.0."""

    name = "inside_bar"
    reads = ("momentum(1, high)", "momentum(1, low)")

    def _step(self, high: float, low: float) -> float:
        return float(high <= 0.0 and low >= 0.0)


@define
class NarrowBar(WindowFeature):
    """1.0 where high - low is below that of each of the `length` - 1 bars before, else 0.0: Crabel's NR7."""

    name = "narrow_bar"
    reads = ("difference(high, low)",)
    takes = ("length", 0)
    length: int = field(default=7, metadata=whole())

    def _of(self, values: deque[float]) -> float:
        *before, newest = values
        return float(newest < min(before))


@define
class Fractal(Feature):
    """1.0 where the close is above the last pivot high, else -1.0 where it is below the last pivot low, else 0.0.

    A pivot high is above the `left` highs before it and not below the `right` after it; lows mirrored.
    """

    name = "fractal"
    reads = ("high", "low", "close")
    recursive = True
    left: int = field(default=5, metadata=whole(1, 100))
    right: int = field(default=5, metadata=whole(1, 100))
    _pivots: Pivots = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._pivots = Pivots(self.left, self.right)

    @property
    def span(self) -> int:
        """Bars until a pivot can be known."""
        return self.left + 1 + self.right

    def _step(self, high: float, low: float, close: float) -> float | None:
        self._pivots.update(high, low)
        if not self._pivots.highs or not self._pivots.lows:
            return None
        if close > self._pivots.highs[-1]:
            return 1.0
        return -1.0 if close < self._pivots.lows[-1] else 0.0
