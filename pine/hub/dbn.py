"""DBN files piece by piece: trades or short bars as arrays, and what their instrument ids stand for.

Versions 1 to 3, plain or zstd, of one schema or mixed as a live session has them; memory stays that of a few chunks.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar

import databento_dbn as dbn
import numpy as np
import zstandard
from attrs import define, frozen
from databento_dbn.metadata import MappingInterval
from numpy.typing import NDArray

from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_SECOND
from pine.core.times import parse_time

TRADE: Final = np.dtype(dbn.TradeMsg._dtypes)  # noqa: SLF001  # the vendor's own description of its record
OHLCV: Final = np.dtype(dbn.OHLCVMsg._dtypes)  # noqa: SLF001
SCHEMAS: Final = {"trades": 0, "ohlcv-1s": 32, "ohlcv-1m": 33}
"""Record type of each schema that bars are built from."""
WIDTHS: Final = {32: NS_PER_SECOND, 33: NS_PER_MINUTE}

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PREFIX: Final = 8
_CHUNK: Final = 1 << 19
_WORD: Final = 4
_LEAST: Final = 16
_MAPPING: Final = 22
_FIRST_LOOK: Final = 64
_TYPES: Final = {0: TRADE, 32: OHLCV, 33: OHLCV}

_AHEAD: Final = 2

T = TypeVar("T")
Records = NDArray[np.void]
Intervals = Sequence[tuple[date, date, str]]
"""First day, day after the last, and the symbol that something stands for in between."""


class Name(NamedTuple):
    """What an instrument id stands for from an instant (ns) on."""

    begin: int
    instrument_id: int
    symbol: str


@frozen
class Header:
    """The beginning of a file.

    Attributes
    ----------
    schema
        None for a file that mixes several.
    begin, end
        What it says to hold, in ns; no end where a session was recorded.
    symbols
        What was asked for.
    names
        What instrument ids stand for, as far as the header tells.
    length
        Bytes of it.
    """

    version: int
    dataset: str
    schema: str | None
    begin: int
    end: int | None
    symbols: tuple[str, ...]
    names: tuple[Name, ...]
    length: int


@define
class _Interval:
    start_date: date
    end_date: date
    symbol: str


@define
class _Mapping:
    raw_symbol: str
    intervals: Sequence[MappingInterval]


def encode_header(
    dataset: str,
    schema: str | None,
    begin: int,
    end: int | None,
    stype: str,
    symbols: Sequence[str],
    mappings: Iterable[tuple[str, Intervals]],
    *,
    limit: int | None = None,
    not_found: Sequence[str] = (),
) -> bytes:
    """Return the header of a DBN file of the present version.

    Parameters
    ----------
    dataset, schema
        Databento's names; no schema for a file that mixes several.
    begin, end
        Range of the data in ns; no end for one that is being recorded.
    stype, symbols
        What was asked for.
    mappings
        For each label the instrument ids that it stands for, as text.
    limit, not_found
        Most records asked for; symbols that could not be resolved.
    """
    header = dbn.Metadata(
        dataset=dataset,
        start=begin,
        end=end,
        stype_in=dbn.SType.from_str(stype),
        stype_out=dbn.SType.from_str("instrument_id"),
        schema=None if schema is None else dbn.Schema.from_str(schema),
        symbols=list(symbols),
        partial=[],
        not_found=list(not_found),
        mappings=[_Mapping(label, [_Interval(*interval) for interval in intervals]) for label, intervals in mappings],
        limit=limit,
        version=dbn.DBN_VERSION,
    )
    return bytes(header)


def read_header(path: Path) -> Header:
    """Return what the beginning of a file says.

    Raises
    ------
    DataError
        If it is no DBN file, cannot be read, or has records that carry ``ts_out``.
    """
    with _opened(path) as file:
        data = b""
        for block in _plain(path, file, lambda _: None):
            data += block
            if len(data) >= _PREFIX and len(data) >= _length(path, data):
                break
    return _header(path, data)


def read_records(
    path: Path, on_bytes: Callable[[int], None] = lambda _: None, *, unfinished: bool = False
) -> Iterator[Records | Name]:
    """Yield the records of a file in their order: runs of trades or of short bars, and names between them.

    Parameters
    ----------
    path
        The file.
    on_bytes
        Told how much of the file was read.
    unfinished
        Whether the file may end inside a record, which is left out then.

    Raises
    ------
    DataError
        If it is damaged or cut short, or holds trades and bars both, or only other records.
    """
    with _opened(path) as file:
        header: Header | None = None
        rest = b""
        kinds: set[int] = set()
        for block in _plain(path, file, on_bytes):
            data = rest + block if rest else block
            at = 0
            if header is None:
                if len(data) < _PREFIX or len(data) < _length(path, data):
                    rest = data
                    continue
                header = _header(path, data)
                at = header.length
            splitter = _Splitter(path, header, kinds)
            yield from splitter.split(data, at)
            rest = data[splitter.at :]
    if header is None:
        _header(path, rest)
    elif rest and not unfinished:
        raise DataError(f"{path}: found {len(rest)} bytes at the end that make no record, expected a complete file")


def read_ahead(pieces: Iterator[T]) -> Iterator[T]:
    """Yield what another thread reads and decompresses meanwhile; its errors are raised here."""
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(_AHEAD)
    ended = threading.Event()

    def put(piece: T | None, error: BaseException | None = None) -> None:
        while not ended.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put((piece, error), timeout=0.1)
                return

    def read() -> None:
        try:
            for piece in pieces:
                put(piece)
                if ended.is_set():
                    return
            put(None)
        except Exception as error:  # noqa: BLE001  # raised by the one who reads
            put(None, error)

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            piece, error = waiting.get()
            if error is not None:
                raise error
            if piece is None:
                return
            yield piece
    finally:
        ended.set()
        thread.join()


@define
class _Splitter:
    """Cuts decompressed bytes into records; `at` is where the first incomplete one begins."""

    path: Path
    header: Header
    kinds: set[int]
    at: int = 0

    def split(self, data: bytes, at: int) -> Iterator[Records | Name]:
        look = len(data)
        while at + 2 <= len(data):
            size, rtype = data[at] * _WORD, data[at + 1]
            if size < _LEAST:
                raise DataError(f"{self.path}: found a record of {size} bytes, expected at least {_LEAST}")
            if at + size > len(data):
                break
            kind = _TYPES.get(rtype)
            if kind is None or size != kind.itemsize:
                name = self._other(data[at : at + size], rtype)
                if name is not None:
                    yield name
                at += size
                look = _FIRST_LOOK  # a mixed file: do not look through all of the rest for every run
                continue
            self._only_one_kind(rtype)
            count = min((len(data) - at) // size, look)
            heads = np.frombuffer(data, "<u2", offset=at, count=count * size // 2)[:: size // 2]
            wrong = heads != heads[0]
            same = int(np.argmax(wrong)) if wrong.any() else count
            yield np.frombuffer(data, kind, offset=at, count=same)
            look = max(2 * look, _FIRST_LOOK)
            at += same * size
        self.at = at

    def _only_one_kind(self, rtype: int) -> None:
        self.kinds.add(rtype)
        if len(self.kinds) > 1:
            named = sorted(schema for schema, number in SCHEMAS.items() if number in self.kinds)
            raise DataError(f"{self.path}: found records of {' and '.join(named)}, expected those of one schema")

    def _other(self, record: bytes, rtype: int) -> Name | None:
        if rtype != _MAPPING:
            return None
        policy: Any = dbn.VersionUpgradePolicy.UPGRADE_TO_V3
        decoder = dbn.DBNDecoder(has_metadata=False, input_version=self.header.version, upgrade_policy=policy)
        try:
            found: Any = decoder.write_and_decode(record)[0]
            return Name(found.ts_event, found.instrument_id, found.stype_out_symbol)
        except (dbn.DBNError, ValueError, IndexError) as error:
            raise DataError(f"{self.path}: found a symbol mapping that does not decode: {error}") from None


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: found no readable file ({error.strerror}), expected DBN") from None


def _plain(path: Path, file: BinaryIO, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the decompressed bytes; a zstd frame without its end is an error, unlike in the stream readers."""
    frame: Any = None
    compressed = file.read(len(_ZSTD)) == _ZSTD
    file.seek(0)
    try:
        while block := file.read(_CHUNK):
            on_bytes(len(block))
            if not compressed:
                yield block
                continue
            while block:
                if frame is None or frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                if data := frame.decompress(block):
                    yield data
                block = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise DataError(f"{path}: found a damaged zstd frame ({error}), expected zstd") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if frame is not None and not frame.eof:
        raise DataError(f"{path}: ends inside a zstd frame, expected a complete file")


def _length(path: Path, data: bytes) -> int:
    """Return the length of the header that `data` begins with."""
    if data[:3] != b"DBN":
        raise DataError(f"{path}: found {data[:8]!r} at the start, expected a DBN header")
    return _PREFIX + int.from_bytes(data[4:_PREFIX], "little")


def _header(path: Path, data: bytes) -> Header:
    if len(data) < _PREFIX or len(data) < _length(path, data):
        raise DataError(f"{path}: found {len(data)} bytes that hold no whole DBN header")
    length = _length(path, data)
    try:
        metadata = dbn.Metadata.decode(data[:length])
    except (dbn.DBNError, ValueError) as error:
        raise DataError(f"{path}: found metadata that does not decode ({error}), expected DBN 1 to 3") from None
    if metadata.ts_out:
        raise DataError(f"{path}: found records with ts_out, expected records as stored, without it")
    schema = None if metadata.schema is None else str(metadata.schema)
    if schema is not None and schema not in SCHEMAS:
        raise DataError(f"{path}: found schema {schema}, expected {', '.join(SCHEMAS)}")
    return Header(
        data[3],
        metadata.dataset,
        schema,
        metadata.start,
        metadata.end,
        tuple(metadata.symbols),
        tuple(sorted(_names(metadata))),
        length,
    )


def _names(metadata: Any) -> Iterator[Name]:
    """Yield the mappings of a header turned around, whichever side the instrument ids are on."""
    ids_in = str(metadata.stype_in) == "instrument_id"
    for label, intervals in metadata.mappings.items():
        for interval in intervals:
            number, symbol = (label, interval["symbol"]) if ids_in else (interval["symbol"], label)
            if number.isdecimal():
                yield Name(parse_time(interval["start_date"].isoformat()), int(number), symbol)
