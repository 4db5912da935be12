"""Every definition agrees with an implementation that shares nothing with it."""

import pytest

from pine.strategies.features.places import Places
from pine.strategies.features.registry import FEATURES

from .oracle import FORMULAS, Comparison, compare, examples
from .world import world

NEAR = 1e-11
"""Of a feature's largest value; of 1 where that is smaller."""


@pytest.fixture(scope="module")
def compared() -> dict[str, Comparison]:
    return compare(examples(), "ES", world(day_count=380, hour_count=640), Places())


def test_every_definition_has_an_oracle() -> None:
    assert FORMULAS.keys() == FEATURES.keys()


@pytest.mark.parametrize("address", examples())
def test_a_feature_equals_its_oracle(compared: dict[str, Comparison], address: str) -> None:
    found = compared[address]
    assert (found.mismatched, found.difference <= NEAR * max(found.scale, 1.0)) == (0, True), found
    assert found.values > 100, found
