"""What a bar says by itself."""

from attrs import define

from pine.core.bar import Bar
from pine.strategies.features.definition import BarFeature, Feature
from pine.strategies.ibs_rules import internal_bar_strength


@define
class Open(BarFeature):
    """First price of the bar, in points."""

    name = "open"

    def _step(self, bar: Bar) -> float:
        return bar.open


@define
class High(BarFeature):
    """Highest price of the bar, in points."""

    name = "high"

    def _step(self, bar: Bar) -> float:
        return bar.high


@define
class Low(BarFeature):
    """Lowest price of the bar, in points."""

    name = "low"

    def _step(self, bar: Bar) -> float:
        return bar.low


@define
class Close(BarFeature):
    """Last price of the bar, in points."""

    name = "close"

    def _step(self, bar: Bar) -> float:
        return bar.close


@define
class Volume(BarFeature):
    """Contracts traded in the bar."""

    name = "volume"

    def _step(self, bar: Bar) -> float:
        return float(bar.volume)


@define
class Ibs(Feature):
    """Internal bar strength, (close - low) / (high - low); 0.5 where there is no range."""

    name = "ibs"
    reads = ("high", "low", "close")

    def _step(self, high: float, low: float, close: float) -> float:
        return internal_bar_strength(high, low, close)
