"""How long to wait before a process that has ended is started again."""

import random
from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen

COULD_NOT_RUN: Final = 2
"""The exit code of a command that starts only after somebody has mended something."""


@frozen
class Pace:
    """How fast a process is started again.

    Attributes
    ----------
    first, longest
        Seconds after the first of several ends, and at most.
    slow, slowest
        The same for one that could not run at all, which no haste will mend.
    healthy
        Seconds after which a process has run well, and the next end is a first one.
    failing
        That many ends in a row without having run well are no accident.
    """

    first: float = 1.0
    longest: float = 60.0
    slow: float = 15.0
    slowest: float = 300.0
    healthy: float = 60.0
    failing: int = 3


@define
class Backoff:
    """The pauses of one process.

    Parameters
    ----------
    pace
        How fast.
    chance
        Returns a number from 0 to 1 for each pause, so that not everything that fell together starts together.
    """

    pace: Pace = field(factory=Pace)
    chance: Callable[[], float] = random.random
    ends: int = 0
    _refused: bool = False

    def pause(self, code: int, ran_s: float) -> float:
        """Return the seconds to wait, after a process that ran for `ran_s` has ended with a code."""
        pace = self.pace
        self.settle(ran_s)
        self._refused = code == COULD_NOT_RUN
        first, longest = (pace.slow, pace.slowest) if self._refused else (pace.first, pace.longest)
        whole = min(first * 2.0 ** min(self.ends, 20), longest)
        self.ends += 1
        return whole * (0.5 + 0.5 * self.chance())

    def settle(self, ran_s: float) -> None:
        """Forget earlier ends of a process that has run well."""
        if ran_s >= self.pace.healthy:
            self.forget()

    def forget(self) -> None:
        """Begin anew, as after somebody has mended something."""
        self.ends, self._refused = 0, False

    @property
    def failing(self) -> bool:
        """Whether it has ended so often, or in such a way, that somebody should look."""
        return self._refused or self.ends >= self.pace.failing
