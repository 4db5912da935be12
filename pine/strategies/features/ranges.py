"""How far prices move: true range and what is measured in it."""

import math
from typing import Final

from attrs import define, field

from pine.strategies.features.definition import Feature, NamedFeature, divided
from pine.strategies.features.parameters import real, whole

STREAK_SCALE: Final = 10.0
"""Bars of contraction after which its weight is 1 - 1/e."""


@define
class TrueRange(Feature):
    """Max(high, close before) - min(low, close before), in points: Wilder, New Concepts (1978)."""

    name = "true_range"
    reads = ("high", "low", "lag(close, 1)")

    def _step(self, high: float, low: float, previous: float) -> float:
        return max(high, previous) - min(low, previous)


@define
class Atr(NamedFeature):
    """Wilder's average of the true range over `length` bars, in points."""

    name = "atr"
    reads = ("wilder({length}, true_range)",)
    length: int = field(default=14, metadata=whole())


@define
class AtrZ(NamedFeature):
    """atr(`length`), standardized over `window` bars."""

    name = "atr_z"
    reads = ("standardized(atr({length}), {window})",)
    length: int = field(default=5, metadata=whole())
    window: int = field(default=252, metadata=whole())


@define
class TrueRangeRatio(Feature):
    """True range / atr(`length`); 0.0 where that is 0."""

    name = "true_range_ratio"
    reads = ("true_range", "atr({length})")
    length: int = field(default=20, metadata=whole())

    def _step(self, true_range: float, atr: float) -> float:
        return divided(true_range, atr)


@define
class RangeCompression(Feature):
    """(high - low) / atr(`length`); 0.0 where that is 0."""

    name = "range_compression"
    reads = ("high", "low", "atr({length})")
    length: int = field(default=14, metadata=whole())

    def _step(self, high: float, low: float, atr: float) -> float:
        return divided(high - low, atr)


@define
class Contraction(Feature):
    """Clamp((`limit` - r) / `limit`, 0, 1) (1 - exp(-n / 10)): how deep and how long volatility is low.

    r = atr(`fast`) / atr(`slow`), n = bars in a row up to the newest with r below `limit`. The old system's TWRC.
    """

    name = "contraction"
    reads = ("ratio(atr({fast}), atr({slow}))",)
    recursive = True
    fast: int = field(default=10, metadata=whole())
    slow: int = field(default=100, metadata=whole())
    limit: float = field(default=0.7, metadata=real(0.01, 10.0))
    _streak: int = field(init=False, eq=False, repr=False, default=0)

    def _step(self, ratio: float) -> float:
        self._streak = self._streak + 1 if ratio < self.limit else 0
        depth = min(max((self.limit - ratio) / self.limit, 0.0), 1.0)
        return depth * (1.0 - math.exp(-self._streak / STREAK_SCALE))
