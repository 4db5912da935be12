"""What `pine strategies` tells of parameters."""

import pytest
from attrs import field, frozen, validators

from pine.strategies.catalog import STRATEGIES
from pine.strategies.description import Parameter, parameters, summary


@frozen
class Numbers:
    """Numbers of a rule.

    Attributes
    ----------
    one, two
        What both
        are for.
    """

    one: int = field(default=3, validator=[validators.ge(1), validators.lt(9)])
    two: float = 0.5
    three: "list[str]" = field(factory=lambda: ["a"])


def test_a_parameter_is_told_with_type_default_bounds_and_meaning() -> None:
    assert parameters(Numbers) == [
        Parameter("one", "whole number", 3, ">= 1, < 9", "What both are for."),
        Parameter("two", "number", 0.5, "", "What both are for."),
        Parameter("three", "list of texts", ["a"], "", ""),
    ]
    assert summary(Numbers) == "Numbers of a rule."


@pytest.mark.parametrize("kind", STRATEGIES)
def test_every_parameter_of_pines_own_types_has_a_meaning(kind: str) -> None:
    assert [item.name for item in parameters(STRATEGIES[kind][0]) if not item.meaning] == []
