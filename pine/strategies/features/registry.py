"""Every definition by its name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pine.strategies.features import (
    bands,
    calendar,
    combine,
    momentum,
    prices,
    ranges,
    shapes,
    statistics,
    trend,
    volume,
)
from pine.strategies.features.definition import Feature

FAMILIES: Final = (prices, shapes, momentum, statistics, ranges, bands, trend, volume, combine, calendar)
"""The files of definitions."""

FEATURES: Final[Mapping[str, type[Feature]]] = MappingProxyType(
    {
        found.name: found
        for family in FAMILIES
        for found in vars(family).values()
        if isinstance(found, type) and issubclass(found, Feature) and found.name
    }
)
"""Name to definition, in the order of the families' files."""
