"""Traded volume."""

from attrs import define, field

from pine.strategies.features.definition import NamedFeature
from pine.strategies.features.parameters import whole


@define
class VolumeZ(NamedFeature):
    """Mean volume of the last `length` bars, standardized over `window` bars."""

    name = "volume_z"
    reads = ("standardized(sma({length}, volume), {window})",)
    length: int = field(default=5, metadata=whole())
    window: int = field(default=252, metadata=whole())
