"""DBN files into the archive: bars, volumes and leads, of what the files wholly hold."""

import pickle
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import orjson
from attrs import define, field, frozen

from pine.bus import streams
from pine.core.bar import Bar, fold
from pine.core.calendar import scheduled_hours
from pine.core.config import Config
from pine.core.contract import parse_contract
from pine.core.errors import DataError
from pine.core.period import SessionRule, period, session, session_begin
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import to_datetime, to_ms
from pine.history.archive import Archive
from pine.history.manifest import Table, joined, without
from pine.history.merging import Added
from pine.hub.aggregator import Closed
from pine.hub.bulk import FAR, Builder, Interval, OnBytes, Seed, Survey, survey
from pine.hub.root import Lead

AT_ONCE: Final = 10 * NS_PER_DAY
"""Bars of this much time are put into the archive together."""
MOST_IN_MEMORY: Final = 100_000
LATE_AT_MOST: Final = 20
"""Records after their minute, in files however short, of which nothing is said but their number."""

_Key = tuple[str, str]
"""Root, and ``volumes``, ``leads`` or a timeframe's word."""


@frozen
class Imported:
    """What an import did.

    Attributes
    ----------
    files
        Files read, in order of time.
    repeated
        Files left out, each with the one that it is byte for byte the same as.
    added
        By root and table: rows that came new, that were there, that replaced others.
    covered
        By root: from when to when (ns) minutes are known.
    counts
        Records read and left out, by reason.
    """

    files: tuple[Path, ...]
    repeated: tuple[tuple[Path, Path], ...]
    added: Mapping[str, Mapping[str, Added]]
    covered: Mapping[str, Sequence[Interval]]
    counts: Mapping[str, int]


@frozen
class Extent:
    """What of a root the files hold, with the closed market around it.

    Attributes
    ----------
    intervals
        Whole minutes in ns, in order.
    floor
        Where the files begin, in ns; what the archive knew of the session before that is among the intervals.
    """

    rule: SessionRule
    intervals: tuple[Interval, ...]
    floor: int

    def holds(self, begin: int, end: int) -> bool:
        """Tell whether all of ``begin <= t < end`` is held."""
        at = bisect_right(self.intervals, (begin, 1 << 63)) - 1
        return at >= 0 and end <= self.intervals[at][1]

    def holds_bar(self, bar: Bar) -> bool:
        """Tell whether all of a bar's period is held."""
        begin, end = period(bar.timeframe, bar.start, self.rule)
        if bar.timeframe is Timeframe.DAY:
            begin = session_begin(bar.start, self.rule)
        return self.holds(begin, end)

    def covered(self, timeframe: Timeframe) -> tuple[Interval, ...]:
        """Return the intervals in which every bar that there was is made from the files."""
        return joined(self._trimmed(begin, end, timeframe) for begin, end in self.intervals)

    def _trimmed(self, begin: int, end: int, timeframe: Timeframe) -> Interval:
        if timeframe is Timeframe.DAY:
            begin = max(begin, session_begin(self.floor, self.rule))
            if session_begin(begin, self.rule) != begin:
                begin = session(begin, self.rule).end
            last = session_begin(end, self.rule)
            return begin, last
        length = NS_PER_MINUTE if timeframe is Timeframe.MINUTE else NS_PER_HOUR
        begin = max(begin, self.floor - self.floor % length)
        return begin + -begin % length, end - end % length


def import_files(
    config: Config,
    paths: Sequence[Path],
    *,
    begin: int | None = None,
    end: int | None = None,
    replace: bool = False,
    on_start: Callable[[int], None] = lambda _: None,
    on_bytes: OnBytes = lambda _: None,
) -> Imported:
    """Build bars from DBN files and put them into the archive.

    Nothing is written before every file was read to its end and everything agrees with what is there.

    Parameters
    ----------
    config
        Roots, sessions, and where the archive is.
    paths
        Files of trades, or of bars of a second or a minute, in any order.
    begin, end
        From when to when the files hold everything, in ns, if their headers say less.
    replace
        Whether to put bars and volumes in the place of different ones.
    on_start, on_bytes
        Told how many bytes there are to read, and each time how many were.

    Raises
    ------
    DataError
        If a file is damaged, two overlap, or none holds a configured root.
    ArchiveDiffers
        If the archive has something else.
    """
    found = survey(paths, begin, end)
    archive = Archive.of(config)
    roots = sorted({root for source in found.sources for root in source.roots} & config.instruments.keys())
    if not roots:
        held = sorted({root for source in found.sources for root in source.roots})
        raise DataError(
            f"{', '.join(map(str, paths))}: found {', '.join(held) or 'no root that can be told'}, "
            f"expected one of the configured instruments {', '.join(config.instruments)}"
        )
    on_start(sum(source.path.stat().st_size for source in found.sources))
    builder = Builder(config, on_bytes)
    with Spool() as spool:
        extents = [_build(config, archive, builder, run, roots, spool) for run in found.runs]
        _refuse_disorder(found, builder.counts)
        commit = _Commit(archive, spool, extents, replace)
        commit.run(roots, dry=True)
        added = commit.run(roots, dry=False)
    return Imported(
        tuple(source.path for source in found.sources),
        found.repeated,
        added,
        {root: joined(i for extent in extents for i in _minutes(extent, root)) for root in roots},
        dict(builder.counts),
    )


def _refuse_disorder(found: Survey, counts: Mapping[str, int]) -> None:
    """Refuse files of which much came after its minute: they are not in order, and what they hold would be lost."""
    read, late = counts.get("trades", 0) + counts.get("bars", 0), counts.get("late", 0)
    if late > LATE_AT_MOST and late > read // 20:
        raise DataError(
            f"{', '.join(str(source.path) for source in found.sources)}: found {late:,} of {read:,} records later than "
            "their minute, expected files in order of time"
        )


def _minutes(extents: Mapping[str, Extent], root: str) -> Sequence[Interval]:
    return extents[root].covered(Timeframe.MINUTE) if root in extents else ()


def _build(
    config: Config, archive: Archive, builder: Builder, run: Survey, roots: Sequence[str], spool: "Spool"
) -> dict[str, Extent]:
    """Make everything of some files that belong together; return what of each root they hold."""
    floor = run.begin + -run.begin % NS_PER_MINUTE
    seeds: dict[str, Seed] = {}
    leads: dict[str, dict[int, Lead]] = {}
    extents: dict[str, Extent] = {}
    for root in roots:
        rule = config.session_rule(root)
        held = run.held(root)
        opening = session_begin(floor, rule)
        leads[root] = _known_leads(archive, root, opening - FAR, run.end)
        if not held:
            continue
        first = min(held)[0]
        if opening < floor and first + -first % NS_PER_MINUTE == floor:
            seed = _seed(archive, root, opening, floor)
            if seed is not None:
                seeds[root] = seed
                held = [(opening, floor), *held]
                _learn_lead(leads[root], root, session(floor, rule).start, seed)
        extents[root] = Extent(rule, _with_closed_times(held, rule), first + -first % NS_PER_MINUTE)
    until = max((interval[1] for extent in extents.values() for interval in extent.intervals), default=run.end)
    known = {root: set(found) for root, found in leads.items()}
    for closed in builder.build(run, max(until, run.end), leads, seeds):
        for item in closed:
            _keep(item, extents, known, spool)
    return extents


def _keep(item: Closed, extents: Mapping[str, Extent], known: Mapping[str, set[int]], spool: "Spool") -> None:
    """Spool what closed at a boundary, as far as the files hold all of it."""
    for bar in item.bars:
        if bar.symbol in extents and extents[bar.symbol].holds_bar(bar):
            spool.put((bar.symbol, bar.timeframe.value), bar)
    minute = item.boundary - NS_PER_MINUTE
    for root, volume in item.volumes.items():
        if root in extents and extents[root].holds(minute, item.boundary):
            entry = (streams.entry_id(to_ms(minute)), {b"volume": orjson.dumps(volume)})
            spool.put((root, "volumes"), entry)
    for lead in item.leads:
        if lead.symbol in extents and lead.session_start not in known[lead.symbol]:
            known[lead.symbol].add(lead.session_start)
            entry = (streams.entry_id(to_ms(lead.session_start)), {b"contract": lead.raw_symbol.encode()})
            spool.put((lead.symbol, "leads"), entry)


def _known_leads(archive: Archive, root: str, begin: int, end: int) -> dict[int, Lead]:
    """Return the leads in the archive around some time."""
    found = archive.leads(root, begin, end + FAR)
    return {start: _lead(root, start, raw) for start, raw in found.items()}


def _lead(root: str, start: int, raw: str) -> Lead:
    return Lead(root, start, parse_contract(raw, to_datetime(start).date(), [root]), raw)


def _learn_lead(leads: dict[int, Lead], root: str, start: int, seed: Seed) -> None:
    """Take the lead of the session under way from its bars, if it is not written down."""
    if start not in leads and seed.minutes:
        leads[start] = _lead(root, start, seed.minutes[-1].contract_symbol)


def _seed(archive: Archive, root: str, opening: int, floor: int) -> Seed | None:
    """Return what the archive has of the session before the files begin; nothing if that is not all of it."""
    rule = archive.rule(root)
    missing = without([(opening, floor)], archive.covered(root, Timeframe.MINUTE))
    if any(scheduled_hours(rule.group, *hole) for hole in missing):
        return None
    minutes = archive.bars(root, Timeframe.MINUTE, opening, floor)
    volume: Counter[str] = Counter()
    for _, fields in archive.volumes(root, opening, floor):
        volume.update(orjson.loads(fields[b"volume"]))
    if not volume:
        for bar in minutes:
            volume[bar.contract_symbol] += bar.volume
    return Seed(minutes, volume)


def _with_closed_times(held: Sequence[Interval], rule: SessionRule) -> tuple[Interval, ...]:
    """Return what is held with the times around it in which nothing was scheduled to trade, in whole minutes."""
    widened = []
    for begin, end in joined(held):
        opening, close = session_begin(begin, rule), session(end, rule).end
        before, after = scheduled_hours(rule.group, opening, begin), scheduled_hours(rule.group, end, close)
        widened.append((begin if before else opening, end if after else close))
    whole: list[Interval] = []
    for begin, end in joined(widened):
        if whole and begin - whole[-1][1] < FAR and not scheduled_hours(rule.group, whole[-1][1], begin):
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((begin, end))
    trimmed = ((begin + -begin % NS_PER_MINUTE, end - end % NS_PER_MINUTE) for begin, end in whole)
    return tuple(interval for interval in trimmed if interval[0] < interval[1])


@define(eq=False)
class _Commit:
    """Puts what was spooled into the archive."""

    archive: Archive
    spool: "Spool"
    extents: Sequence[Mapping[str, Extent]]
    replace: bool

    def run(self, roots: Sequence[str], *, dry: bool) -> dict[str, dict[str, Added]]:
        """Compare everything, or write it; return what became of it."""
        return {root: self._root(root, dry) for root in roots}

    def _root(self, root: str, dry: bool) -> dict[str, Added]:
        added = {timeframe.value: self._bars(root, timeframe, dry) for timeframe in Timeframe}
        for kind in ("volumes", "leads"):
            table = Table(kind, (("symbol", root),))
            added[kind] = Added()
            if kind == "volumes" and self.replace:
                added[kind] = self._replaced_volumes(root, table, dry)
                continue
            for entries in _grouped(self.spool.read((root, kind))):
                added[kind] = added[kind].plus(self.archive.add_entries(table, entries, dry=dry))
        return added

    def _replaced_volumes(self, root: str, table: Table, dry: bool) -> Added:
        total = Added()
        volumes = _Ahead(self.spool.read((root, table.kind)), _entry_time)
        for begin, end in self._pieces(root, Timeframe.MINUTE):
            total = total.plus(self.archive.replace_entries(table, volumes.before(end), begin, end, dry=dry))
        return total

    def _bars(self, root: str, timeframe: Timeframe, dry: bool) -> Added:
        total = Added()
        bars = _Ahead(self.spool.read((root, timeframe.value)), _bar_time)
        for begin, end in self._pieces(root, timeframe):
            own = bars.before(end)
            total = total.plus(
                self.archive.add_bars(root, timeframe, own, begin, end, "import", replace=self.replace, dry=dry)
            )
        if self.replace and not dry and timeframe is not Timeframe.MINUTE:
            for begin, end, found in self._crossed(root, timeframe):
                total = total.plus(self.archive.add_bars(root, timeframe, found, begin, end, "import", replace=True))
        return total

    def _crossed(self, root: str, timeframe: Timeframe) -> Iterator[tuple[int, int, list[Bar]]]:
        """Yield the hours or days that the files hold a part of, made of that and of the minutes that were there."""
        known = joined(self.archive.covered(root, Timeframe.MINUTE))
        group = self.archive.rule(root).group
        for extents in self.extents:
            for held in extents[root].covered(Timeframe.MINUTE) if root in extents else ():
                for at in (held[0], held[1] - 1):
                    start, end = period(timeframe, at, extents[root].rule)
                    begin = session_begin(at, extents[root].rule) if timeframe is Timeframe.DAY else start
                    missing = without([(begin, end)], known)
                    if extents[root].holds(begin, end) or any(scheduled_hours(group, *hole) for hole in missing):
                        continue
                    minutes = self.archive.bars(root, Timeframe.MINUTE, begin, end)
                    yield begin, end, [fold(minutes, timeframe, start)] if minutes else []

    def _pieces(self, root: str, timeframe: Timeframe) -> Iterator[Interval]:
        """Yield what is covered in pieces that end with sessions."""
        for extents in self.extents:
            for begin, end in extents[root].covered(timeframe) if root in extents else ():
                at = begin
                while at < end:
                    until = min(end, session(at + AT_ONCE, extents[root].rule).end)
                    yield at, until
                    at = until


@define(eq=False)
class _Ahead:
    """Bars or entries in order of time, taken up to a time."""

    rows: Iterator[Any]
    time: Callable[[Any], int]
    _next: Any = None

    def before(self, end: int) -> list[Any]:
        """Return those that start before `end` and were not taken yet."""
        taken: list[Any] = []
        while True:
            row = self._next or next(self.rows, None)
            self._next = None
            if row is None:
                return taken
            if self.time(row) >= end:
                self._next = row
                return taken
            taken.append(row)


def _bar_time(bar: Bar) -> int:
    return bar.start


def _entry_time(entry: streams.Entry) -> int:
    return streams.ms_of(entry[0]) * NS_PER_MS


def _grouped(entries: Iterator[Any]) -> Iterator[list[streams.Entry]]:
    """Yield entries in groups of some days."""
    group: list[streams.Entry] = []
    for entry in entries:
        if group and (streams.ms_of(entry[0]) - streams.ms_of(group[0][0])) * NS_PER_MS >= AT_ONCE:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


@define(eq=False)
class Spool:
    """Keeps rows by key in order, on disk what is too many for memory."""

    _rows: dict[_Key, list[Any]] = field(factory=dict)
    _count: int = 0
    _file: Any = None
    _places: dict[_Key, list[int]] = field(factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def put(self, key: _Key, row: Any) -> None:
        """Add a row."""
        self._rows.setdefault(key, []).append(row)
        self._count += 1
        if self._count >= MOST_IN_MEMORY:
            self._write()

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="pine-import-")  # noqa: SIM115  # closed by __exit__
        self._file.seek(0, 2)
        for key, rows in self._rows.items():
            self._places.setdefault(key, []).append(self._file.tell())
            pickle.dump(rows, self._file, pickle.HIGHEST_PROTOCOL)
        self._rows = {}
        self._count = 0

    def read(self, key: _Key) -> Iterator[Any]:
        """Yield the rows of a key in the order in which they came."""
        for place in self._places.get(key, []):
            self._file.seek(place)
            yield from pickle.load(self._file)  # noqa: S301  # our own, just written, and nobody else can open it
        yield from self._rows.get(key, [])
