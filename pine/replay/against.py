"""What a replay is compared with: a name or a path to a pair of records."""

from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from pine.core.config import Config
from pine.core.errors import CannotCompare, DataError, PineError
from pine.replay import record as records
from pine.replay.files import against_file
from pine.replay.parity import Verdict, compare
from pine.replay.record import Facts, Record
from pine.replay.tolerance import Tolerances

FLIGHT = "flight"

Reference = Callable[[Config, Record], Record]
"""Returns what another system thought of the same bars as a run, given the configuration and that run."""


@frozen
class Against:
    """What to compare with.

    Parameters
    ----------
    what
        ``flight``, a run folder, a file, or the name of one of `others`.
    others
        Further systems by name.
    """

    what: str
    tolerances: Tolerances
    others: Mapping[str, Reference]

    @property
    def is_named(self) -> bool:
        """Whether each strategy has its own reference; a path is one strategy's."""
        return self.what == FLIGHT or self.what in self.others

    @property
    def run(self) -> Facts | None:
        """What the run folder that is named is of; nothing if it is none.

        Raises
        ------
        CannotCompare
            If it is damaged.
        """
        if self.is_named or not records.is_run(Path(self.what)):
            return None
        try:
            return records.read(Path(self.what)).facts
        except DataError as error:
            raise CannotCompare(str(error)) from error

    def check(self) -> None:
        """Raise `CannotCompare` if it is neither a name nor a path."""
        if not self.is_named and not Path(self.what).exists():
            names = ", ".join([FLIGHT, *self.others])
            raise CannotCompare(f"--against: found {self.what!r}, expected {names}, a run folder or a file")

    def verdict(self, config: Config, ours: Record, begin: int | None, end: int | None) -> Verdict:
        """Compare a run; the reference is the left side.

        Raises
        ------
        CannotCompare
            If the two have nothing in common, or the reference cannot be read.
        """
        try:
            theirs, mine = self._pair(config, ours)
        except DataError as error:
            raise CannotCompare(str(error)) from error
        if not self.is_named and not records.is_run(Path(self.what)):
            begin = max(mine.facts.begin, theirs.facts.begin) if begin is None else begin
            end = min(mine.facts.end, theirs.facts.end) if end is None else end
        return compare(theirs, mine, self.tolerances, begin, end)

    def _pair(self, config: Config, ours: Record) -> tuple[Record, Record]:
        if self.what == FLIGHT:
            return _flight(config, ours), ours
        if self.what in self.others:
            return self.others[self.what](config, ours), ours
        path = Path(self.what)
        if records.is_run(path):
            return records.read_named(path), ours
        if path.is_dir():
            raise PineError(f"{path}: found no run folder, expected one with {records.FACTS}")
        mine, theirs = against_file(ours, path)
        return theirs, mine


def _flight(config: Config, ours: Record) -> Record:
    from pine.history.archive import Archive
    from pine.replay.flights import Life
    from pine.replay.jobs import streams_of

    with streams_of(config) as client:
        life = Life(ours.facts.strategy, Archive.of(config), client)
        return life.record(config, ours.facts.begin, ours.facts.end)
