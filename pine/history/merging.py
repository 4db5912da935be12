"""What becomes of a session's rows when others come, live or from elsewhere. Pure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from pine.bus import streams
from pine.core.bar import Bar
from pine.core.errors import ArchiveDiffers
from pine.core.timeframe import NS_PER_MS
from pine.core.times import isoformat
from pine.history import tables
from pine.history.manifest import BARS, Interval, Table, bars_of, clipped, holds
from pine.history.tables import CODECS, LIVE, Rows

if TYPE_CHECKING:
    import polars as pl


@frozen
class Added:
    """What became of bars that were to be added."""

    added: int = 0
    equal: int = 0
    replaced: int = 0

    def plus(self, more: "Added") -> "Added":
        """Return the sum of both."""
        return Added(self.added + more.added, self.equal + more.equal, self.replaced + more.replaced)


def with_live(table: Table, there: "pl.DataFrame", frame: "pl.DataFrame", *, yielding: bool = False) -> "pl.DataFrame":
    """Return a session's rows with those that were published live, or, of no bars, with any others.

    Parameters
    ----------
    table
        What they are rows of.
    there, frame
        The rows of its file, and the new ones.
    yielding
        Whether the file's rows give way where they differ; bars do that by where each came from.

    Raises
    ------
    ArchiveDiffers
        If rows differ that do not give way.
    """
    if table.kind in BARS:
        symbol, timeframe = bars_of(table)
        return _live_bars(
            table, tables.frame_rows(symbol, timeframe, there), tables.frame_rows(symbol, timeframe, frame)
        )
    codec = CODECS[table.kind]
    known = dict(codec.entries(there))
    for identifier, fields in codec.entries(frame):
        if yielding:
            known[identifier] = fields
        elif known.setdefault(identifier, fields) != fields:
            raise ArchiveDiffers(
                f"archive {table.path} {identifier}: found {known[identifier]!r} in the archive, "
                f"and {fields!r} to be put there"
            )
    return codec.frame(table.path, [(i, known[i]) for i in sorted(known, key=streams.id_pair)])


def _live_bars(table: Table, there: Rows, live: Rows) -> "pl.DataFrame":
    """Return the rows of a session with what was published live; that wins over what came from elsewhere."""
    known = {bar.start: (bar, source) for bar, source in there}
    for bar, source in live:
        old = known.get(bar.start)
        if old is not None and old[1] == LIVE and old[0] != bar:
            raise ArchiveDiffers(f"{_where(table, bar.start)}: found {old[0]} in the archive, and {bar} on the stream")
        known[bar.start] = (bar, source)
    return tables.bars_frame([known[start] for start in sorted(known)])


def with_bars(
    table: Table,
    there: "pl.DataFrame",
    covered: Sequence[Interval],
    bars: Sequence[Bar],
    interval: Interval,
    source: str,
    *,
    replace: bool,
) -> tuple["pl.DataFrame", Added]:
    """Return a session's rows with bars from elsewhere, and how those compare.

    Parameters
    ----------
    table
        A table of bars.
    there, covered
        The rows of its file, and of which time, in ns, they are all there were.
    bars, interval, source
        The bars that there were in an interval, in ns, and where they come from.
    replace
        Whether they take the place of different ones.

    Raises
    ------
    ArchiveDiffers
        If they differ where the file has a bar or is covered, and `replace` is not set.
    """
    old = {bar.start: (bar, origin) for bar, origin in tables.frame_rows(*bars_of(table), there)}
    new = {bar.start: bar for bar in bars}
    gone = [s for s in old if interval[0] <= s < interval[1] and s not in new]
    if not replace:
        _refuse_differences(table, old, new, clipped(covered, *interval))
        gone = []
    merged = {start: row for start, row in old.items() if start not in gone}
    equal = {start for start, bar in new.items() if start in old and old[start][0] == bar}
    merged |= {start: (bar, source) for start, bar in new.items() if start not in equal}
    changed = sum(1 for start in new if start in old and start not in equal)
    told = Added(len(new) - len(equal) - changed, len(equal), changed + len(gone))
    return tables.bars_frame([merged[start] for start in sorted(merged)]), told


def _refuse_differences(
    table: Table, old: Mapping[int, tuple[Bar, str]], new: Mapping[int, Bar], certain: Sequence[Interval]
) -> None:
    """Raise `ArchiveDiffers` at the first bar that is not the one in the archive."""
    for start in sorted({*old, *new}):
        there, given = old.get(start), new.get(start)
        if given is None and not holds(certain, start):
            continue
        if there is None and not holds(certain, start):
            continue
        if (there and there[0]) != given:
            found = "no bar" if there is None else f"{there[0]} ({there[1]})"
            raise ArchiveDiffers(
                f"{_where(table, start)}: found {found} in the archive, and {given or 'no bar'} to be added; "
                "ask to replace it if the new one is right"
            )


def _where(table: Table, start: int) -> str:
    return f"archive {table.path} {isoformat(start)}"


def with_entries_replaced(
    table: Table, there: "pl.DataFrame", frame: "pl.DataFrame", begin: int, end: int
) -> tuple["pl.DataFrame", Added]:
    """Return a session's entries with others instead of those of ``begin <= t < end``, in ns, and what that changed."""
    codec = CODECS[table.kind]
    known = dict(codec.entries(there))
    own = dict(codec.entries(frame))
    old = {i: fields for i, fields in known.items() if begin <= streams.ms_of(i) * NS_PER_MS < end}
    kept = {i: fields for i, fields in known.items() if i not in old} | own
    equal = sum(old.get(i) == fields for i, fields in own.items())
    told = Added(len(own.keys() - old.keys()), equal, len(old) - equal)
    return codec.frame(table.path, [(i, kept[i]) for i in sorted(kept, key=streams.id_pair)]), told
