"""The archive: finished sessions as Parquet files, read by symbol and time, written whole or not at all."""

import contextlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Literal, get_args

from attrs import Factory, define, evolve, field

from pine.bus import streams
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import isoformat
from pine.history import frames, tables
from pine.history.manifest import Content, Interval, Manifest, Part, Slot, Table, bars_of, bars_table, clipped, joined
from pine.history.merging import Added, with_bars, with_entries_replaced, with_live
from pine.history.shelf import Batch, Edit, Shelf
from pine.history.store import Store, open_store
from pine.history.tables import CODECS
from pine.history.verification import Difference, verify

if TYPE_CHECKING:
    import polars as pl

Source = Literal["import", "historical"]
"""Where bars come from that no hub of ours published: somebody's files, Databento Historical."""

EARLIEST: Final = -(1 << 62)
LATEST: Final = 1 << 62


@define
class Archive:
    """Sessions in a folder or behind a URL.

    Parameters
    ----------
    store
        The files.
    rule
        Says how the sessions of a symbol follow each other.
    desk
        The sessions by which everything is cut that belongs to no symbol.
    """

    store: Store
    rule: Callable[[str], SessionRule]
    desk: SessionRule
    _shelf: Shelf = field(init=False, default=Factory(lambda self: Shelf(self.store), takes_self=True))

    @classmethod
    def of(cls, config: Config) -> "Archive":
        """Return the archive that a configuration names.

        Raises
        ------
        ArchiveError
            If its location cannot be opened.
        """
        return cls(open_store(config.archive_location), config.session_rule, config.desk_session)

    # Reading

    def bars(self, symbol: str, timeframe: Timeframe, begin: int = EARLIEST, end: int = LATEST) -> list[Bar]:
        """Return the bars that start in ``begin <= t < end`` (ns), in order; each equals the one that was published.

        Whether a time without bars was quiet or is missing, `covered` says.
        """
        return self.bars_of(bars_table(symbol, timeframe), begin, end)

    def bars_of(self, table: Table, begin: int = EARLIEST, end: int = LATEST) -> list[Bar]:
        """Return the bars of a table that start in ``begin <= t < end`` (ns), in order."""
        return tables.frame_bars(*bars_of(table), self.frame(table, begin, end))

    def covered(self, symbol: str, timeframe: Timeframe) -> list[Interval]:
        """Return the intervals, in ns, of which the archive holds every bar that there was, in order.

        A session, or an hour, without trades is covered; a hole that a ``gap`` or ``reset`` left is not, nor is an
        hour or day that the hole made impossible.
        """
        return self.covered_of(bars_table(symbol, timeframe))

    def covered_of(self, table: Table, *, sealed: bool = False) -> list[Interval]:
        """Return the intervals, in ns, that a table covers, in order; `sealed`: of sessions sealed from streams."""
        found = [self._shelf.present(part) for part in self.manifest(table).parts]
        return list(joined(i for content in found if content.sealed or not sealed for i in content.covered))

    def volumes(self, symbol: str, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield the entries of a root's volume stream, minute by minute."""
        return self.entries(Table("volumes", (("symbol", symbol),)), begin, end)

    def leads(self, symbol: str, begin: int = EARLIEST, end: int = LATEST) -> dict[int, str]:
        """Return the contract that made a root's bars, by start of session in ns."""
        found = self.entries(Table("leads", (("symbol", symbol),)), begin, end)
        return {streams.ms_of(identifier) * NS_PER_MS: fields[b"contract"].decode() for identifier, fields in found}

    def clock(self, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield the clock's entries, as `pine.feeds.steps.parse_clock` reads them."""
        return self.entries(Table("clock"), begin, end)

    def events(self, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield rolls, resets and gaps by the step at which they took effect."""
        return self.entries(Table("events"), begin, end)

    def ledger(self, strategy: str, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield a strategy's ledger entries by their step."""
        return self.entries(Table("ledgers", (("strategy", strategy),)), begin, end)

    def flights(self, strategy: str, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield a strategy's flight records by their step."""
        return self.entries(Table("flights", (("strategy", strategy),)), begin, end)

    def warm_ups(self, strategy: str, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield the bars that a strategy was fed before its first live step, in lists, by that step."""
        return self.entries(Table("warmups", (("strategy", strategy),)), begin, end)

    def deliveries(self, strategy: str, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield what became of a strategy's intents, by the wall time at which it was recorded."""
        return self.entries(Table("deliveries", (("strategy", strategy),)), begin, end)

    def controls(self, strategy: str, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield what a strategy's worker was asked to book, by the wall time at which it was asked."""
        return self.entries(Table("controls", (("strategy", strategy),)), begin, end)

    def entries(self, table: Table, begin: int = EARLIEST, end: int = LATEST) -> Iterator[streams.Entry]:
        """Yield entries as their stream had them, in order, without the writers' numbers (``fence``).

        `begin` and `end` bound the time of their ids, in ns; the end is left out.
        """
        yield from CODECS[table.kind].entries(self.frame(table, begin, end))

    def frame(self, table: Table, begin: int = EARLIEST, end: int = LATEST) -> "pl.DataFrame":
        """Return the rows of a table between two times, in ns, in order; only files that can hold some are read."""
        with self._shelf.explained(table.path):
            return self.scan(table, begin, end).collect()

    def scan(self, table: Table, begin: int = EARLIEST, end: int = LATEST) -> "pl.LazyFrame":
        """Return the rows of a table between two times, in ns, as a polars query over the files that can hold some."""
        import polars as pl

        column = frames.time_column(table)
        closing = column == "step"  # a step on a boundary belongs to the session that ends there
        wanted = [
            part.slot.file
            for part in self.manifest(table).parts
            if part.slot.begin < end and begin < part.slot.end + closing and self._shelf.present(part).rows
        ]
        if not wanted:
            return frames.empty(table).lazy()
        query = pl.scan_parquet(self.store.sources(wanted), hive_partitioning=False)
        for bound, within in ((begin, pl.Expr.ge), (end, pl.Expr.lt)):
            if EARLIEST < bound < LATEST:
                query = query.filter(within(pl.col(column), pl.lit(bound).cast(pl.Datetime("ns", "UTC"))))
        return query

    def manifest(self, table: Table) -> Manifest:
        """Return what is listed of a table, as it is now.

        Raises
        ------
        ArchiveError
            If it cannot be read.
        """
        return self._shelf.manifest(table)

    def tables(self) -> list[Table]:
        """Return every table of which something is listed."""
        return self._shelf.tables()

    # Writing

    @contextlib.contextmanager
    def sealing(self) -> Iterator["Sealing"]:
        """Provide a way to put finished sessions of many streams in their places together, and keep other writers out.

        Nothing is in its place before `Sealing.commit`.
        """
        with self.store.writing(), self._shelf.batch() as batch:
            yield Sealing(self, self._shelf, batch)

    def seal(
        self, table: Table, slot: Slot, entries: Sequence[streams.Entry], covered: Iterable[Interval] = ()
    ) -> bool:
        """Put one finished session of a stream in its place; see `Sealing.put`."""
        with self.sealing() as sealing:
            sealing.put(table, slot, entries, covered)
            return sealing.commit() == [True]

    def add_bars(
        self,
        symbol: str,
        timeframe: Timeframe,
        bars: Sequence[Bar],
        begin: int,
        end: int,
        source: Source,
        *,
        table: Table | None = None,
        replace: bool = False,
        dry: bool = False,
    ) -> Added:
        """Add bars from elsewhere: all that there were in ``begin <= t < end``, in ns.

        The interval is covered afterwards, also where it has no bar. What the archive has already, equal, is left
        alone. Everything is compared before anything is written.

        Parameters
        ----------
        symbol, timeframe
            What they are bars of.
        bars
            In order of time.
        begin, end
            The interval of which they are all there were, in ns.
        source
            Where they come from; kept with each bar.
        table
            Where they belong, if not to the bars that a symbol had.
        replace
            Whether to put them in the place of different ones.
        dry
            Whether only to compare, and write nothing.

        Raises
        ------
        ArchiveDiffers
            If the archive has another bar, or one more, or one less, where it is covered, and `replace` is not set.
        ValueError
            If a bar is of another symbol or timeframe, out of order or out of the interval.
        """
        _check(symbol, timeframe, bars, begin, end, source)
        table = table or bars_table(symbol, timeframe)
        edits: list[Edit] = []
        total = Added()
        starts = [bar.start for bar in bars]
        with self.store.writing():
            manifest = self.manifest(table)
            for slot, first, last in self._slots(manifest, self.rule(symbol), begin, end):
                own = bars[bisect_left(starts, first) : bisect_left(starts, last)]
                if dry and manifest.part(slot) is None:
                    total = total.plus(Added(len(own)))
                    continue
                before = self._shelf.known(manifest, slot)
                there = self._there(table, slot, before)
                frame, added = with_bars(table, there, before.covered, own, (first, last), source, replace=replace)
                total = total.plus(added)
                told = evolve(before, covered=joined([*before.covered, (first, last)]))
                edits.append(Edit(slot, before, told, frame))
                manifest = manifest.with_parts(
                    [Part(slot, self._shelf.content(table, edits[-1]))]
                )  # so that the next session takes another name
            if not dry:
                self._shelf.write(self.manifest(table), edits)
        return total

    def add_entries(
        self,
        table: Table,
        entries: Sequence[streams.Entry],
        covered: Sequence[Interval] = (),
        *,
        dry: bool = False,
    ) -> Added:
        """Add volumes or leads from elsewhere, as their stream would have them.

        What is there already, equal, is left alone. When a session is sealed from the streams, what was published
        live takes the place of what came from elsewhere.

        Parameters
        ----------
        table
            Volumes or leads of a symbol.
        entries
            In order of their ids.
        covered
            Of which time, in ns, they are all that there was; of sessions without any nothing is kept.
        dry
            Whether only to compare, and write nothing.

        Raises
        ------
        ArchiveDiffers
            If the archive has another entry under one of the ids; nothing is written then.
        """
        edits: list[Edit] = []
        total = Added()
        rule = self.rule(dict(table.parts)["symbol"])
        with self.store.writing():
            manifest = self.manifest(table)
            at = 0
            while at < len(entries):
                slot = manifest.slot_at(streams.ms_of(entries[at][0]) * NS_PER_MS, rule)
                until = at
                while until < len(entries) and streams.ms_of(entries[until][0]) * NS_PER_MS < slot.end:
                    until += 1
                before = self._shelf.known(manifest, slot)
                frame = frames.of_entries(table, entries[at:until])
                if before.rows:
                    frame = with_live(table, self._shelf.read(table, slot), frame)
                added = frame.height - before.rows
                total = total.plus(Added(added, until - at - added))
                told = evolve(before, covered=joined([*before.covered, *clipped(covered, slot.begin, slot.end)]))
                edits.append(Edit(slot, before, told, frame))
                manifest = self._named(manifest, edits[-1])
                at = until
            if not dry:
                self._shelf.write(self.manifest(table), edits)
        return total

    def replace_entries(
        self, table: Table, entries: Sequence[streams.Entry], begin: int, end: int, *, dry: bool = False
    ) -> Added:
        """Put volumes from elsewhere in the place of what is there in ``begin <= t < end``, in ns.

        Parameters
        ----------
        table
            Volumes of a symbol.
        entries
            In order of their ids, all of that time.
        begin, end
            The interval of which they are all there were.
        dry
            Whether only to compare, and write nothing.
        """
        edits: list[Edit] = []
        total = Added()
        with self.store.writing():
            manifest = self.manifest(table)
            for slot, first, last in self._slots(manifest, self.rule(dict(table.parts)["symbol"]), begin, end):
                before = self._shelf.known(manifest, slot)
                own = [entry for entry in entries if first <= streams.ms_of(entry[0]) * NS_PER_MS < last]
                there, fresh = self._there(table, slot, before), frames.of_entries(table, own)
                frame, added = with_entries_replaced(table, there, fresh, first, last)
                if added == Added():
                    continue
                total = total.plus(added)
                edits.append(Edit(slot, before, before, frame))
                manifest = self._named(manifest, edits[-1])
            if not dry:
                self._shelf.write(self.manifest(table), edits)
        return total

    def _slots(self, manifest: Manifest, rule: SessionRule, begin: int, end: int) -> Iterator[tuple[Slot, int, int]]:
        while begin < end:
            slot = manifest.slot_at(begin, rule)
            yield slot, begin, min(end, slot.end)
            begin = slot.end

    def _named(self, manifest: Manifest, edit: Edit) -> Manifest:
        """Return a manifest with a session that will be there, so that the next one takes another name."""
        return manifest.with_parts([Part(edit.slot, self._shelf.content(manifest.table, edit))])

    def _there(self, table: Table, slot: Slot, content: Content) -> "pl.DataFrame":
        return self._shelf.read(table, slot) if content.rows else frames.empty(table)

    # Checking

    def verify(self, on_file: Callable[[str], None] = lambda _: None) -> list[Difference]:
        """Return what differs from the manifests; see `pine.history.verification.verify`."""
        return verify(self._shelf, on_file)


@define
class Sealing:
    """Finished sessions of streams on their way into the archive, each table once."""

    _archive: Archive
    _shelf: Shelf
    _batch: Batch

    def __len__(self) -> int:
        return len(self._batch)

    def put(self, table: Table, slot: Slot, entries: Sequence[streams.Entry], covered: Iterable[Interval] = ()) -> None:
        """Make a finished session of a stream ready.

        What is there already stays: the same entries do no harm, others are added. What came from elsewhere gives
        way to what was published live.

        Raises
        ------
        ArchiveDiffers
            If another entry was sealed under one of the ids.
        DataError
            If an entry cannot be read.
        """
        manifest = self._archive.manifest(table)
        before = self._shelf.known(manifest, slot)
        frame = frames.of_entries(table, entries)
        if before.rows:
            frame = with_live(table, self._shelf.read(table, slot), frame, yielding=not before.sealed)
        sealed_to = max(
            (i for i in (before.sealed_to, entries[-1][0] if entries else None) if i),
            key=streams.id_pair,
            default=None,
        )
        told = Content(sealed=True, sealed_to=sealed_to, covered=joined([*before.covered, *covered]))
        self._batch.add(manifest, [Edit(slot, before, told, frame)])

    def commit(self, tell: Callable[[], None] = lambda: None) -> list[bool]:
        """Put them in their places; return of each table, in order, whether anything had to be written.

        `tell` is called again and again meanwhile: a disk may be slow.
        """
        return self._batch.commit(tell)


def _check(symbol: str, timeframe: Timeframe, bars: Sequence[Bar], begin: int, end: int, source: str) -> None:
    if source not in get_args(Source):
        raise ValueError(f"source: found {source!r}, expected one of {', '.join(get_args(Source))}")
    if begin >= end:
        raise ValueError(f"interval: found {isoformat(begin)} to {isoformat(end)}, expected the end after the begin")
    before = begin - 1
    for bar in bars:
        bar.check()
        if (bar.symbol, bar.timeframe) != (symbol, timeframe) or not before < bar.start < end or bar.start % NS_PER_MS:
            raise ValueError(
                f"bars: found {bar}, expected {symbol} {timeframe.value} after {isoformat(before)} "
                f"and before {isoformat(end)}"
            )
        before = bar.start
