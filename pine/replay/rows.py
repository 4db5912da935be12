"""Rows of one table on two sides, matched and compared."""

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from pine.replay.tables import SHAPES
from pine.replay.tolerance import Tolerances

if TYPE_CHECKING:
    import polars as pl

_NTH: Final = "nth"
_LEFT: Final = "has_left"
_RIGHT: Final = "has_right"
_STEP: Final = "first_step"
_ROW: Final = "row"
_OTHER: Final = "_other"


@frozen
class Difference:
    """One row that is not the same on both sides.

    Attributes
    ----------
    step
        When it shows first, ns.
    key
        What identifies the row.
    columns
        Which of its columns differ; none if one side lacks the row.
    left, right
        The row on each side; nothing where it is missing.
    """

    table: str
    step: int
    key: dict[str, Any]
    columns: tuple[str, ...]
    left: dict[str, Any] | None
    right: dict[str, Any] | None


@frozen
class Compared:
    """How a table compared.

    Attributes
    ----------
    columns
        Of each: name, rows compared, rows that differ, largest difference of numbers.
    first
        The first difference in event time.
    """

    left: int
    right: int
    only_left: int
    only_right: int
    columns: tuple[tuple[str, int, int, float | None], ...]
    first: Difference | None


def compare_table(name: str, left: "pl.DataFrame", right: "pl.DataFrame", tolerances: Tolerances) -> Compared:
    """Match the rows of two tables by their keys and compare the rest of their columns.

    Rows that share a key are told apart by their order.
    """
    import polars as pl

    keys = [*SHAPES[name].keys, _NTH]
    sides = [
        side.with_columns(pl.int_range(pl.len()).over(SHAPES[name].keys).alias(_NTH)).with_row_index(_ROW)
        for side in (left, right)
    ]
    both = (
        sides[0]
        .with_columns(pl.lit(value=True).alias(_LEFT))
        .join(
            sides[1].with_columns(pl.lit(value=True).alias(_RIGHT)),
            on=keys,
            how="full",
            coalesce=True,
            suffix=_OTHER,
            nulls_equal=True,
        )
        .with_columns(pl.col(_LEFT, _RIGHT).fill_null(value=False))
    )
    columns = _compared_columns(name, tolerances)
    marks = {column: _differs(name, column, tolerances).alias(f"differs:{column}") for column in columns}
    both = both.with_columns(*marks.values())
    matched = both.filter(pl.col(_LEFT) & pl.col(_RIGHT))
    counts = tuple(_count(matched, column, SHAPES[name].columns[column]) for column in columns)
    wrong = both.filter(~(pl.col(_LEFT) & pl.col(_RIGHT)) | pl.any_horizontal(f"differs:{c}" for c in columns))
    only = both.select((~pl.col(_RIGHT)).sum().alias("l"), (~pl.col(_LEFT)).sum().alias("r")).row(0)
    return Compared(left.height, right.height, only[0], only[1], counts, _first(name, wrong, left, right, columns))


def _compared_columns(name: str, tolerances: Tolerances) -> list[str]:
    """Return the columns to compare; facts repeat, as text, numbers that may differ a little."""
    return [column for column in SHAPES[name].values if not (tolerances and column == "facts")]


def _differs(table: str, column: str, tolerances: Tolerances) -> "pl.Expr":
    import polars as pl

    ours, theirs = pl.col(column), pl.col(f"{column}{_OTHER}")
    unequal = ours.ne_missing(theirs)
    if SHAPES[table].columns[column] != "Float64":
        return unequal
    allowed = pl.lit(tolerances.of(table, column))
    if table == "values":
        for name, value in tolerances.by_name.items():
            allowed = pl.when(pl.col("name") == name).then(pl.lit(value)).otherwise(allowed)
    return unequal & ~((ours - theirs).abs() <= allowed).fill_null(value=False)


def _count(matched: "pl.DataFrame", column: str, kind: str) -> tuple[str, int, int, float | None]:
    import polars as pl

    differ = matched.filter(pl.col(f"differs:{column}"))
    largest = None
    if kind in ("Float64", "Int64") and differ.height:
        gap = (pl.col(column).cast(pl.Float64) - pl.col(f"{column}{_OTHER}").cast(pl.Float64)).abs()
        largest = differ.select(gap.max()).item()
    return column, matched.height, differ.height, largest


def _first(
    name: str, wrong: "pl.DataFrame", left: "pl.DataFrame", right: "pl.DataFrame", columns: list[str]
) -> Difference | None:
    """Return the first of the rows that differ in event time; of those of one step, the first in the tables."""
    import polars as pl

    if not wrong.height:
        return None
    # Where the step is no key, a row that came late has one on each side.
    steps = [column for column in ("step", f"step{_OTHER}") if column in wrong.columns]
    places = [pl.min_horizontal(_ROW, f"{_ROW}{_OTHER}")]
    row = wrong.with_columns(pl.min_horizontal(steps).alias(_STEP)).sort(_STEP, *places).row(0, named=True)
    has_left, has_right = row[_LEFT], row[_RIGHT]
    return Difference(
        name,
        row[_STEP],
        {key: row[key] for key in SHAPES[name].keys},
        tuple(column for column in columns if row[f"differs:{column}"]) if has_left and has_right else (),
        left.row(row[_ROW], named=True) if has_left else None,
        right.row(row[f"{_ROW}{_OTHER}"], named=True) if has_right else None,
    )
