"""The hub's own clock, which bounds what a record's time may claim."""

import time
from typing import Final, Protocol

import numpy as np
from attrs import define
from numpy.typing import NDArray

from pine.core.timeframe import NS_PER_DAY, NS_PER_SECOND

Int64 = NDArray[np.int64]

AHEAD: Final = 2 * NS_PER_SECOND
"""How far the watermark may run ahead of the clock, for clocks that differ a little."""

FAR_AHEAD: Final = 60 * NS_PER_SECOND
"""A record this far ahead of the wall clock is not believed."""

TAPE_JUMP: Final = 10 * NS_PER_DAY
"""A record this far ahead of the one before is not believed on a tape; longer than any holiday."""

NEVER: Final = (1 << 63) - 1


class HubClock(Protocol):
    """Where the present comes from.

    Attributes
    ----------
    may_be_behind
        Whether a time that is not believed may turn out to be right.
    """

    may_be_behind: bool

    def now(self) -> int:
        """Return the present in ns since 1970, or 0 while it is not known."""
        ...

    def watermark_limit(self) -> int:
        """Return the latest watermark that may take effect now, in ns."""
        ...

    def believable(self, seen: Int64) -> Int64:
        """Return, for each record, the latest time that is believed, given the latest time seen before it."""
        ...

    def observe(self, ts: int) -> None:
        """Take note of event time that was reached."""
        ...


class WallClock:
    """Real time."""

    may_be_behind = True

    def now(self) -> int:
        """Return the computer's time."""
        return time.time_ns()

    def watermark_limit(self) -> int:
        """Return two seconds from now."""
        return self.now() + AHEAD

    def believable(self, seen: Int64) -> Int64:
        """Return a minute from now for every record."""
        return np.full(len(seen), self.now() + FAR_AHEAD, dtype=np.int64)

    def observe(self, ts: int) -> None:
        """Do nothing: real time goes by itself."""


@define
class TapeClock:
    """The time of recorded or generated data: as late as what was received."""

    may_be_behind = False
    _latest: int = 0

    def now(self) -> int:
        """Return the latest event time received, 0 before the first."""
        return self._latest

    def watermark_limit(self) -> int:
        """Return no limit: the tape is its own clock."""
        return NEVER

    def believable(self, seen: Int64) -> Int64:
        """Return ten days after the record before; anything goes for the first."""
        return np.where(seen > 0, seen + TAPE_JUMP, NEVER)

    def observe(self, ts: int) -> None:
        """Move to `ts` if it is later."""
        self._latest = max(self._latest, ts)
