"""The archive: finished sessions as Parquet files, read by symbol and time, written whole or not at all."""

import contextlib
import hashlib
import io
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, get_args

from attrs import define, evolve, field, frozen

from pine.bus import keys, streams
from pine.bus.pauses import pause
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.errors import ArchiveDiffers, ArchiveError
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import isoformat
from pine.history import tables
from pine.history.manifest import SCHEMA_VERSION, Content, Interval, Manifest, Part, Slot, Table, clipped, joined
from pine.history.store import Store, open_store
from pine.history.tables import CODECS, LIVE, Rows

if TYPE_CHECKING:
    import polars as pl

Source = Literal["import", "historical"]
"""Where bars come from that no hub of ours published: somebody's files, Databento Historical."""

BARS: Final = ("bars", "vendor_bars")
"""Kinds of tables of bars: those that a root had, and those that Databento has of a contract, to compare with."""

EARLIEST: Final = -(1 << 62)
LATEST: Final = 1 << 62


@frozen
class Added:
    """What became of bars that were to be added."""

    added: int = 0
    equal: int = 0
    replaced: int = 0

    def plus(self, more: "Added") -> "Added":
        """Return the sum of both."""
        return Added(self.added + more.added, self.equal + more.equal, self.replaced + more.replaced)


@frozen
class Difference:
    """What `verify` found wrong with one file or manifest."""

    path: str
    what: str


@frozen
class _Edit:
    """A session as it shall be; no bytes where its file stays as it is."""

    part: Part
    payload: bytes | None


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
    _manifests: dict[Table, tuple[bytes | None, Manifest]] = field(factory=dict)

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
        return tables.frame_bars(*_bars_of(table), self.frame(table, begin, end))

    def covered(self, symbol: str, timeframe: Timeframe) -> list[Interval]:
        """Return the intervals, in ns, of which the archive holds every bar that there was, in order.

        A session, or an hour, without trades is covered; a hole that a ``gap`` or ``reset`` left is not, nor is an
        hour or day that the hole made impossible.
        """
        return self.covered_of(bars_table(symbol, timeframe))

    def covered_of(self, table: Table, *, sealed: bool = False) -> list[Interval]:
        """Return the intervals, in ns, that a table covers, in order; `sealed`: of sessions sealed from streams."""
        found = [self._present(part) for part in self.manifest(table).parts]
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
        with self._explained(table.path):
            return self.scan(table, begin, end).collect()

    def scan(self, table: Table, begin: int = EARLIEST, end: int = LATEST) -> "pl.LazyFrame":
        """Return the rows of a table between two times, in ns, as a polars query over the files that can hold some."""
        import polars as pl

        column = _time_column(table)
        closing = column == "step"  # a step on a boundary belongs to the session that ends there
        wanted = [
            part.slot.file
            for part in self.manifest(table).parts
            if part.slot.begin < end and begin < part.slot.end + closing and self._present(part).rows
        ]
        if not wanted:
            return _empty(table).lazy()
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
        payload = self.store.read(table.manifest)
        known = self._manifests.get(table)
        if known is None or known[0] != payload:
            known = (payload, Manifest.read(table, payload))
            self._manifests[table] = known
        return known[1]

    def tables(self) -> list[Table]:
        """Return every table of which something is listed."""
        return [Table.of_manifest(path) for path in self.store.find("manifest")]

    def _present(self, part: Part) -> Content:
        """Return what a session's file is; of two contents, after a replacement was cut short, the real one."""
        if part.following is None:
            return part.content
        payload = self.store.read(part.slot.file)
        is_new = (None if payload is None else _sha256(payload)) == part.following.sha256
        return part.following if is_new else part.content

    # Writing

    def seal(
        self, table: Table, slot: Slot, entries: Sequence[streams.Entry], covered: Iterable[Interval] = ()
    ) -> bool:
        """Put a finished session of a stream in its place; return whether anything had to be written.

        What is there already stays: the same entries do no harm, others are added. What came from elsewhere gives
        way to what was published live.

        Raises
        ------
        ArchiveDiffers
            If another entry was sealed under one of the ids.
        DataError
            If an entry cannot be read.
        """
        with self.store.writing():
            manifest = self.manifest(table)
            known = manifest.part(slot)
            before = Content() if known is None else self._present(known)
            frame = self._frame(table, entries)
            if before.rows:
                frame = self._merged(table, slot, frame, yielding=not before.sealed)
            sealed_to = max(
                (i for i in (before.sealed_to, entries[-1][0] if entries else None) if i),
                key=streams.id_pair,
                default=None,
            )
            content = evolve(
                _content(table, frame), sealed=True, sealed_to=sealed_to, covered=joined([*before.covered, *covered])
            )
            return self._write(manifest, [self._edit(slot, before if known else None, content, frame)])

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
        edits: list[_Edit] = []
        total = Added()
        starts = [bar.start for bar in bars]
        with self.store.writing():
            manifest = self.manifest(table)
            for slot, first, last in self._slots(manifest, self.rule(symbol), begin, end):
                own = bars[bisect_left(starts, first) : bisect_left(starts, last)]
                if dry and manifest.part(slot) is None:
                    total = total.plus(Added(len(own)))
                    continue
                edit, added = self._addition(manifest, slot, own, (first, last), source, replace=replace)
                total = total.plus(added)
                manifest = manifest.with_parts([edit.part])  # so that the next session does not take this one's name
                edits.append(edit)
            if not dry:
                self._write(self.manifest(table), edits)
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
        edits: list[_Edit] = []
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
                known = manifest.part(slot)
                before = Content() if known is None else self._present(known)
                frame = self._frame(table, entries[at:until])
                if before.rows:
                    frame = self._merged(table, slot, frame)
                added = frame.height - before.rows
                total = total.plus(Added(added, until - at - added))
                content = evolve(
                    _content(table, frame),
                    sealed=before.sealed,
                    sealed_to=before.sealed_to,
                    covered=joined([*before.covered, *clipped(covered, slot.begin, slot.end)]),
                )
                edits.append(self._edit(slot, before if known else None, content, frame))
                manifest = manifest.with_parts([edits[-1].part])
                at = until
            if not dry:
                self._write(self.manifest(table), edits)
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
        codec, edits, total = CODECS[table.kind], list[_Edit](), Added()
        with self.store.writing():
            manifest = self.manifest(table)
            for slot, first, last in self._slots(manifest, self.rule(dict(table.parts)["symbol"]), begin, end):
                known = manifest.part(slot)
                before = Content() if known is None else self._present(known)
                there = dict(codec.entries(self._read(table, slot))) if before.rows else {}
                own = dict(_between(codec.entries(self._frame(table, entries)), first, last))
                old = dict(_between(there.items(), first, last))
                if not own and not old:
                    continue
                kept = {i: fields for i, fields in there.items() if i not in old} | own
                frame = codec.frame(table.path, [(i, kept[i]) for i in sorted(kept, key=streams.id_pair)])
                equal = sum(old.get(i) == fields for i, fields in own.items())
                total = total.plus(Added(len(own.keys() - old.keys()), equal, len(old) - equal))
                content = evolve(
                    _content(table, frame), sealed=before.sealed, sealed_to=before.sealed_to, covered=before.covered
                )
                edits.append(self._edit(slot, before if known else None, content, frame))
                manifest = manifest.with_parts([edits[-1].part])
            if not dry:
                self._write(self.manifest(table), edits)
        return total

    def _slots(self, manifest: Manifest, rule: SessionRule, begin: int, end: int) -> Iterator[tuple[Slot, int, int]]:
        while begin < end:
            slot = manifest.slot_at(begin, rule)
            yield slot, begin, min(end, slot.end)
            begin = slot.end

    def _addition(
        self,
        manifest: Manifest,
        slot: Slot,
        bars: Sequence[Bar],
        interval: Interval,
        source: str,
        *,
        replace: bool,
    ) -> tuple[_Edit, Added]:
        """Return what a session becomes with bars from elsewhere, and how they compare."""
        table = manifest.table
        symbol, timeframe = _bars_of(table)
        known = manifest.part(slot)
        before = Content() if known is None else self._present(known)
        there: Rows = tables.frame_rows(symbol, timeframe, self._read(table, slot)) if before.rows else []
        old = {bar.start: (bar, origin) for bar, origin in there}
        new = {bar.start: bar for bar in bars}
        certain = clipped(before.covered, *interval)
        gone = [s for s in old if interval[0] <= s < interval[1] and s not in new]
        if not replace:
            _refuse_differences(table, old, new, certain)
            gone = []
        merged = {start: row for start, row in old.items() if start not in gone}
        equal = {start for start, bar in new.items() if start in old and old[start][0] == bar}
        merged |= {start: (bar, source) for start, bar in new.items() if start not in equal}
        frame = tables.bars_frame([merged[start] for start in sorted(merged)])
        content = evolve(
            _content(table, frame),
            sealed=before.sealed,
            sealed_to=before.sealed_to,
            covered=joined([*before.covered, interval]),
        )
        changed = sum(1 for start in new if start in old and start not in equal)
        told = Added(len(new) - len(equal) - changed, len(equal), changed + len(gone))
        return self._edit(slot, before if known else None, content, frame), told

    def _read(self, table: Table, slot: Slot) -> "pl.DataFrame":
        import polars as pl

        payload = self.store.read(slot.file)
        if payload is None:
            raise ArchiveError(f"archive {self.store.shown}, {slot.file}: is listed and not there")
        with self._explained(slot.file):
            return pl.read_parquet(io.BytesIO(payload), columns=_columns(table))

    @contextlib.contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        from polars.exceptions import PolarsError

        try:
            yield
        except (PolarsError, OSError) as error:
            raise ArchiveError(
                f"archive {self.store.shown}, {path}: cannot be read: {error}; pine archive verify names the file"
            ) from None

    def _frame(self, table: Table, entries: Sequence[streams.Entry]) -> "pl.DataFrame":
        if not entries:
            return _empty(table)
        if table.kind in BARS:
            return tables.bars_of_entries(*_bars_of(table), entries)
        return CODECS[table.kind].frame(table.path, entries)

    def _merged(self, table: Table, slot: Slot, frame: "pl.DataFrame", *, yielding: bool = False) -> "pl.DataFrame":
        """Return a session's rows with those of its file, which may have to yield where they differ."""
        there = self._read(table, slot)
        if table.kind in BARS:
            symbol, timeframe = _bars_of(table)
            return _merged_bars(
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

    def _edit(self, slot: Slot, before: Content | None, content: Content, frame: "pl.DataFrame") -> _Edit:
        """Return the session as it shall be; its file is only written again if its rows change."""
        if before is not None and before.rows and self._same_rows(slot, frame):
            return _Edit(Part(slot, evolve(content, sha256=before.sha256)), None)
        payload = _parquet(frame) if frame.height else None
        sha256 = None if payload is None else _sha256(payload)
        return _Edit(Part(slot, evolve(content, sha256=sha256)), payload)

    def _same_rows(self, slot: Slot, frame: "pl.DataFrame") -> bool:
        import polars as pl

        payload = self.store.read(slot.file)
        with self._explained(slot.file):
            return payload is not None and pl.read_parquet(io.BytesIO(payload)).equals(frame)

    def _write(self, manifest: Manifest, edits: Sequence[_Edit]) -> bool:
        """Bring sessions to what they shall be; whenever it is cut short, each is the old one or the new one.

        Files first, then the manifest. Of a file that is replaced the manifest says beforehand what it is to become.
        """
        wanted = manifest.with_parts(edit.part for edit in edits)
        if wanted == manifest:
            return False
        staged = [self.store.stage(e.part.slot.file, e.payload) for e in edits if e.payload is not None]
        announced = self._announced(manifest, edits)
        if announced != manifest:
            self._list(announced)
        pause(keys.ARCHIVE, "written")
        for ready in staged:
            ready.publish()
        pause(keys.ARCHIVE, "renamed")
        self._list(wanted)
        for edit in edits:
            known = manifest.part(edit.part.slot)
            if known is not None and known.content.rows and not edit.part.content.rows:
                self.store.remove(edit.part.slot.file)
        pause(keys.ARCHIVE, "listed")
        return True

    def _announced(self, manifest: Manifest, edits: Sequence[_Edit]) -> Manifest:
        """Return a manifest that says of each file that is there what it is to become."""
        replaced = []
        for edit in edits:
            known = manifest.part(edit.part.slot)
            if known is not None and edit.payload is not None and self._present(known).rows:
                replaced.append(Part(known.slot, self._present(known), edit.part.content))
        return manifest.with_parts(replaced)

    def _list(self, manifest: Manifest) -> None:
        self.store.stage(manifest.table.manifest, manifest.encode()).publish()

    # Checking

    def verify(self, on_file: Callable[[str], None] = lambda _: None) -> list[Difference]:
        """Read every file, recompute hashes and counts, and return what differs from the manifests.

        Parameters
        ----------
        on_file
            Told each path before it is read.
        """
        found = self._differences(on_file)
        if not found:
            return []
        # Somebody may be writing at this moment: what is still wrong while nobody does is wrong.
        with contextlib.suppress(ArchiveError), self.store.writing():
            found = self._differences(lambda _: None)
        return found

    def _differences(self, on_file: Callable[[str], None]) -> list[Difference]:
        found: list[Difference] = []
        listed: set[str] = set()
        for path in self.store.find("manifest"):
            try:
                manifest = self.manifest(Table.of_manifest(path))
            except ArchiveError as error:
                found.append(Difference(path, str(error)))
                continue
            for part in manifest.parts:
                if part.content.rows or (part.following is not None and part.following.rows):
                    listed.add(part.slot.file)
                    on_file(part.slot.file)
                    found += [Difference(part.slot.file, what) for what in self._wrong(manifest.table, part)]
        for kind in (*BARS, *CODECS):
            found += [
                Difference(path, "is not listed in its manifest; pine archive --once seals it again")
                for path in self.store.find(kind)
                if path not in listed
            ]
        return found

    def _wrong(self, table: Table, part: Part) -> Iterator[str]:
        """Yield what is wrong with one file."""
        import polars as pl

        payload = self.store.read(part.slot.file)
        if payload is None:
            yield "is listed and not there"
            return
        content = self._present(part)
        sha256 = _sha256(payload)
        if sha256 != content.sha256:
            yield f"sha256: found {sha256}, expected {content.sha256}"
        try:
            frame = pl.read_parquet(io.BytesIO(payload), columns=_columns(table))
        except Exception as error:  # noqa: BLE001  # whatever a damaged file makes of polars
            yield f"cannot be read: {type(error).__name__}: {error}"
            return
        seen = _content(table, frame)
        for name in ("rows", "first_id", "last_id", "sources"):
            if getattr(seen, name) != getattr(content, name):
                yield f"{name}: found {getattr(seen, name)}, expected {getattr(content, name)}"


def bars_table(symbol: str, timeframe: Timeframe) -> Table:
    """Return the table of a root's bars of one length."""
    return Table("bars", (("symbol", symbol), ("timeframe", timeframe.value)))


def vendor_bars_table(symbol: str, contract: str) -> Table:
    """Return the table of the minutes that Databento has of a contract, to compare with; never a root's record."""
    return Table("vendor_bars", (("symbol", symbol), ("contract", contract), ("timeframe", "1min")))


def _bars_of(table: Table) -> tuple[str, Timeframe]:
    parts = dict(table.parts)
    return parts["symbol"], Timeframe(parts["timeframe"])


def _time_column(table: Table) -> str:
    return "timestamp" if table.kind in BARS else CODECS[table.kind].time


def _empty(table: Table) -> "pl.DataFrame":
    return tables.bars_frame([]) if table.kind in BARS else CODECS[table.kind].frame(table.path, [])


def _columns(table: Table) -> list[str]:
    return _empty(table).columns


def _content(table: Table, frame: "pl.DataFrame") -> Content:
    """Return what rows say of themselves."""
    import polars as pl

    if not frame.height:
        return Content()
    if table.kind not in BARS:
        return Content(frame.height, frame["id"][0], frame["id"][-1])
    starts = frame["timestamp"].cast(pl.Int64)
    sources = dict(Counter(frame["source"].to_list()))
    return Content(frame.height, tables.bar_id(int(starts[0])), tables.bar_id(int(starts[-1])), sources=sources)


def _merged_bars(table: Table, there: Rows, live: Rows) -> "pl.DataFrame":
    """Return the rows of a session with what was published live; that wins over what came from elsewhere."""
    known = {bar.start: (bar, source) for bar, source in there}
    for bar, source in live:
        old = known.get(bar.start)
        if old is not None and old[1] == LIVE and old[0] != bar:
            raise ArchiveDiffers(f"{_where(table, bar.start)}: found {old[0]} in the archive, and {bar} on the stream")
        known[bar.start] = (bar, source)
    return tables.bars_frame([known[start] for start in sorted(known)])


def _between(entries: Iterable[streams.Entry], begin: int, end: int) -> Iterator[streams.Entry]:
    return (entry for entry in entries if begin <= streams.ms_of(entry[0]) * NS_PER_MS < end)


def _refuse_differences(
    table: Table, old: Mapping[int, tuple[Bar, str]], new: Mapping[int, Bar], certain: Sequence[Interval]
) -> None:
    """Raise `ArchiveDiffers` at the first bar that is not the one in the archive."""
    for start in sorted({*old, *new}):
        there, given = old.get(start), new.get(start)
        if given is None and not any(begin <= start < end for begin, end in certain):
            continue
        if there is None and not any(begin <= start < end for begin, end in certain):
            continue
        if (there and there[0]) != given:
            found = "no bar" if there is None else f"{there[0]} ({there[1]})"
            raise ArchiveDiffers(
                f"{_where(table, start)}: found {found} in the archive, and {given or 'no bar'} to be added; "
                "ask to replace it if the new one is right"
            )


def _where(table: Table, start: int) -> str:
    return f"archive {table.path} {isoformat(start)}"


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


def _parquet(frame: "pl.DataFrame") -> bytes:
    sink = io.BytesIO()
    frame.write_parquet(sink, metadata={"pine.schema": str(SCHEMA_VERSION)})
    return sink.getvalue()


def _sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
