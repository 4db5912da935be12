"""The kinds of parameters that a feature can have, and their bounds."""

from typing import Any, Final

from attrs import NOTHING, Attribute, fields, frozen

LONGEST: Final = 10_000
"""Longest window, in bars."""


@frozen
class Whole:
    """A whole number between two bounds, both allowed."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def takes(self, value: object) -> bool:
        """Tell whether a value read from an address fits."""
        return isinstance(value, int) and self.low <= value <= self.high


@frozen
class Real:
    """A finite number between two bounds, both allowed."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def takes(self, value: object) -> bool:
        """Tell whether a value read from an address fits."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@frozen
class Word:
    """One of a few words."""

    options: tuple[str, ...]

    def __str__(self) -> str:
        return " or ".join(self.options)

    def takes(self, value: object) -> bool:
        """Tell whether a value read from an address fits."""
        return value in self.options


@frozen
class Source:
    """Another feature's address; where it leaves out symbol or timeframe, those of the feature that reads it."""

    def __str__(self) -> str:
        return "a feature"


Kind = Whole | Real | Word | Source


@frozen
class Parameter:
    """One parameter of a definition.

    Attributes
    ----------
    default
        Its value where an address leaves it out; nothing if it must be given.
    """

    name: str
    kind: Kind
    default: int | float | str | None

    def __str__(self) -> str:
        left_out = "" if self.default is None else f" = {self.default}"
        return f"{self.name}{left_out}: {self.kind}"


def whole(low: int = 2, high: int = LONGEST) -> dict[str, Kind]:
    """Return the metadata of an attrs field that is a parameter of whole numbers."""
    return {"kind": Whole(low, high)}


def real(low: float, high: float) -> dict[str, Kind]:
    """Return the metadata of an attrs field that is a parameter of numbers."""
    return {"kind": Real(low, high)}


def word(*options: str) -> dict[str, Kind]:
    """Return the metadata of an attrs field that is one of few words."""
    return {"kind": Word(options)}


def feature() -> dict[str, Kind]:
    """Return the metadata of an attrs field that names another feature by the text of its address."""
    return {"kind": Source()}


def parameters(definition: type) -> tuple[Parameter, ...]:
    """Return the parameters of a definition in the order in which an address gives them."""
    found: tuple[Attribute[Any], ...] = fields(definition)
    return tuple(
        Parameter(each.name, each.metadata["kind"], None if each.default is NOTHING else each.default)
        for each in found
        if "kind" in each.metadata
    )
