"""Statistics of a feature over a window of its own past, the newest value included."""

import math
from collections import deque

from attrs import define, field

from pine.strategies.features.definition import Feature, Smoothed, WindowFeature, deviation, divided, mean
from pine.strategies.features.parameters import feature, whole


@define
class Sma(WindowFeature):
    """Mean of the last `length` values."""

    name = "sma"
    reads = ("{source}",)
    takes = ("length", 0)
    length: int = field(default=20, metadata=whole())
    source: str = field(default="close", metadata=feature())

    def _of(self, values: deque[float]) -> float:
        return mean(values)


@define
class Deviation(WindowFeature):
    """Standard deviation of the last `length` values, as of a population."""

    name = "deviation"
    reads = ("{source}",)
    takes = ("length", 0)
    length: int = field(default=20, metadata=whole())
    source: str = field(default="close", metadata=feature())

    def _of(self, values: deque[float]) -> float:
        return deviation(values)


@define
class Standardized(WindowFeature):
    """(x - mean) / deviation over the last `window` values of x, as of a population; 0.0 where that deviation is 0."""

    name = "standardized"
    reads = ("{source}",)
    takes = ("window", 0)
    source: str = field(metadata=feature())
    window: int = field(default=252, metadata=whole())

    def _of(self, values: deque[float]) -> float:
        return divided(values[-1] - mean(values), deviation(values))


@define
class ZScore(Feature):
    """(close - sma(`length`)) / deviation(`window`); 0.0 where that deviation is 0."""

    name = "z_score"
    reads = ("close", "sma({length})", "deviation({window})")
    length: int = field(default=20, metadata=whole())
    window: int = field(default=252, metadata=whole())

    def _step(self, close: float, middle: float, spread: float) -> float:
        return divided(close - middle, spread)


@define
class Percentile(WindowFeature):
    """Mid-rank (below + 1 + not above) / 2 / `window` of the newest of the last `window` values: above 0, at most 1."""

    name = "percentile"
    reads = ("{source}",)
    takes = ("window", 0)
    source: str = field(metadata=feature())
    window: int = field(default=252, metadata=whole())

    def _of(self, values: deque[float]) -> float:
        newest = values[-1]
        below = sum(each < newest for each in values)
        not_above = sum(each <= newest for each in values)
        return (below + 1 + not_above) / 2 / len(values)


@define
class PercentBelow(WindowFeature):
    """100 times the share of the last `window` values that are below the newest."""

    name = "percent_below"
    reads = ("{source}",)
    takes = ("window", 0)
    source: str = field(metadata=feature())
    window: int = field(default=252, metadata=whole())

    def _of(self, values: deque[float]) -> float:
        newest = values[-1]
        return 100.0 * sum(each < newest for each in values) / len(values)


@define
class Median(WindowFeature):
    """Middle of the last `window` values in order; of an even number, the mean of the two in the middle."""

    name = "median"
    reads = ("{source}",)
    takes = ("window", 0)
    source: str = field(metadata=feature())
    window: int = field(default=100, metadata=whole())

    def _of(self, values: deque[float]) -> float:
        ordered = sorted(values)
        return math.fsum((ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2])) / 2


@define
class Highest(WindowFeature):
    """Highest of the last `length` values."""

    name = "highest"
    reads = ("{source}",)
    takes = ("length", 0)
    length: int = field(default=20, metadata=whole())
    source: str = field(default="high", metadata=feature())

    def _of(self, values: deque[float]) -> float:
        return max(values)


@define
class Lowest(WindowFeature):
    """Lowest of the last `length` values."""

    name = "lowest"
    reads = ("{source}",)
    takes = ("length", 0)
    length: int = field(default=20, metadata=whole())
    source: str = field(default="low", metadata=feature())

    def _of(self, values: deque[float]) -> float:
        return min(values)


@define
class Lag(WindowFeature):
    """x as it was `bars` bars before."""

    name = "lag"
    reads = ("{source}",)
    takes = ("bars", 1)
    source: str = field(metadata=feature())
    bars: int = field(default=1, metadata=whole(1))

    def _of(self, values: deque[float]) -> float:
        return values[0]


@define
class _Smoothing(Feature):
    """What the two smoothed averages share."""

    reads = ("{source}",)
    takes = ("length", 0)
    recursive = True
    length: int = field(default=20, metadata=whole())
    source: str = field(default="close", metadata=feature())
    _average: Smoothed = field(init=False, eq=False, repr=False)

    def _step(self, value: float) -> float | None:
        return self._average.take(value)


@define
class Ema(_Smoothing):
    """Exponential average, each new value weighing 2 / (`length` + 1); begins with the mean of the first `length`."""

    name = "ema"

    def __attrs_post_init__(self) -> None:
        self._average = Smoothed(self.length, 2.0 / (1.0 + self.length))


@define
class Wilder(_Smoothing):
    """Wilder's average, each new value weighing 1 / `length`; begins with the mean of the first `length`."""

    name = "wilder"

    def __attrs_post_init__(self) -> None:
        self._average = Smoothed(self.length, 1.0 / self.length)
