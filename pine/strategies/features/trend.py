"""Direction, and how straight it is."""

import math
from collections import deque
from itertools import pairwise

from attrs import define, field

from pine.strategies.features.definition import Feature, WindowFeature, deviation, divided
from pine.strategies.features.parameters import real, whole


@define
class Slope(Feature):
    """(ema(`length`) - the same `bars` bars before) / atr(`atr_length`); 0.0 where that is 0."""

    name = "slope"
    reads = ("ema({length})", "lag(ema({length}), {bars})", "atr({atr_length})")
    length: int = field(default=20, metadata=whole())
    bars: int = field(default=5, metadata=whole(1))
    atr_length: int = field(default=14, metadata=whole())

    def _step(self, newest: float, before: float, atr: float) -> float:
        return divided(newest - before, atr)


@define
class Ribbon(Feature):
    """|ema(`fast`) - ema(`slow`)|, in points."""

    name = "ribbon"
    reads = ("ema({fast})", "ema({slow})")
    fast: int = field(default=20, metadata=whole())
    slow: int = field(default=50, metadata=whole())

    def _step(self, fast: float, slow: float) -> float:
        return abs(fast - slow)


@define
class UpMove(Feature):
    """High - high before, where that is above 0 and above low before - low; else 0.0: Wilder's +DM, in points."""

    name = "up_move"
    reads = ("momentum(1, high)", "momentum(1, low)")

    def _step(self, high: float, low: float) -> float:
        return high if high > -low and high > 0.0 else 0.0


@define
class DownMove(Feature):
    """Low before - low, where that is above 0 and above high - high before; else 0.0: Wilder's -DM, in points."""

    name = "down_move"
    reads = ("momentum(1, high)", "momentum(1, low)")

    def _step(self, high: float, low: float) -> float:
        return -low if -low > high and -low > 0.0 else 0.0


@define
class PlusDi(Feature):
    """100 times Wilder's average of up_move / atr(`length`); 0.0 where that is 0."""

    name = "plus_di"
    reads = ("wilder({length}, up_move)", "atr({length})")
    length: int = field(default=14, metadata=whole())

    def _step(self, move: float, atr: float) -> float:
        return divided(100.0 * move, atr)


@define
class MinusDi(Feature):
    """100 times Wilder's average of down_move / atr(`length`); 0.0 where that is 0."""

    name = "minus_di"
    reads = ("wilder({length}, down_move)", "atr({length})")
    length: int = field(default=14, metadata=whole())

    def _step(self, move: float, atr: float) -> float:
        return divided(100.0 * move, atr)


@define
class DirectionalIndex(Feature):
    """|plus_di - minus_di| / (plus_di + minus_di); 0.0 where both are 0: Wilder's DX, from 0 to 1."""

    name = "directional_index"
    reads = ("plus_di({length})", "minus_di({length})")
    length: int = field(default=14, metadata=whole())

    def _step(self, plus: float, minus: float) -> float:
        return divided(abs(plus - minus), plus + minus)


@define
class Adx(Feature):
    """100 times Wilder's average of directional_index(`length`) over as many bars."""

    name = "adx"
    reads = ("wilder({length}, directional_index({length}))",)
    length: int = field(default=14, metadata=whole())

    def _step(self, average: float) -> float:
        return 100.0 * average


@define
class Psar(Feature):
    """Wilder's parabolic stop and reverse, in points: moves towards the extreme by a share that grows from `af` on.

    Begins at the second bar with the direction of its close; Backtrader's ParabolicSAR.
    """

    name = "psar"
    reads = ("high", "low", "close")
    takes = 2
    recursive = True
    af: float = field(default=0.02, metadata=real(0.001, 1.0))
    af_max: float = field(default=0.2, metadata=real(0.001, 1.0))
    _before: tuple[float, float, float] | None = field(init=False, eq=False, repr=False, default=None)
    _rising: bool = field(init=False, eq=False, repr=False, default=False)
    _stop: float | None = field(init=False, eq=False, repr=False, default=None)
    _extreme: float = field(init=False, eq=False, repr=False, default=0.0)
    _share: float = field(init=False, eq=False, repr=False, default=0.0)

    def _step(self, high: float, low: float, close: float) -> float | None:
        before, self._before = self._before, (high, low, close)
        if before is None:
            return None
        if self._stop is None:
            self._begin(high, low, close, before)
        return self._advance(high, low, before)

    def _begin(self, high: float, low: float, close: float, before: tuple[float, float, float]) -> None:
        """Set a trend against the second bar's direction, which that same bar then ends."""
        self._rising = close < before[2]
        self._extreme = before[0] if self._rising else before[1]
        self._stop = (high + low) / 2.0
        self._share = self.af

    def _advance(self, high: float, low: float, before: tuple[float, float, float]) -> float:
        stop = self._stop
        assert stop is not None
        if (self._rising and stop >= low) or (not self._rising and stop <= high):
            self._rising = not self._rising
            stop = self._extreme
            self._extreme = high if self._rising else low
            self._share = self.af
        extreme = max(high, self._extreme) if self._rising else min(low, self._extreme)
        if extreme != self._extreme:
            self._extreme = extreme
            self._share = min(self._share + self.af, self.af_max)
        ahead = stop + self._share * (extreme - stop)
        self._stop = min(ahead, low, before[1]) if self._rising else max(ahead, high, before[0])
        return stop


@define
class PsarDistance(Feature):
    """Close - psar, in points."""

    name = "psar_distance"
    reads = ("close", "psar({af}, {af_max})")
    af: float = field(default=0.02, metadata=real(0.001, 1.0))
    af_max: float = field(default=0.2, metadata=real(0.001, 1.0))

    def _step(self, close: float, stop: float) -> float:
        return close - stop


@define
class Drift(WindowFeature):
    """The relative change of the close over `length` bars / the sample deviation of its changes bar by bar.

    0.0 where that deviation is 0.
    """

    name = "drift"
    reads = ("close",)
    takes = ("length", 1)
    length: int = field(default=50, metadata=whole(2))

    def _of(self, values: deque[float]) -> float:
        closes = list(values)
        changes = [divided(b - a, a) for a, b in pairwise(closes)]
        return divided(divided(closes[-1] - closes[0], closes[0]), deviation(changes, lost=1))


@define
class Efficiency(WindowFeature):
    """|close - close `length` bars before| / the sum of |changes| between; 0.0 where nothing moved: Kaufman."""

    name = "efficiency"
    reads = ("close",)
    takes = ("length", 1)
    length: int = field(default=20, metadata=whole())

    def _of(self, values: deque[float]) -> float:
        closes = list(values)
        path = math.fsum(abs(b - a) for a, b in pairwise(closes))
        return divided(abs(closes[-1] - closes[0]), path)


@define
class SpiralEfficiency(Feature):
    """Mean of efficiency(`short`), efficiency(`middle`) and efficiency(`long`), weighed 4 : 2 : 1."""

    name = "spiral_efficiency"
    reads = ("efficiency({short})", "efficiency({middle})", "efficiency({long})")
    short: int = field(default=5, metadata=whole())
    middle: int = field(default=20, metadata=whole())
    long: int = field(default=60, metadata=whole())

    def _step(self, short: float, middle: float, long: float) -> float:
        return (0.5 * short + 0.25 * middle + 0.125 * long) / 0.875
