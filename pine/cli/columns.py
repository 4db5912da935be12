"""Tables that are as wide as what is in them, so that nothing is cut and nothing runs together."""

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.table import Table

GAP: Final = "  "
UNBOUNDED: Final = 1000


def columns(rows: Sequence[Sequence[str]], right: frozenset[int]) -> list[str]:
    """Return one line per row; each column is as wide as its longest cell.

    Parameters
    ----------
    rows
        Cells, in each row equally many.
    right
        Which columns are aligned to the right.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        GAP.join(
            cell.rjust(width) if n in right else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def terminal_width() -> int | None:
    """Return the columns of the terminal that is printed to, or nothing if it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fits(table: "Table", width: int) -> bool:
    """Tell whether a table needs no more than so many columns."""
    from rich.console import Console
    from rich.measure import Measurement

    wide = Console(width=UNBOUNDED)
    return Measurement.get(wide, wide.options, table).maximum <= width
