"""DBN files to closed bars, in bulk: chunks of files as batches through the live hub's own aggregator."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Final

import numpy as np
from attrs import define, evolve, field, frozen
from numpy.typing import NDArray

from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.contract import SymbolKind, classify, parse_contract
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS
from pine.core.times import isoformat, to_datetime
from pine.hub.aggregator import HEARTBEAT_DOUBT, Aggregator, Closed
from pine.hub.clock import TAPE_JUMP, TapeClock
from pine.hub.dbn import TRADE, Header, Name, Records, read_ahead, read_header, read_records
from pine.hub.root import Lead

FAR: Final = 7 * NS_PER_DAY
"""After a hole this long nothing is carried on, as in a hub that starts for the first time."""
STEP: Final = TAPE_JUMP - NS_PER_DAY

Interval = tuple[int, int]
"""From, and up to but without, in ns since 1970."""
OnBytes = Callable[[int], None]
Int64 = NDArray[np.int64]
_Timed = tuple[Records, Int64]
"""Records, with the event time that was reached with each."""


@frozen
class Source:
    """A file, and what it holds.

    Attributes
    ----------
    begin, end
        All that was traded in ``begin <= t < end``, ns, of its instruments is in it.
    names
        What its instrument ids stand for, in order of time.
    roots
        The roots it holds everything of, as far as pine knows them.
    """

    path: Path
    header: Header
    begin: int
    end: int
    names: tuple[Name, ...]
    roots: frozenset[str]


@frozen
class Survey:
    """Files to be read as one, in order of time.

    Attributes
    ----------
    repeated
        Files that are left out: byte for byte the same as another one, which is named with each.
    """

    sources: tuple[Source, ...]
    repeated: tuple[tuple[Path, Path], ...] = ()

    @property
    def runs(self) -> "list[Survey]":
        """The files cut where nothing is there for a week or more."""
        runs: list[list[Source]] = []
        reached = 0
        for source in self.sources:
            if not runs or source.begin - reached >= FAR:
                runs.append([])
            runs[-1].append(source)
            reached = max(reached, source.end)
        return [Survey(tuple(run)) for run in runs]

    @property
    def begin(self) -> int:
        """Where the first file begins, in ns."""
        return min(source.begin for source in self.sources)

    @property
    def end(self) -> int:
        """Where the last file ends, in ns."""
        return max(source.end for source in self.sources)

    def held(self, root: str) -> list[Interval]:
        """Return when everything of a root is in the files."""
        return [(source.begin, source.end) for source in self.sources if root in source.roots]


@frozen
class Seed:
    """What is known of the session in which the files begin, from elsewhere: its minutes, and volume by contract."""

    minutes: Sequence[Bar]
    volume: Mapping[str, int]


def survey(paths: Sequence[Path], begin: int | None = None, end: int | None = None) -> Survey:
    """Look at what files hold, and put them in order.

    Parameters
    ----------
    paths
        DBN files of trades or bars of a second or a minute, in any order.
    begin, end
        What the first and the last file hold if their own header says less, in ns.

    Raises
    ------
    DataError
        If one cannot be read, they are of several datasets, or two hold the same instruments at the same time.
    """
    chosen, repeated = _without_repeats(paths)
    sources = sorted((_source(path) for path in chosen), key=lambda source: (source.begin, source.end, source.path))
    for source in sources:
        if source.header.dataset != sources[0].header.dataset:
            raise DataError(
                f"{source.path}: found dataset {source.header.dataset}, "
                f"expected {sources[0].header.dataset} as in {sources[0].path}"
            )
    for one, other in combinations(sources, 2):
        _refuse_overlap(one, other)
    return Survey(_widened(sources, begin, end), repeated)


def _widened(sources: Sequence[Source], begin: int | None, end: int | None) -> tuple[Source, ...]:
    if not sources:
        return ()
    first, last = min(s.begin for s in sources), max(s.end for s in sources)
    return tuple(
        evolve(
            source,
            begin=min(begin, first) if begin is not None and source.begin == first else source.begin,
            end=max(end, last) if end is not None and source.end == last else source.end,
        )
        for source in sources
    )


def _without_repeats(paths: Sequence[Path]) -> tuple[list[Path], tuple[tuple[Path, Path], ...]]:
    """Return the files that differ, and those that are left out with the one that each is the same as."""
    chosen: dict[tuple[int, str], Path] = {}
    repeated = []
    try:
        sizes = Counter(path.stat().st_size for path in paths)
        for path in paths:
            size = path.stat().st_size
            mark = str(path) if sizes[size] == 1 else _digest(path)
            if (size, mark) in chosen:
                repeated.append((path, chosen[size, mark]))
            else:
                chosen[size, mark] = path
    except OSError as error:
        raise DataError(f"{error.filename}: found no readable file ({error.strerror}), expected DBN") from None
    return list(chosen.values()), tuple(repeated)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _source(path: Path) -> Source:
    header = read_header(path)
    begin, end, names = header.begin, header.end, header.names
    if end is None or header.schema is None:
        begin, end, names = _scan(path, names)
    return Source(path, header, begin, end, names, _roots(header, names))


def _scan(path: Path, names: Sequence[Name]) -> tuple[int, int, tuple[Name, ...]]:
    """Read a recorded session to its end, since its header cannot tell what it came to hold."""
    begin, end = (1 << 63) - 1, 0
    found: dict[tuple[int, str], Name] = {(name.instrument_id, name.symbol): name for name in names}
    known = {name.instrument_id for name in names}
    for piece in read_records(path):
        if isinstance(piece, Name):
            # A session that replays names its instruments after the time of what it replays.
            since = piece.begin if piece.instrument_id in known else 0
            known.add(piece.instrument_id)
            found.setdefault((piece.instrument_id, piece.symbol), piece._replace(begin=since))
        else:
            times = _times(piece)
            begin, end = min(begin, int(times.min())), max(end, int(times.max()) + 1)
    if not end:
        raise DataError(f"{path}: found no trades, expected some, or a header that says when none were made")
    return begin, end, tuple(sorted(found.values()))


def _roots(header: Header, names: Sequence[Name]) -> frozenset[str]:
    roots = {symbol.removesuffix(".FUT") for symbol in header.symbols if symbol.endswith(".FUT")}
    for name in names:
        if classify(name.symbol) is SymbolKind.OUTRIGHT:
            roots.add(parse_contract(name.symbol, to_datetime(max(name.begin, header.begin)).date()).root)
    return frozenset(roots)


def _refuse_overlap(one: Source, other: Source) -> None:
    begin, end = max(one.begin, other.begin), min(one.end, other.end)
    if begin >= end:
        return
    shared = {(name.instrument_id, name.symbol) for name in one.names} & {
        (name.instrument_id, name.symbol) for name in other.names
    }
    if shared:
        symbols = sorted({symbol for _, symbol in shared})
        more = f" and {len(symbols) - 1} more" if len(symbols) > 1 else ""
        raise DataError(
            f"{one.path} and {other.path}: both hold {symbols[0]}{more} from {isoformat(begin)} to {isoformat(end)}; "
            "their trades would count twice, give one of the two"
        )


@define(eq=False)
class Builder:
    """Feeds files through an aggregator.

    Parameters
    ----------
    config
        Roots, sessions and how the hub makes bars.
    on_bytes
        Told how much of the files was read.

    Attributes
    ----------
    counts
        What was read and left out, as the hub counts it.
    """

    config: Config
    on_bytes: OnBytes = lambda _: None
    counts: Counter[str] = field(factory=Counter)

    def build(
        self, run: Survey, until: int, leads: Mapping[str, Mapping[int, Lead]], seeds: Mapping[str, Seed]
    ) -> Iterator[list[Closed]]:
        """Yield what closes, in order of time.

        Parameters
        ----------
        run
            Files without a long hole between them.
        until
            Up to when, in ns, it is known that no more trades were made; not before the files end.
        leads
            Leads that are decided already, by root and session start.
        seeds
            What is known of the session in which the files begin, by root.

        Raises
        ------
        DataError
            If a file is damaged or cut short.
        """
        floor = run.begin + -run.begin % NS_PER_MINUTE
        aggregator = self._aggregator(leads)
        aggregator.begin_session(replaying=False, floor=floor)
        for symbol, seed in seeds.items():
            aggregator.seed(symbol, seed.minutes, seed.volume, (), floor)
        names = sorted({name for source in run.sources for name in source.names})
        for batch, first in self._named(_merged(run.sources, self.on_bytes), names, aggregator):
            yield from _quiet(aggregator, first, until)
            if batch.dtype == TRADE:
                aggregator.add(batch)
            else:
                aggregator.add_ohlcv(batch)
            yield aggregator.advance()
        # What is known to hold no more trades closes too.
        beyond = until + aggregator.lateness + HEARTBEAT_DOUBT
        yield from _quiet(aggregator, beyond, beyond)
        aggregator.heartbeat(beyond)
        yield aggregator.advance()
        self.counts.update(aggregator.counts)

    def _aggregator(self, leads: Mapping[str, Mapping[int, Lead]]) -> Aggregator:
        hub = self.config.hub
        return Aggregator(
            rules={symbol: self.config.session_rule(symbol) for symbol in self.config.instruments},
            clock=TapeClock(),
            lateness=hub.lateness_ms * NS_PER_MS,
            bar_clock=hub.bar_clock,
            fill_quiet=hub.fill_quiet_minutes,
            leads=leads,
        )

    def _named(
        self, batches: Iterator[_Timed], names: Sequence[Name], aggregator: Aggregator
    ) -> Iterator[tuple[Records, int]]:
        """Yield batches with their first times, after the names that hold then are known; ids are given anew."""
        following = 0
        for batch, times in batches:
            at = 0
            while at < len(batch):
                first = int(times[at])
                while following < len(names) and names[following].begin <= first:
                    name = names[following]
                    aggregator.table.add(name.instrument_id, name.symbol, max(name.begin, first))
                    following += 1
                until = len(batch)
                if following < len(names):
                    until = max(at + 1, int(np.searchsorted(times, names[following].begin)))
                yield from _without_jumps(batch[at:until], times[at:until])
                at = until


def _without_jumps(batch: Records, times: Int64) -> Iterator[tuple[Records, int]]:
    """Cut where so much time passes that the hub would not believe it without a word in between."""
    if int(times[-1]) - int(times[0]) < STEP:
        yield batch, int(times[0])
        return
    cuts = np.flatnonzero(np.diff(times) >= STEP) + 1
    for first, last in pairwise([0, *cuts.tolist(), len(batch)]):
        yield batch[first:last], int(times[first])


def _quiet(aggregator: Aggregator, until: int, end: int) -> Iterator[list[Closed]]:
    """Let time pass, as heartbeats would, where a long stretch has no trades; nothing beyond the files' end counts."""
    while aggregator.watermark and aggregator.watermark + STEP <= min(until, end):
        aggregator.heartbeat(aggregator.watermark + STEP)
        yield aggregator.advance()


def _times(records: Records) -> Int64:
    """Return when records were received; bars stand where they begin."""
    name = "ts_recv" if records.dtype == TRADE else "ts_event"
    return np.ascontiguousarray(records[name]).astype(np.int64)


@define(eq=False)
class _Stream:
    """Chunks of one file with the time up to which everything before them is out."""

    chunks: Iterator[Records]
    beyond: int
    reached: int
    buffer: Records | None = None
    keys: Int64 = field(factory=lambda: np.zeros(0, np.int64))

    def fill(self) -> bool:
        """Make sure that there are records; return whether there are."""
        while not len(self.keys):
            chunk = next(self.chunks, None)
            if chunk is None:
                return False
            times = _times(chunk)
            # A time beyond the file's end is no time: such a record stays where it stands.
            self.buffer, self.keys = chunk, np.maximum.accumulate(np.where(times < self.beyond, times, 0))
            np.maximum(self.keys, self.reached, out=self.keys)
            self.reached = int(self.keys[-1])
        return True

    def take(self, horizon: int) -> _Timed:
        """Return the records up to a time; what follows stays."""
        assert self.buffer is not None
        count = int(np.searchsorted(self.keys, horizon, side="right"))
        taken = self.buffer[:count], self.keys[:count]
        self.buffer, self.keys = self.buffer[count:], self.keys[count:]
        return taken


def _merged(sources: Sequence[Source], on_bytes: OnBytes) -> Iterator[_Timed]:
    """Yield the records of files in order of time, with it; those of one file stay in its own order."""
    waiting = sorted(sources, key=lambda source: source.begin)
    running: list[_Stream] = []
    while waiting or running:
        if not running or (waiting and waiting[0].begin <= min(int(s.keys[-1]) for s in running)):
            stream = _stream(waiting.pop(0), on_bytes)
            running += [stream] if stream.fill() else []
            continue
        horizon = min(int(stream.keys[-1]) for stream in running)
        parts = [part for stream in running if len((part := stream.take(horizon))[0])]
        for kind in sorted({records.dtype.itemsize for records, _ in parts}):
            yield _in_order([part for part in parts if part[0].dtype.itemsize == kind])
        running = [stream for stream in running if stream.fill()]


def _in_order(parts: Sequence[_Timed]) -> _Timed:
    if len(parts) == 1:
        return parts[0]
    keys = np.concatenate([keys for _, keys in parts])
    order = np.argsort(keys, kind="stable")
    return np.concatenate([records for records, _ in parts])[order], keys[order]


def _stream(source: Source, on_bytes: OnBytes) -> _Stream:
    pieces = read_records(source.path, on_bytes)
    chunks = (piece for piece in pieces if not isinstance(piece, Name))
    return _Stream(read_ahead(chunks), source.end + NS_PER_DAY, source.begin)
