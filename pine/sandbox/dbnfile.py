"""Reading DBN files of any version, plain or zstd, into trades or raw records."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import databento_dbn as dbn
import numpy as np
import zstandard
from attrs import field, frozen

from pine.core.errors import DataError
from pine.core.times import parse_time
from pine.sandbox.records import (
    RTYPE_DEFINITION,
    RTYPE_ERROR,
    RTYPE_MAPPING,
    RTYPE_SYSTEM,
    RTYPE_TRADE,
    TRADE_DTYPE,
    TRADE_WORDS,
    TradeArray,
)
from pine.sandbox.symbology import Span

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
FOREVER: Final = (1 << 63) - 1

_CHUNK: Final = 1 << 20
_PREFIX: Final = struct.Struct("<3sBI")


@frozen
class DbnContent:
    """What one DBN file holds.

    Attributes
    ----------
    dataset, schema
        From the file's metadata; the schema is ``None`` for a file that mixes several.
    spans
        For each instrument id the symbols it stands for, and when.
    assets
        Root of each instrument id that has a definition in the file.
    trades
        The records, if all of them are trades.
    records
        The records one by one in version 3, if some are not trades.
    """

    dataset: str
    schema: str | None
    spans: Mapping[int, list[Span]]
    assets: Mapping[int, str] = field(factory=dict)
    trades: TradeArray | None = None
    records: list[bytes] = field(factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no record."""
        return not self.records and (self.trades is None or not len(self.trades))


def read_dbn(path: Path) -> DbnContent:
    """Read a DBN file.

    Parameters
    ----------
    path
        A file of DBN version 1, 2 or 3; zstd compression is seen from the content.

    Raises
    ------
    DataError
        If the file cannot be read, is cut short or is no DBN file.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: found no readable file ({error.strerror}), expected DBN") from error
    data = _decompress(path, raw) if raw.startswith(ZSTD_MAGIC) else raw
    if len(data) < _PREFIX.size or data[:3] != b"DBN":
        raise DataError(f"{path}: found {data[:8]!r} at the start, expected a DBN header")
    _, version, length = _PREFIX.unpack_from(data)
    header = _PREFIX.size + length
    try:
        metadata = dbn.Metadata.decode(data[:header])
    except (dbn.DBNError, ValueError) as error:
        raise DataError(f"{path}: found metadata that does not decode ({error}), expected DBN 1 to 3") from error
    if metadata.ts_out:
        raise DataError(f"{path}: found records with ts_out, expected records as stored, without it")
    schema = None if metadata.schema is None else str(metadata.schema)
    spans = _metadata_spans(metadata)
    trades = _as_trades(data, header)
    if trades is not None:
        return DbnContent(metadata.dataset, schema, spans, trades=trades)
    return _mixed(path, data, version, DbnContent(metadata.dataset, schema, spans))


def _decompress(path: Path, raw: bytes) -> bytes:
    """Decompress any number of zstd frames; a frame without its end is an error, unlike in the stream readers."""
    parts: list[bytes] = []
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        for chunk in _chunks(raw):
            rest = chunk
            while rest:
                if frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                parts.append(frame.decompress(rest))
                rest = frame.unused_data
    except zstandard.ZstdError as error:
        raise DataError(f"{path}: found a damaged zstd frame ({error}), expected zstd") from error
    if not frame.eof:
        raise DataError(f"{path}: found {len(raw)} bytes that end inside a zstd frame, expected a complete file")
    return b"".join(parts)


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]


def _as_trades(data: bytes, header: int) -> TradeArray | None:
    """View the body as trades; trades have had the same layout in every version."""
    if (len(data) - header) % TRADE_DTYPE.itemsize:
        return None
    trades = np.frombuffer(data, TRADE_DTYPE, offset=header)
    if (trades["length"] != TRADE_WORDS).any() or (trades["rtype"] != RTYPE_TRADE).any():
        return None
    return trades


def _mixed(path: Path, data: bytes, version: int, content: DbnContent) -> DbnContent:
    """Decode record by record, take symbols out of definitions and mappings, leave messages of old sessions out."""
    decoder = dbn.DBNDecoder()  # upgrades older versions to the present one
    spans = {number: list(known) for number, known in content.spans.items()}
    assets: dict[int, str] = {}
    records: list[bytes] = []
    try:
        for chunk in _chunks(data):
            for record in decoder.write_and_decode(chunk):
                if not isinstance(record, dbn.Metadata):
                    _sort_in(record, spans, assets, records)
    except dbn.DBNError as error:
        raise DataError(
            f"{path}: found an unreadable record after {len(records)} good ones ({error}), expected DBN {version}"
        ) from error
    if rest := len(decoder.buffer()):
        raise DataError(
            f"{path}: found {rest} bytes after {len(records)} records that make no whole record, "
            f"expected a complete file of DBN {version}"
        )
    return DbnContent(content.dataset, content.schema, spans, assets, None, records)


def _sort_in(record: Any, spans: dict[int, list[Span]], assets: dict[int, str], records: list[bytes]) -> None:
    raw = bytes(record)
    rtype = raw[1]
    if rtype == RTYPE_MAPPING:
        _learn(spans, record.instrument_id, record.ts_event, record.stype_out_symbol)
        return
    if rtype in (RTYPE_SYSTEM, RTYPE_ERROR):
        return
    if rtype == RTYPE_DEFINITION:
        _learn(spans, record.instrument_id, record.ts_recv, record.raw_symbol)
        assets[record.instrument_id] = record.asset
    records.append(raw)


def _learn(spans: dict[int, list[Span]], instrument_id: int, since: int, symbol: str) -> None:
    """Note that an instrument id stands for a symbol from an instant on, unless that is known."""
    known = spans.setdefault(instrument_id, [])
    if not any(span.start <= since < span.end and span.symbol == symbol for span in known):
        if known and known[-1].end == FOREVER:
            known[-1] = Span(known[-1].start, since, known[-1].symbol)
        known.append(Span(since, FOREVER, symbol))


def _metadata_spans(metadata: dbn.Metadata) -> dict[int, list[Span]]:
    """Turn the mappings of a header around, whichever side the instrument ids are on."""
    spans: dict[int, list[Span]] = {}
    ids_in = str(metadata.stype_in) == "instrument_id"
    for name, intervals in metadata.mappings.items():
        for interval in intervals:
            found: Any = interval
            number, symbol = (name, found["symbol"]) if ids_in else (found["symbol"], name)
            if number.isdecimal():
                start = parse_time(found["start_date"].isoformat())
                end = parse_time(found["end_date"].isoformat())
                spans.setdefault(int(number), []).append(Span(start, end, symbol))
    return spans
