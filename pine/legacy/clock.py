"""What times the reference believes: real ones, or those of a tape."""

import time
from typing import Final, Protocol

from attrs import define

from pine.core.timeframe import NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND

_NEVER: Final = (1 << 63) - 1
_AHEAD: Final = 2 * NS_PER_SECOND
_TAPE_JUMP: Final = 10 * NS_PER_DAY


class EventClock(Protocol):
    """Bounds what a record may claim."""

    def now(self) -> int:
        """Return the present in ns, 0 while nobody knows it."""
        ...

    def limit(self) -> int:
        """Return the latest watermark that is taken."""
        ...

    def believes(self, ts: int, watermark: int) -> bool:
        """Tell whether a record may be of `ts` when event time has come to `watermark`."""
        ...

    def saw(self, ts: int) -> None:
        """Take note of event time."""
        ...


class RealTime:
    """Real markets: the computer's clock, two seconds lenient for the watermark, a minute for a record."""

    def now(self) -> int:
        """Return the computer's time."""
        return time.time_ns()

    def limit(self) -> int:
        """Return two seconds from now."""
        return time.time_ns() + _AHEAD

    def believes(self, ts: int, watermark: int) -> bool:  # noqa: ARG002  # a tape needs it
        """Tell whether `ts` is at most a minute ahead."""
        return ts <= time.time_ns() + NS_PER_MINUTE

    def saw(self, ts: int) -> None:
        """Do nothing."""


@define
class TapeTime:
    """Recorded or generated markets: as late as what came."""

    _latest: int = 0

    def now(self) -> int:
        """Return the latest event time."""
        return self._latest

    def limit(self) -> int:
        """Return no limit."""
        return _NEVER

    def believes(self, ts: int, watermark: int) -> bool:
        """Tell whether `ts` is at most ten days after the record before."""
        return not watermark or ts <= watermark + _TAPE_JUMP

    def saw(self, ts: int) -> None:
        """Move on to `ts`."""
        self._latest = max(self._latest, ts)
