"""The gateway's present: one position on the tape, shared by all its sessions."""

from typing import Final

from pine.core.timeframe import NS_PER_HOUR
from pine.core.times import Clock
from pine.sandbox.reel import Reel

TAIL_HOURS: Final = 26
"""Tape time after the last record in which the session that the tape ends in closes in any time zone."""


class TapeClock:
    """Tells how far the tape is, in records and in time.

    Parameters
    ----------
    reel
        The tape being played.
    speed
        Seconds of tape per second, or ``None`` to go as fast as the clients read.
    monotonic
        Nanoseconds of real time from any origin.
    """

    def __init__(self, reel: Reel, speed: float | None, monotonic: Clock) -> None:
        self.reel = reel
        self.speed = speed
        self._monotonic = monotonic
        self._begun: int | None = None
        self._furthest = 0
        self._tail_done: int | None = None
        self._origin = reel.tape.first - 1

    @property
    def tail(self) -> tuple[int, ...]:
        """Times in ns of the heartbeats that follow the last record at full speed; a paced tape is paced until then."""
        last = self.reel.tape.last
        return tuple(last + hour * NS_PER_HOUR for hour in range(1, TAIL_HOURS + 1))

    def begin(self) -> int:
        """Start the tape right before its first record, unless it is running; return the present in tape time."""
        if self._begun is None:
            self._begun = self._monotonic()
            if self.speed is not None:
                return self._origin
        return self.now()

    def now(self) -> int:
        """Return the present in tape time, in ns."""
        if self.speed is not None:
            real = 0 if self._begun is None else self._monotonic() - self._begun
            return self._paced(real, self.speed)
        if self._tail_done is not None:
            return self.tail[-1] + self._monotonic() - self._tail_done
        return self.reel.time_of(max(0, self._furthest - 1))

    def _paced(self, real: int, speed: float) -> int:
        """Return the tape time after `real` ns: behind the tail real time, or a year would pass while it idles."""
        end = self.tail[-1]
        now = self._origin + int(real * speed)
        if self.reel.end is None or now <= end:
            return now
        return end + max(0, real - int((end - self._origin) / speed))

    def position(self, now: int) -> int:
        """Return the position after the last record that was out at a tape time."""
        return self._furthest if self.speed is None else self.reel.due(now)

    def sent(self, position: int) -> None:
        """Note that a session has been sent everything before a position."""
        self._furthest = max(self._furthest, position)

    def tail_begins(self) -> None:
        """Note that a session is sent the tail: from its end on, tape time runs with real time."""
        if self._tail_done is None:
            self._tail_done = self._monotonic()
