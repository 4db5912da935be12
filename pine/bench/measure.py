"""Running two sides in turns, so that whatever else the machine does meets both alike."""

import gc
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

from attrs import frozen

from pine.bench.row import Bench, BenchError, Result, Row, Sides, Spread, Taken

T = TypeVar("T")


@frozen
class Spent:
    """Seconds by the clock on the wall, and of processor time of this process and the children it waited for."""

    wall: float
    cpu: float

    def rate(self, count: float, scale: float = 1.0) -> tuple[float, float]:
        """Return how many of something were done in a second, by both clocks."""
        return count / self.wall / scale, count / self.cpu / scale

    def cost(self, count: float, scale: float = 1.0) -> tuple[float, float]:
        """Return what one of something took, by both clocks, in seconds by `scale`."""
        return self.wall / count * scale, self.cpu / count * scale


class Stopwatch:
    """Runs from when it is made; what was made before is no burden to the collector meanwhile."""

    def __init__(self) -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._began, self._used = time.perf_counter(), _used()

    def spent(self) -> Spent:
        """Return what went since."""
        return Spent(max(time.perf_counter() - self._began, 1e-9), max(_used() - self._used, 1e-9))


def timed(work: Callable[[], T]) -> tuple[T, Spent]:
    """Do something and say what it took."""
    watch = Stopwatch()
    return work(), watch.spent()


def _used() -> float:
    return sum(
        found.ru_utime + found.ru_stime
        for found in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def agree(baseline: Callable[[], Taken], ours: Callable[[], Taken], what: str) -> Callable[[], str]:
    """Return a check that runs both sides once and compares what they did; `what` says it, with ``{}`` for how much.

    Raises
    ------
    BenchError
        When it is called, if they did not do the same.
    """

    def same() -> str:
        theirs, own = baseline().did, ours().did
        refuse_difference(theirs, own)
        return what.format(len(own) if isinstance(own, Sequence) else own)

    return same


def refuse_difference(theirs: object, own: object) -> None:
    """Raise `BenchError` unless both sides did the same."""
    if theirs == own:
        return
    if isinstance(theirs, Sequence) and isinstance(own, Sequence):
        at = next((n for n, (a, b) in enumerate(zip(theirs, own, strict=False)) if a != b), min(len(theirs), len(own)))
        raise BenchError(
            f"the sides did not do the same: {len(theirs)} and {len(own)}, and at {at} the baseline has "
            f"{theirs[at : at + 1]}, pine {own[at : at + 1]}"
        )
    raise BenchError(f"the sides did not do the same: the baseline has {theirs}, pine {own}")


def compare(row: Row, bench: Bench, repeat: int | None = None) -> Result:
    """Run both sides of a row in turns.

    Raises
    ------
    BenchError
        If they do not do the same work.
    """
    count = 1 if row.once else repeat or (2 if bench.quick else row.repeat)
    bench.tell(f"{row.name}: making ready")
    with row.ready(bench) as sides:
        bench.tell(f"{row.name}: do both do the same?")
        same = sides.same()
        pairs = [_pair(row, sides, bench, n, count) for n in range(count)]
    return Result(
        row=row,
        size=sides.size,
        same=same,
        ratios=Spread([ours.by(row.clock) / theirs.by(row.clock) for theirs, ours in pairs]),
        ratios_wall=Spread([ours.wall / theirs.wall for theirs, ours in pairs]),
        baseline=Spread([theirs.by(row.clock) for theirs, _ in pairs]),
        ours=Spread([ours.by(row.clock) for _, ours in pairs]),
        notes=_notes([taken.notes for pair in pairs for taken in pair]),
    )


def _pair(row: Row, sides: Sides, bench: Bench, n: int, count: int) -> tuple[Taken, Taken]:
    """Run both sides, the baseline first in every other pair."""
    found: dict[str, Taken] = {}
    runs = [("baseline", sides.baseline), ("pine", sides.ours)]
    for side, run in runs if n % 2 == 0 else reversed(runs):
        bench.tell(f"{row.name}: {n + 1} of {count}, {side}")
        found[side] = run()
    theirs, ours = found["baseline"], found["pine"]
    if theirs.did is not None and ours.did is not None:
        refuse_difference(theirs.did, ours.did)
    return theirs, ours


def _notes(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for notes in found for name in notes)
    return {name: median(notes[name] for notes in found if name in notes) for name in names}
