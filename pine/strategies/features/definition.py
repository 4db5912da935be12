"""What every definition of a feature is: parameters, the addresses it reads, and one step per completed bar."""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection
from typing import Any, ClassVar, Final

from attrs import define, field

from pine.core.bar import Bar
from pine.strategies.features.parameters import parameters

TINY: Final = 1e-12
"""A denominator nearer to zero than this divides nothing: the ratio is 0.0, as in the old system."""


@define
class Feature(ABC):
    """The base of all definitions; an object is the state of one feature of one symbol and timeframe.

    A definition's attrs fields that have a kind are its parameters. Its docstring is its formula.

    Attributes
    ----------
    name
        The word that addresses begin with.
    reads
        Addresses of what it reads, with its parameters in braces; places left out are its own.
    takes
        How many values of what it reads it takes until it has one: a number, or a parameter and what is added to it.
    recursive
        Whether a value depends on every bar since the first; else on as many values as it takes.
    """

    name: ClassVar[str] = ""
    reads: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[int | tuple[str, int]] = 1
    recursive: ClassVar[bool] = False

    @property
    def inputs(self) -> tuple[str, ...]:
        """Addresses of what it reads; places left out are its own."""
        values = {each.name: getattr(self, each.name) for each in parameters(type(self))}
        return tuple(text.format(**values) for text in self.reads)

    @property
    def span(self) -> int:
        """How many times everything it reads must have had a value until it has one, at least."""
        if isinstance(self.takes, int):
            return self.takes
        name, more = self.takes
        return int(getattr(self, name)) + more

    def __call__(self, *values: Any) -> float | None:
        """Take the newest values of what it reads and return its own, or nothing if there is none yet."""
        return self._step(*values)

    @abstractmethod
    def _step(self, *args: Any, **kwargs: Any) -> float | None: ...


@define
class BarFeature(Feature):
    """The base of definitions that are called with the completed bar."""

    @abstractmethod
    def _step(self, bar: Bar) -> float: ...


@define
class ClockFeature(Feature):
    """The base of definitions that are called with the instant of the bar's close, ns since 1970."""

    @abstractmethod
    def _step(self, closed: int) -> float: ...


@define
class WindowFeature(Feature):
    """The base of definitions over the last `takes` values of one thing: of nothing else, whatever came before."""

    _values: deque[float] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        self._values = deque(maxlen=self.span)

    def _step(self, value: float) -> float | None:
        self._values.append(value)
        return self._of(self._values) if len(self._values) == self._values.maxlen else None

    @abstractmethod
    def _of(self, values: deque[float]) -> float:
        """Return the value of a full window; the newest is the last."""


@define
class NamedFeature(Feature):
    """The base of definitions that are other features under a name of their own."""

    def _step(self, value: float) -> float:
        return value


def divided(numerator: float, denominator: float) -> float:
    """Return a ratio; 0.0 where the denominator is nearer to zero than `TINY`."""
    return 0.0 if abs(denominator) < TINY else numerator / denominator


def mean(values: Collection[float]) -> float:
    """Return the arithmetic mean, its sum rounded once."""
    return math.fsum(values) / len(values)


def deviation(values: Collection[float], lost: int = 0) -> float:
    """Return the standard deviation; `lost` is 0 for that of a population, 1 for that of a sample."""
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) * (value - middle) for value in values) / (len(values) - lost))


class Smoothed:
    """Exponential smoothing, seeded with the mean of the first values, as Backtrader does it.

    Parameters
    ----------
    length
        How many values make the seed.
    alpha
        Weight of each later one.
    """

    def __init__(self, length: int, alpha: float) -> None:
        self._first: list[float] = []
        self._length = length
        self._alpha = alpha
        self._value: float | None = None

    def take(self, value: float) -> float | None:
        """Take the next value and return the average, or nothing before the seed is whole."""
        if self._value is not None:
            self._value = self._value * (1.0 - self._alpha) + value * self._alpha
            return self._value
        self._first.append(value)
        if len(self._first) == self._length:
            self._value = mean(self._first)
        return self._value
