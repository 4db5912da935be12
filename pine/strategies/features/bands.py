"""Where the close stands between bands."""

from typing import ClassVar

from attrs import define, field

from pine.strategies.features.definition import Feature, divided
from pine.strategies.features.parameters import real, whole


@define
class _Bollinger(Feature):
    """What all that reads Bollinger's bands shares."""

    reads: ClassVar[tuple[str, ...]] = (
        "close",
        "bollinger_upper({length}, {width})",
        "bollinger_lower({length}, {width})",
    )
    length: int = field(default=20, metadata=whole())
    width: float = field(default=2.0, metadata=real(0.1, 10.0))


@define
class BollingerUpper(_Bollinger):
    """sma(`length`) + `width` deviation(`length`) of the close."""

    name = "bollinger_upper"
    reads = ("sma({length})", "deviation({length})")

    def _step(self, middle: float, spread: float) -> float:
        return middle + self.width * spread


@define
class BollingerLower(_Bollinger):
    """sma(`length`) - `width` deviation(`length`) of the close."""

    name = "bollinger_lower"
    reads = ("sma({length})", "deviation({length})")

    def _step(self, middle: float, spread: float) -> float:
        return middle - self.width * spread


@define
class BollingerPosition(_Bollinger):
    """(close - lower) / (upper - lower) of Bollinger's bands; 0.0 where they are one."""

    name = "bollinger_position"

    def _step(self, close: float, upper: float, lower: float) -> float:
        return divided(close - lower, upper - lower)


@define
class BollingerExcess(_Bollinger):
    """(close - upper) / (upper - lower) of Bollinger's bands; 0.0 where they are one."""

    name = "bollinger_excess"

    def _step(self, close: float, upper: float, lower: float) -> float:
        return divided(close - upper, upper - lower)


@define
class BollingerWidth(_Bollinger):
    """(upper - lower) / sma(`length`) of Bollinger's bands; 0.0 where that mean is 0."""

    name = "bollinger_width"
    reads = ("sma({length})", "bollinger_upper({length}, {width})", "bollinger_lower({length}, {width})")

    def _step(self, middle: float, upper: float, lower: float) -> float:
        return divided(upper - lower, middle)


@define
class Donchian(Feature):
    """1.0 where the close is above the highest high of the `length` bars before, -1.0 below the lowest low, else 0."""

    name = "donchian"
    reads = ("close", "lag(highest({length}), 1)", "lag(lowest({length}), 1)")
    length: int = field(default=20, metadata=whole())

    def _step(self, close: float, upper: float, lower: float) -> float:
        return float(close > upper) - float(close < lower)


@define
class DonchianProximity(Feature):
    """min(|close - lowest low|, |highest high - close|) / atr(`atr_length`); 0.0 where that is 0.

    Bands of the `length` bars before the newest, and the average true range as it was then.
    """

    name = "donchian_proximity"
    reads = ("close", "lag(highest({length}), 1)", "lag(lowest({length}), 1)", "lag(atr({atr_length}), 1)")
    length: int = field(default=20, metadata=whole())
    atr_length: int = field(default=14, metadata=whole())

    def _step(self, close: float, upper: float, lower: float, atr: float) -> float:
        return divided(min(abs(close - lower), abs(upper - close)), atr)


@define
class DistanceZ(Feature):
    """(close - sma(`length`)) / deviation of the last `length` changes of the close; 0.0 where that is 0."""

    name = "distance_z"
    reads = ("close", "sma({length})", "deviation({length}, momentum(1))")
    length: int = field(default=20, metadata=whole())

    def _step(self, close: float, middle: float, spread: float) -> float:
        return divided(close - middle, spread)
