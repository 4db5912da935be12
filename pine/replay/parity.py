"""Two records compared value by value: the same, or where in event time they part, and why."""

from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from pine.core.errors import CannotCompare
from pine.core.times import isoformat
from pine.replay.cause import Cause, find_cause
from pine.replay.record import Record
from pine.replay.rows import Difference, compare_table
from pine.replay.settings import differing
from pine.replay.tables import SHAPES
from pine.replay.tolerance import Tolerances

if TYPE_CHECKING:
    import polars as pl

_DERIVED: Final = ("flights",)
"""Digests of everything: they say nothing where something may differ a little."""


@frozen
class ColumnCount:
    """How one column of one table compared.

    Attributes
    ----------
    compared
        Rows that both sides have.
    differ
        Rows in which it is not the same.
    largest
        Largest difference of numbers among them.
    """

    table: str
    column: str
    compared: int
    differ: int
    largest: float | None


@frozen
class TableCount:
    """How many rows of a table each side has, and has alone."""

    table: str
    left: int
    right: int
    only_left: int
    only_right: int


@frozen(eq=False)
class Verdict:
    """What came of a comparison.

    Attributes
    ----------
    begin, end
        Steps ``begin < t <= end`` (ns) were compared; of inputs also the warm-up that both have.
    tables, columns
        Counts; only tables that both sides have.
    first
        The first difference in event time; nothing if there is none.
    cause
        What it comes from.
    settings
        Settings that differ, of those that both sides know: name, left, right.
    firsts
        The first difference of each table that has some, in event time.
    """

    left: Record
    right: Record
    begin: int
    end: int
    tables: tuple[TableCount, ...]
    columns: tuple[ColumnCount, ...]
    settings: tuple[tuple[str, Any, Any], ...]
    first: Difference | None = None
    cause: Cause | None = None
    firsts: tuple[Difference, ...] = ()
    tolerances: Tolerances = field(factory=Tolerances)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.first is None


def compare(
    left: Record,
    right: Record,
    tolerances: Tolerances | None = None,
    begin: int | None = None,
    end: int | None = None,
) -> Verdict:
    """Compare two records.

    Parameters
    ----------
    left, right
        What to compare; tables that only one of them has are left out.
    tolerances
        By how much numbers may differ; everything else is compared bit for bit.
    begin, end
        Compare steps ``begin < t <= end`` (ns) only.

    Raises
    ------
    CannotCompare
        If they are of different symbols or times, have no table in common, or nothing in them.
    """
    tolerances = tolerances or Tolerances()
    tolerances.check(left, right)
    begin, end = _window(left, right, begin, end)
    common = [name for name in SHAPES if name in left.tables and name in right.tables]
    if tolerances:
        common = [name for name in common if name not in _DERIVED]
    tables, columns, firsts = [], [], []
    for name in common:
        fed = max(left.facts.fed_from, right.facts.fed_from) if SHAPES[name].is_input else begin + 1
        since = min(fed, begin + 1)
        found = compare_table(
            name, _between(left.tables[name], since, end), _between(right.tables[name], since, end), tolerances
        )
        tables.append(TableCount(name, found.left, found.right, found.only_left, found.only_right))
        columns += [ColumnCount(name, *column) for column in found.columns]
        firsts += [found.first] if found.first is not None else []
    if not any(count.left for count in tables) or not any(count.right for count in tables):
        raise CannotCompare(_nothing(left, right, begin, end, tables))
    settings = _known_differences(left, right)
    order = {name: n for n, name in enumerate(SHAPES)}
    firsts.sort(key=lambda difference: (difference.step, order[difference.table]))
    first = firsts[0] if firsts else None
    cause = None if first is None else find_cause(left, right, firsts, settings)
    return Verdict(
        left, right, begin, end, tuple(tables), tuple(columns), settings, first, cause, tuple(firsts), tolerances
    )


def _window(left: Record, right: Record, begin: int | None, end: int | None) -> tuple[int, int]:
    a, b = left.facts, right.facts
    if a.symbols and b.symbols and a.symbols != b.symbols:
        raise CannotCompare(
            f"{a.name} is of {', '.join(a.symbols)}, {b.name} of {', '.join(b.symbols)}; expected the same symbols"
        )
    low, high = max(a.begin, b.begin), min(a.end, b.end)
    if low >= high:
        raise CannotCompare(f"{_span(left)}, {_span(right)}; expected times that overlap")
    if begin is None and end is None and (a.begin, a.end) != (b.begin, b.end):
        raise CannotCompare(
            f"{_span(left)}, {_span(right)}; expected the same times. --from {isoformat(low)} --to {isoformat(high)} "
            "compares what both have"
        )
    wanted = (low if begin is None else begin, high if end is None else end)
    if wanted[0] < low or wanted[1] > high or wanted[0] >= wanted[1]:
        raise CannotCompare(
            f"asked for {isoformat(wanted[0])} to {isoformat(wanted[1])}, "
            f"both records have {isoformat(low)} to {isoformat(high)}"
        )
    return wanted


def _span(record: Record) -> str:
    facts = record.facts
    return f"{facts.name} is from {isoformat(facts.begin)} to {isoformat(facts.end)}"


def _between(frame: "pl.DataFrame", first: int, last: int) -> "pl.DataFrame":
    import polars as pl

    return frame.filter((pl.col("step") >= first) & (pl.col("step") <= last))


def _nothing(left: Record, right: Record, begin: int, end: int, tables: list[TableCount]) -> str:
    where = f"from {isoformat(begin)} to {isoformat(end)}"
    if not tables:
        return f"{left.facts.name} and {right.facts.name}: found no table that both have, expected at least one"
    empty = [
        record.facts.name
        for record, rows in ((left, sum(t.left for t in tables)), (right, sum(t.right for t in tables)))
        if not rows
    ]
    return f"{' and '.join(empty)}: found nothing {where}, expected something to compare"


def _known_differences(left: Record, right: Record) -> tuple[tuple[str, Any, Any], ...]:
    a, b = left.facts.settings, right.facts.settings
    shared = a.keys() & b.keys()
    return tuple(differing({n: v for n, v in a.items() if n in shared}, {n: v for n, v in b.items() if n in shared}))
