"""What a comparison is: two sides that do the same work, and an aim for the ratio between them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from pine.core.errors import PineError

Clock = Literal["wall", "cpu"]


class BenchError(PineError):
    """Two sides that were to do the same work did not, or one of them could not."""


@frozen
class Aim:
    """What the ratio of ours to the baseline is to be.

    Attributes
    ----------
    at_least
        For a rate, of which more is better; nothing for a cost.
    at_most
        For a cost, of which less is better.
    """

    at_least: float | None = None
    at_most: float | None = None

    def met(self, ratio: float) -> bool:
        """Tell whether a ratio is what was aimed for."""
        low = self.at_least is None or ratio >= self.at_least
        return low and (self.at_most is None or ratio <= self.at_most)

    def __str__(self) -> str:
        return f"≥ {self.at_least:g} ×" if self.at_least is not None else f"≤ {self.at_most:g} ×"


@frozen
class Taken:
    """What one run of one side came to.

    Attributes
    ----------
    wall, cpu
        The value in the row's unit by the clock on the wall, and by processor time where that can be told.
    did
        What it did; both sides must have done the same. Nothing where a side cannot tell.
    notes
        Further figures by name.
    """

    wall: float
    cpu: float | None = None
    did: Any = None
    notes: Mapping[str, float] = field(factory=dict)

    def by(self, clock: Clock) -> float:
        """Return the value by a clock."""
        if clock == "wall":
            return self.wall
        assert self.cpu is not None
        return self.cpu


@frozen
class Sides:
    """Two sides that are ready to run, again and again.

    Attributes
    ----------
    size
        What they are given, in words with numbers.
    same
        Runs both once, untimed, and says in what they agree.

    Raises
    ------
    BenchError
        By `same`, if they do not agree.
    """

    size: str
    baseline: Callable[[], Taken]
    ours: Callable[[], Taken]
    same: Callable[[], str]


@frozen
class Bench:
    """What a row is given.

    Attributes
    ----------
    folder
        An empty folder of its own.
    quick
        Whether to run on tiny data, to see that everything works and not how fast it is.
    tell
        Told what is being done.
    """

    folder: Path
    quick: bool = False
    tell: Callable[[str], None] = lambda _: None


@frozen
class Row:
    """One comparison.

    Attributes
    ----------
    name
        By which a person asks for it.
    path, against
        What is measured, and what else does the same work.
    unit
        Of both sides' values: a rate (more is better) or a cost (less is better), as `aim` says.
    ready
        Makes both sides ready in a folder while its context lasts.
    clock
        By which the ratio is judged; processor time where one process computes and waits for nobody.
    repeat
        How many pairs of runs, unless somebody asks for another number.
    once
        Whether the two sides are moments of one run, which cannot be had again: one pair, whatever is asked.
    """

    name: str
    path: str
    against: str
    aim: Aim
    unit: str
    ready: Callable[[Bench], AbstractContextManager[Sides]]
    clock: Clock = "wall"
    repeat: int = 7
    once: bool = False


@frozen
class Spread:
    """Several values of one thing."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """The middle one."""
        from statistics import median

        return median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between which the middle half lies."""
        from statistics import quantiles

        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return low, high


@frozen
class Result:
    """What a comparison came to.

    Attributes
    ----------
    ratios, ratios_wall
        Of each pair of runs, ours by the baseline, by the row's clock and by the wall's.
    same
        In what both sides agreed.
    notes
        Further figures by name, the middle one of all runs.
    """

    row: Row
    size: str
    same: str
    ratios: Spread
    ratios_wall: Spread
    baseline: Spread
    ours: Spread
    notes: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """The middle ratio."""
        return self.ratios.median

    @property
    def met(self) -> bool:
        """Whether it is what was aimed for."""
        return self.row.aim.met(self.ratio)
