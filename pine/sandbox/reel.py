"""A tape as the gateway plays it: once, or over and over, each time some whole weeks later."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from attrs import frozen

from pine.core.errors import SandboxError
from pine.core.timeframe import NS_PER_DAY
from pine.sandbox.tape import Tape

WEEK: Final = 7 * NS_PER_DAY
BLOCK: Final = 8192


@frozen
class Block:
    """Consecutive records of one turn of the tape.

    Attributes
    ----------
    start, stop
        Positions in the tape, ``start`` included.
    shift
        Nanoseconds by which this turn is later than the recording.
    end
        Position in the reel right after the block.
    """

    start: int
    stop: int
    shift: int
    end: int


class Reel:
    """Positions and times of an endless or an ending tape.

    Parameters
    ----------
    tape
        At least one record.
    loop
        Whether the tape starts again after its end, shifted by the fewest whole weeks that keep time running forward.

    Raises
    ------
    SandboxError
        If the tape is empty.
    """

    def __init__(self, tape: Tape, *, loop: bool) -> None:
        if not len(tape):
            raise SandboxError("tape: found no records, expected at least one")
        self.tape = tape
        self.turn = -(-(tape.last - tape.first + 1) // WEEK) * WEEK
        self.end: int | None = None if loop else len(tape)
        self._latest_event = int(tape.ts_event.max())

    def time_of(self, position: int) -> int:
        """Return the time in ns of the record at a position."""
        turns, at = divmod(position, len(self.tape))
        return int(self.tape.ts[at]) + turns * self.turn

    def due(self, ts: int) -> int:
        """Return the position after the last record that is not later than an instant in ns."""
        turns = max(0, (ts - self.tape.first) // self.turn) if self.end is None else 0
        return turns * len(self.tape) + int(np.searchsorted(self.tape.ts, ts - turns * self.turn, side="right"))

    def earliest(self, start: int) -> int:
        """Return a position before which no record has an event time of `start` or later."""
        return max(0, -(-(start - self._latest_event) // self.turn)) * len(self.tape) if self.end is None else 0

    def blocks(self, start: int, stop: int | None) -> Iterator[Block]:
        """Cut ``[start, stop)`` into blocks that lie within one turn; without `stop` up to the end, if there is one."""
        count = len(self.tape)
        limit = self.end if stop is None else stop
        while limit is None or start < limit:
            turns, at = divmod(start, count)
            upto = min(at + BLOCK, count)
            if limit is not None:
                upto = min(upto, limit - turns * count)
            start += upto - at
            yield Block(at, upto, turns * self.turn, start)
