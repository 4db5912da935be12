"""Changes of the close."""

from collections import deque

from attrs import define, field

from pine.strategies.features.definition import Feature, NamedFeature, Smoothed, WindowFeature, divided
from pine.strategies.features.parameters import feature, whole


@define
class PercentChange(WindowFeature):
    """100 (close / close `length` bars before - 1); 0.0 where that close is 0."""

    name = "percent_change"
    reads = ("close",)
    takes = ("length", 1)
    length: int = field(default=1, metadata=whole(1))

    def _of(self, values: deque[float]) -> float:
        return 100.0 * divided(values[-1] - values[0], values[0])


@define
class Momentum(WindowFeature):
    """x - x `length` bars before."""

    name = "momentum"
    reads = ("{source}",)
    takes = ("length", 1)
    length: int = field(default=3, metadata=whole(1))
    source: str = field(default="close", metadata=feature())

    def _of(self, values: deque[float]) -> float:
        return values[-1] - values[0]


@define
class MomentumZ(NamedFeature):
    """momentum(`length`), standardized over `window` bars."""

    name = "momentum_z"
    reads = ("standardized(momentum({length}), {window})",)
    length: int = field(default=3, metadata=whole(1))
    window: int = field(default=20, metadata=whole())


@define
class Rsi(Feature):
    """100 - 100 / (1 + U / D), U and D Wilder's averages of rises and falls of the close.

    100 where nothing fell, 50 where nothing moved: Backtrader's RSI_Safe.
    """

    name = "rsi"
    reads = ("close",)
    takes = ("length", 1)
    recursive = True
    length: int = field(default=5, metadata=whole())
    _rises: Smoothed = field(init=False, eq=False, repr=False)
    _falls: Smoothed = field(init=False, eq=False, repr=False)
    _previous: float | None = field(init=False, eq=False, repr=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._rises = Smoothed(self.length, 1.0 / self.length)
        self._falls = Smoothed(self.length, 1.0 / self.length)

    def _step(self, close: float) -> float | None:
        previous, self._previous = self._previous, close
        if previous is None:
            return None
        rise = self._rises.take(max(close - previous, 0.0))
        fall = self._falls.take(max(previous - close, 0.0))
        if rise is None or fall is None:
            return None
        if fall == 0.0:
            return 100.0 if rise > 0.0 else 50.0
        return 100.0 - 100.0 / (1.0 + rise / fall)
