"""Tables that are as wide as what is in them, so that nothing is cut and nothing runs together."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from rich.table import Table

GAP: Final = "  "
UNBOUNDED: Final = 1000

LEAST: Final = 20
"""Columns that a text is given, however narrow the terminal is."""


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


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Return the columns of the terminal that is printed to, standard output if not said; nothing if it is none."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


def wrapped(text: str, width: int | None, indent: int, begin: int = 0) -> str:
    """Return a text broken between words for a terminal of some width; as it is where there is none.

    Parameters
    ----------
    text
        May have several lines.
    width
        Columns of the terminal; nothing if there is none.
    indent
        Columns that following lines stand in.
    begin
        Columns that something before the first line takes.
    """
    if width is None:
        return text
    wrapper = textwrap.TextWrapper(
        max(width, indent + LEAST),
        initial_indent=" " * begin,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join("\n".join(wrapper.wrap(line)) for line in text.splitlines())[begin:]


def fits(table: "Table", width: int) -> bool:
    """Tell whether a table needs no more than so many columns."""
    from rich.console import Console
    from rich.measure import Measurement

    wide = Console(width=UNBOUNDED)
    return Measurement.get(wide, wide.options, table).maximum <= width
