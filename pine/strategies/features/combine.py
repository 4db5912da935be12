"""Two features made one."""

from attrs import define, field

from pine.strategies.features.definition import Feature, NamedFeature, divided
from pine.strategies.features.parameters import feature, whole


@define
class _Two(Feature):
    """What all that is made of two features shares."""

    reads = ("{left}", "{right}")
    left: str = field(metadata=feature())
    right: str = field(metadata=feature())


@define
class Product(_Two):
    """`left` times `right`."""

    name = "product"

    def _step(self, left: float, right: float) -> float:
        return left * right


@define
class Ratio(_Two):
    """`left` / `right`; 0.0 where `right` is 0."""

    name = "ratio"

    def _step(self, left: float, right: float) -> float:
        return divided(left, right)


@define
class Difference(_Two):
    """`left` - `right`."""

    name = "difference"

    def _step(self, left: float, right: float) -> float:
        return left - right


@define
class Above(_Two):
    """1.0 where `left` is above `right`, else 0.0."""

    name = "above"

    def _step(self, left: float, right: float) -> float:
        return float(left > right)


@define
class PairZ(NamedFeature):
    """Close - the pair's close, standardized over `length` bars."""

    name = "pair_z"
    reads = ("standardized(difference(close, close@pair), {length})",)
    length: int = field(default=20, metadata=whole())
