"""The rows of a session of any table as a polars frame, and what they say of themselves."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pine.bus import streams
from pine.history import tables
from pine.history.manifest import BARS, Content, Table, bars_of
from pine.history.tables import CODECS

if TYPE_CHECKING:
    import polars as pl


def empty(table: Table) -> "pl.DataFrame":
    """Return no rows, in the columns of a table."""
    return tables.bars_frame([]) if table.kind in BARS else CODECS[table.kind].frame(table.path, [])


def columns(table: Table) -> list[str]:
    """Return the names of a table's columns."""
    return empty(table).columns


def time_column(table: Table) -> str:
    """Return the name of the column by which a table's rows are placed in time."""
    return "timestamp" if table.kind in BARS else CODECS[table.kind].time


def of_entries(table: Table, entries: Sequence[streams.Entry]) -> "pl.DataFrame":
    """Return the rows of a stream's entries.

    Raises
    ------
    DataError
        If an entry cannot be read.
    """
    if not entries:
        return empty(table)
    if table.kind in BARS:
        return tables.bars_of_entries(*bars_of(table), entries)
    return CODECS[table.kind].frame(table.path, entries)


def content(table: Table, frame: "pl.DataFrame") -> Content:
    """Return what rows say of themselves."""
    import polars as pl

    if not frame.height:
        return Content()
    if table.kind not in BARS:
        return Content(frame.height, frame["id"][0], frame["id"][-1])
    starts = frame["timestamp"].cast(pl.Int64)
    sources = dict(Counter(frame["source"].to_list()))
    return Content(frame.height, tables.bar_id(int(starts[0])), tables.bar_id(int(starts[-1])), sources=sources)
