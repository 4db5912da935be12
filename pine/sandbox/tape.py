"""Recorded market data in the order in which a gateway sent it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pine.core.errors import DataError
from pine.core.period import SessionRule, session
from pine.core.times import to_datetime
from pine.sandbox.dbnfile import DbnContent, read_dbn
from pine.sandbox.records import (
    HEADER_DTYPE,
    RTYPE_TRADE,
    RTYPES,
    TRADE_DTYPE,
    TRADE_SIZE_OFFSET,
    TS_EVENT_OFFSET,
    TS_RECV_OFFSETS,
    TradeArray,
)
from pine.sandbox.symbology import Instrument, Span, SymbolTable, root_of

UNDEFINED: Final = (1 << 64) - 1

Indices = NDArray[np.int64]


class Store(Protocol):
    """Records by position, as bytes for the wire."""

    def encode(self, at: Indices, shift: int) -> bytes:
        """Return the records at some positions, their times moved on by `shift` ns."""


class TradeStore:
    """Records that are all trades, kept as one array."""

    def __init__(self, trades: TradeArray) -> None:
        self._trades = trades

    def encode(self, at: Indices, shift: int) -> bytes:
        """Return the records at some positions, their times moved on by `shift` ns."""
        trades = self._trades[at]
        if shift:
            trades["ts_event"] += np.uint64(shift)
            trades["ts_recv"] += np.uint64(shift)
        return trades.tobytes()


class RecordStore:
    """Records of any kind, kept as they are."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self._records = records

    def encode(self, at: Indices, shift: int) -> bytes:
        """Return the records at some positions, their times moved on by `shift` ns."""
        chosen = (self._records[i] for i in at.tolist())
        return b"".join(_moved(record, shift) for record in chosen) if shift else b"".join(chosen)


def _moved(record: bytes, shift: int) -> bytes:
    moved = bytearray(record)
    for offset in (TS_EVENT_OFFSET, TS_RECV_OFFSETS.get(record[1])):
        if offset is not None:
            ts = int.from_bytes(record[offset : offset + 8], "little")
            if ts != UNDEFINED:
                moved[offset : offset + 8] = (ts + shift).to_bytes(8, "little")
    return bytes(moved)


@frozen(eq=False)
class Columns:
    """What the gateway asks of each record, one element per record.

    Attributes
    ----------
    ts
        Time in the tape's order, in ns: ``ts_recv``, or ``ts_event`` of records without one.
    ts_event
        Event time in ns.
    rtype
        Record type.
    instrument_id
        Instrument id of the exchange.
    size
        Contracts traded, zero in records that are no trade.
    length
        Bytes of the record.
    """

    ts: NDArray[np.int64]
    ts_event: NDArray[np.int64]
    rtype: NDArray[np.uint8]
    instrument_id: NDArray[np.uint32]
    size: NDArray[np.uint32]
    length: NDArray[np.int64]

    def ordered(self, order: Indices) -> "Columns":
        """Return the columns in another order."""
        return Columns(
            self.ts[order],
            self.ts_event[order],
            self.rtype[order],
            self.instrument_id[order],
            self.size[order],
            self.length[order],
        )


def _trade_columns(trades: TradeArray) -> Columns:
    ts_recv = np.where(trades["ts_recv"] == UNDEFINED, trades["ts_event"], trades["ts_recv"])
    return Columns(
        ts_recv.astype(np.int64),
        trades["ts_event"].astype(np.int64),
        np.full(len(trades), RTYPE_TRADE, np.uint8),
        np.ascontiguousarray(trades["instrument_id"]),
        np.ascontiguousarray(trades["size"]),
        np.full(len(trades), TRADE_DTYPE.itemsize),
    )


def _record_columns(records: Sequence[bytes]) -> Columns:
    headers = np.frombuffer(b"".join(record[: HEADER_DTYPE.itemsize] for record in records), HEADER_DTYPE)
    return Columns(
        np.fromiter(map(_order_time, records), np.int64, len(records)),
        headers["ts_event"].astype(np.int64),
        np.ascontiguousarray(headers["rtype"]),
        np.ascontiguousarray(headers["instrument_id"]),
        np.fromiter(map(_size, records), np.uint32, len(records)),
        np.fromiter(map(len, records), np.int64, len(records)),
    )


def _order_time(record: bytes) -> int:
    offset = TS_RECV_OFFSETS.get(record[1], TS_EVENT_OFFSET)
    ts = int.from_bytes(record[offset : offset + 8], "little")
    return int.from_bytes(record[TS_EVENT_OFFSET : TS_EVENT_OFFSET + 8], "little") if ts == UNDEFINED else ts


def _size(record: bytes) -> int:
    if record[1] != RTYPE_TRADE:
        return 0
    return int.from_bytes(record[TRADE_SIZE_OFFSET : TRADE_SIZE_OFFSET + 4], "little")


class Tape:
    """Records sorted by ``ts_recv``, and what their instruments are called.

    Parameters
    ----------
    columns, store
        The records, in any order.
    spans
        For each instrument id the symbols it stands for, and when.
    assets
        Root of each instrument id that has a definition.
    dataset
        Databento's name of the venue.
    schemas
        Schemas that can be subscribed to.

    Attributes
    ----------
    ts, ts_event, rtype
        Columns in the tape's order, see `Columns`.
    instruments
        Every instrument; an id that stood for two symbols makes two.
    instrument
        For each record its place in `instruments`.
    renames
        ``(position, instrument)`` of each record whose id stood for another instrument just before.
    symbols
        The same instruments, by subscription.
    """

    def __init__(
        self,
        columns: Columns,
        store: Store,
        spans: Mapping[int, Sequence[Span]],
        *,
        assets: Mapping[int, str] | None = None,
        dataset: str = "GLBX.MDP3",
        schemas: Iterable[str] = ("trades",),
    ) -> None:
        self._store = store
        self._order: Indices = np.argsort(columns.ts, kind="stable")
        columns = columns.ordered(self._order)
        self.ts = columns.ts
        self.ts_event = columns.ts_event
        self.rtype = columns.rtype
        self.dataset = dataset
        self.schemas = frozenset(schemas)
        self.instruments, self.instrument = _assign(columns, spans, assets or {})
        self._names, self.renames = _naming(columns.instrument_id, self.instrument)
        self.symbols = SymbolTable(self.instruments, to_datetime(self.first).date(), self._first_session_volume)
        self._size = columns.size
        self._length = columns.length

    @classmethod
    def of_trades(cls, trades: TradeArray, symbols: Mapping[int, str], dataset: str = "GLBX.MDP3") -> "Tape":
        """Build a tape in memory.

        Parameters
        ----------
        trades
            Structured array of `TRADE_DTYPE`, in any order.
        symbols
            Raw symbol of each instrument id.
        dataset
            Databento's name of the venue.
        """
        spans = {number: [Span(0, (1 << 63) - 1, symbol)] for number, symbol in symbols.items()}
        return cls(_trade_columns(trades), TradeStore(trades), spans, dataset=dataset)

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "Tape":
        """Read and merge DBN files.

        Parameters
        ----------
        paths
            One or several files, plain or zstd, of any DBN version and of any schemas.

        Raises
        ------
        DataError
            If a file is no complete DBN file, the files are of different datasets, or two hold the same records.
        """
        names = list(paths)
        contents = [read_dbn(path) for path in names]
        if not contents:
            raise DataError("tape: found no file, expected at least one DBN file")
        dataset = contents[0].dataset
        for path, content in zip(names, contents, strict=True):
            if content.dataset != dataset:
                raise DataError(f"{path}: found dataset {content.dataset}, expected {dataset} as in {names[0]}")
        _refuse_twice(names, contents)
        columns, store = _merge(contents)
        return cls(
            columns,
            store,
            _merge_spans(contents),
            assets={number: asset for content in contents for number, asset in content.assets.items()},
            dataset=dataset,
            schemas=_schemas(contents, columns),
        )

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def first(self) -> int:
        """Time of the first record in ns, 0 without records."""
        return int(self.ts[0]) if len(self) else 0

    @property
    def last(self) -> int:
        """Time of the last record in ns, 0 without records."""
        return int(self.ts[-1]) if len(self) else 0

    def names(self, position: int) -> dict[int, int]:
        """Return for each instrument id which instrument it stands for, as of a position."""
        names = {instrument.instrument_id: at for at, instrument in reversed(list(enumerate(self.instruments)))}
        names.update(self._names)
        for renamed, at in self.renames:
            if renamed <= position:
                names[self.instruments[at].instrument_id] = at
        return names

    def encode(self, at: Indices, shift: int = 0) -> bytes:
        """Return records as the wire wants them.

        Parameters
        ----------
        at
            Positions in the tape's order.
        shift
            Nanoseconds by which ``ts_event`` and ``ts_recv`` are moved on.
        """
        return self._store.encode(self._order[at], shift)

    def offsets(self, at: Indices) -> list[int]:
        """Return where each of some encoded records begins, and where the last one ends, in bytes."""
        return [0, *np.cumsum(self._length[at]).tolist()]

    def _first_session_volume(self, instrument: int) -> int:
        end = int(np.searchsorted(self.ts, session(self.first, SessionRule()).end))
        return int(self._size[:end][self.instrument[:end] == instrument].sum())


def _merge(contents: Sequence[DbnContent]) -> tuple[Columns, Store]:
    if all(content.trades is not None for content in contents):
        trades = np.concatenate([content.trades for content in contents if content.trades is not None])
        return _trade_columns(trades), TradeStore(trades)
    records = list(chain.from_iterable(_records(content) for content in contents))
    return _record_columns(records), RecordStore(records)


def _refuse_twice(names: Sequence[Path], contents: Sequence[DbnContent]) -> None:
    """Raise `DataError` if a file was given twice, under whatever name: every trade would count double."""
    first: dict[bytes, Path] = {}
    for path, content in zip(names, contents, strict=True):
        records = b"".join(content.records) if content.trades is None else content.trades.data
        digest = hashlib.blake2b(records).digest()
        if digest in first and not content.is_empty:
            raise DataError(f"{path}: found the same records as in {first[digest]}, expected each file once")
        first[digest] = path


def _records(content: DbnContent) -> Iterable[bytes]:
    if content.trades is None:
        return content.records
    raw, size = content.trades.tobytes(), TRADE_DTYPE.itemsize
    return (raw[start : start + size] for start in range(0, len(raw), size))


def _merge_spans(contents: Iterable[DbnContent]) -> dict[int, list[Span]]:
    merged: dict[int, list[Span]] = {}
    for content in contents:
        for number, spans in content.spans.items():
            merged.setdefault(number, []).extend(spans)
    return merged


def _schemas(contents: Iterable[DbnContent], columns: Columns) -> set[str]:
    present = set(np.unique(columns.rtype).tolist())
    named = {content.schema for content in contents if content.schema is not None}
    return named | {schema for schema, rtype in RTYPES.items() if rtype in present}


def _assign(
    columns: Columns, spans: Mapping[int, Sequence[Span]], assets: Mapping[int, str]
) -> tuple[list[Instrument], NDArray[np.int32]]:
    """List the instruments, and tell for each record which one it is of.

    The exchange gives an id to another instrument once it is free, so an id alone does not name one.
    """
    on = to_datetime(int(columns.ts[0]) if len(columns.ts) else 0).date()
    instruments: list[Instrument] = []
    which = np.zeros(len(columns.ts), np.int32)
    order = np.argsort(columns.instrument_id, kind="stable")
    found, starts = np.unique(columns.instrument_id[order], return_index=True)
    runs = dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True)) if len(order) else {}
    for number in sorted({*spans, *runs}):
        known = sorted(spans.get(number, [Span(0, 0, "")]))
        places: dict[str, int] = {}
        for symbol in dict.fromkeys(span.symbol for span in known):
            places[symbol] = len(instruments)
            instruments.append(Instrument(number, symbol, root_of(symbol, on, assets.get(number))))
        if (mine := runs.get(number)) is not None:
            since = np.array([span.start for span in known])
            owner = np.array([places[span.symbol] for span in known], np.int32)
            which[mine] = owner[np.maximum(np.searchsorted(since, columns.ts[mine], side="right") - 1, 0)]
    return instruments, which


def _naming(
    instrument_id: NDArray[np.uint32], instrument: NDArray[np.int32]
) -> tuple[dict[int, int], list[tuple[int, int]]]:
    """Return what each id stands for at first, and ``(position, instrument)`` of each record that changes it."""
    order = np.argsort(instrument_id, kind="stable")
    ids, which = instrument_id[order], instrument[order]
    found, first = np.unique(ids, return_index=True)
    changed = order[1:][(ids[1:] == ids[:-1]) & (which[1:] != which[:-1])]
    return dict(zip(found.tolist(), which[first].tolist(), strict=True)), [
        (position, int(instrument[position])) for position in sorted(changed.tolist())
    ]
