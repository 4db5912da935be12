"""The files of the hub's tape: what one connection received of an hour while it lasts, then whole DBN files.

What is being received goes to a file ``….part``, valid DBN that is written on and on. At the end of the hour, of the
connection or of the hub, and at the next start after a kill, it is laid over what is there of that hour already: where
both have a time, what was received later counts, so that a replay doubles nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import databento_dbn as dbn
import numpy as np
import zstandard
from attrs import define, evolve, field, frozen
from numpy.typing import NDArray

from pine.bus.durable import put, sync
from pine.core.errors import DataError
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from pine.core.times import to_datetime
from pine.hub.dbn import TRADE, Name, Records, encode_header, read_header, read_records

DONE: Final = ".dbn.zst"
PART: Final = ".dbn.part"
TEMPORARY: Final = ".tmp"
ASIDE: Final = ".unreadable"

_STAMP: Final = "%Y-%m-%dT%H-%M"
_LEVEL: Final = 3
_FOREVER: Final = (1 << 64) - 1

log = get_logger(__name__)


@frozen
class Feed:
    """What the hub is subscribed to: dataset and parent symbols."""

    dataset: str
    parents: tuple[str, ...]


@frozen(eq=False)
class Segment:
    """Everything that was received of ``begin <= t < end``, in ns, in the order in which it came.

    Attributes
    ----------
    names
        What the instrument ids stand for.
    """

    begin: int
    end: int
    trades: Records
    names: Mapping[int, str]

    def cut(self, begin: int, end: int) -> "Segment":
        """Return a part of it."""
        begin, end = max(begin, self.begin), min(end, self.end)
        first, last = np.searchsorted(self._keys(), (begin, end)).tolist()
        return evolve(self, begin=begin, end=end, trades=self.trades[first:last])

    def _keys(self) -> NDArray[np.int64]:
        """Return the time that was reached with each trade; one that claims another hour counts where it stands."""
        times = self.trades["ts_recv"].astype(np.int64)
        inside = np.where((times >= self.begin) & (times < self.end), times, self.begin)
        return np.maximum.accumulate(inside)

    def fits(self, later: "Segment") -> bool:
        """Tell whether another segment goes on where this one ends, with no id for two symbols."""
        return self.end == later.begin and all(self.names.get(n, s) == s for n, s in later.names.items())


def lay_over(segments: Sequence[Segment], newer: Segment) -> list[Segment]:
    """Return segments with a newer one in the place of what they have of its time; those that touch are joined."""
    if newer.begin >= newer.end:
        return list(segments)
    pieces = [newer]
    for old in segments:
        pieces += [old.cut(old.begin, newer.begin)] if old.begin < newer.begin else []
        pieces += [old.cut(newer.end, old.end)] if old.end > newer.end else []
    pieces.sort(key=lambda piece: piece.begin)
    whole = pieces[:1]
    for piece in pieces[1:]:
        last = whole[-1]
        if last.fits(piece):
            trades = np.concatenate([last.trades, piece.trades])
            whole[-1] = Segment(last.begin, piece.end, trades, {**last.names, **piece.names})
        else:
            whole.append(piece)
    return whole


@define(eq=False)
class Part:
    """The file that is being written.

    Attributes
    ----------
    begin, limit
        It takes what is received of ``begin <= t < limit``, ns; both in one hour.
    """

    path: Path
    begin: int
    limit: int
    names: dict[int, str]
    _file: BinaryIO

    @classmethod
    def create(cls, folder: Path, begin: int, feed: Feed, names: Mapping[int, str]) -> "Part":
        """Begin a file."""
        path = folder / f"{_stamp(begin)}{PART}"
        limit = begin - begin % NS_PER_HOUR + NS_PER_HOUR
        header = encode_header(feed.dataset, None, begin, None, "parent", feed.parents, [])
        file = path.open("xb", buffering=0)
        part = cls(path, begin, limit, dict(names), file)
        part._write(header + b"".join(_mapping(begin, number, name) for number, name in names.items()))
        return part

    def name(self, instrument_id: int, symbol: str) -> None:
        """Write down what an instrument id stands for."""
        self.names[instrument_id] = symbol
        self._write(_mapping(self.begin, instrument_id, symbol))

    def add(self, trades: Records) -> None:
        """Write trades."""
        self._write(trades.tobytes())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]


@define
class TapeFolder:
    """The folder of the tape.

    Parameters
    ----------
    path
        Made when something is written.
    keep
        Ns of event time after which files are removed.
    """

    path: Path
    feed: Feed
    keep: int
    _newest: int = field(default=0)

    def recover(self) -> int:
        """Complete what a killed hub left; return up to when, in ns, the tape goes without a hole at its end, or 0."""
        self.path.mkdir(parents=True, exist_ok=True)
        for left in self.path.glob(f"*{TEMPORARY}"):
            left.unlink()
        for path in sorted(self.path.glob(f"*{PART}")):
            self.finish(path)
        newest = max((path.name for path in self.path.glob(f"*{DONE}")), default="")
        found = [self._read(path) for path in self.path.glob(f"{newest[: len('2024-01-01T00')]}*{DONE}") if newest]
        return max((segment.end for segment in found if segment is not None), default=0)

    def finish(self, path: Path, end: int | None = None) -> None:
        """Make whole files of one that was being written.

        Parameters
        ----------
        path
            The file; it is removed afterwards.
        end
            Up to when, in ns, everything is known to be in; without it, up to the last trade.
        """
        newer = self._unfinished(path, end)
        if newer is not None:
            hour = newer.begin - newer.begin % NS_PER_HOUR
            old = [segment for segment in map(self._read, self._of_hour(hour)) if segment is not None]
            segments: list[Segment] = []
            for segment in [*sorted(old, key=lambda s: s.begin), newer]:
                segments = lay_over(segments, segment)
            kept = {self._write(segment) for segment in segments}
            for stale in self._of_hour(hour):
                if stale not in kept:
                    stale.unlink()
            self._newest = max(self._newest, hour)
        path.unlink(missing_ok=True)
        self._prune()

    def _unfinished(self, path: Path, end: int | None) -> Segment | None:
        """Return what a file that was being written holds; nothing if that is nothing."""
        if not path.stat().st_size:
            return None
        try:
            begin = read_header(path).begin
            names: dict[int, str] = {}
            runs: list[Records] = [np.zeros(0, TRADE)]
            for piece in read_records(path, unfinished=True):
                if isinstance(piece, Name):
                    names[piece.instrument_id] = piece.symbol
                else:
                    runs.append(piece)
        except DataError as error:
            self._set_aside(path, error)
            return None
        trades = np.concatenate(runs)
        times = trades["ts_recv"].astype(np.int64)
        limit = begin - begin % NS_PER_HOUR + NS_PER_HOUR
        inside = times[(times >= begin) & (times < limit)]
        reached = int(inside.max()) + 1 if len(inside) else begin
        return Segment(begin, end or reached, trades, names)

    def _of_hour(self, hour: int) -> list[Path]:
        return sorted(self.path.glob(f"{to_datetime(hour):%Y-%m-%dT%H}-*{DONE}"))

    def _read(self, path: Path) -> Segment | None:
        try:
            header = read_header(path)
            runs = [piece for piece in read_records(path) if not isinstance(piece, Name)]
        except DataError as error:
            self._set_aside(path, error)
            return None
        names = {name.instrument_id: name.symbol for name in header.names}
        return Segment(header.begin, header.end or header.begin, np.concatenate([np.zeros(0, TRADE), *runs]), names)

    def _set_aside(self, path: Path, error: DataError) -> None:
        aside = path.with_name(path.name + ASIDE)
        path.replace(aside)
        log.error("tape: a file cannot be read and is set aside", why=str(error), **{"as": aside})

    def _write(self, segment: Segment) -> Path:
        """Write a whole file: under another name first, on disk, then renamed."""
        day = to_datetime(segment.begin).date()
        mappings = [(s, [(day, day + timedelta(days=1), str(n))]) for n, s in sorted(segment.names.items())]
        header = encode_header(
            self.feed.dataset, "trades", segment.begin, segment.end, "parent", self.feed.parents, _joined(mappings)
        )
        payload = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(
            header + segment.trades.tobytes()
        )
        path = self.path / f"{_stamp(segment.begin)}{DONE}"
        temporary = path.with_name(path.name + TEMPORARY)
        put(temporary, payload)
        temporary.replace(path)
        sync(self.path)
        return path

    def _prune(self) -> None:
        """Remove what is older than what is to be kept, counted from the newest hour."""
        if not self._newest:
            return
        oldest = _stamp(max(self._newest - self.keep, 0))
        for path in self.path.glob(f"*{DONE}"):
            if path.name < oldest:
                path.unlink()


def _joined(mappings: list[tuple[str, list[tuple[Any, Any, str]]]]) -> Iterator[tuple[str, list[tuple[Any, Any, str]]]]:
    """Put the ids of one symbol together."""
    by_symbol: dict[str, list[tuple[Any, Any, str]]] = {}
    for symbol, intervals in mappings:
        by_symbol.setdefault(symbol, []).extend(intervals)
    yield from by_symbol.items()


def _mapping(ts: int, instrument_id: int, symbol: str) -> bytes:
    kinds: tuple[Any, Any] = (dbn.SType.PARENT, dbn.SType.RAW_SYMBOL)
    return bytes(dbn.SymbolMappingMsg(1, instrument_id, ts, kinds[0], "", kinds[1], symbol, _FOREVER, _FOREVER))


def _stamp(ts: int) -> str:
    """Return a time as file names have it; files begin on whole minutes, or where another one ends."""
    text = datetime.fromtimestamp(ts // NS_PER_SECOND, UTC).strftime(_STAMP)
    return text if ts % NS_PER_MINUTE == 0 else f"{text}-{ts % NS_PER_MINUTE:011d}"
