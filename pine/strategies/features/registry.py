"""Every definition by its name."""

from types import MappingProxyType
from typing import Final

from pine.strategies.features import combine, momentum, prices, statistics
from pine.strategies.features.definition import Feature

_FAMILIES: Final = (prices, momentum, statistics, combine)

FEATURES: Final = MappingProxyType(
    {
        found.name: found
        for family in _FAMILIES
        for found in vars(family).values()
        if isinstance(found, type) and issubclass(found, Feature) and found.name
    }
)
"""Name to definition, in the order of the families' files."""
