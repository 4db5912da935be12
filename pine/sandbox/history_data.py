"""What Databento Historical would have of a tape: trades, bars binned by receive time, mappings, prices."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from pine.core.contract import SymbolKind, classify, parse_contract
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from pine.core.times import from_datetime, isoformat, to_datetime
from pine.hub.dbn import encode_header
from pine.sandbox.history_query import Query, Refusal, Resolution
from pine.sandbox.records import MBP1_DTYPE, OHLCV_DTYPE, RTYPE_TRADE, RTYPES, TRADE_DTYPE, TradeArray
from pine.sandbox.symbology import CONTINUOUS, STYPES
from pine.sandbox.tape import Tape

WIDTHS: Final[Mapping[str, int]] = {
    "ohlcv-1s": NS_PER_SECOND,
    "ohlcv-1m": NS_PER_MINUTE,
    "ohlcv-1h": NS_PER_HOUR,
    "ohlcv-1d": NS_PER_DAY,
}
SCHEMAS: Final = ("trades", "mbp-1", *WIDTHS)

UNIT_PRICES: Final[Mapping[str, float]] = {
    "mbp-1": 2.0,
    "trades": 280.0,
    "ohlcv-1s": 280.0,
    "ohlcv-1m": 280.0,
    "ohlcv-1h": 600.0,
    "ohlcv-1d": 600.0,
}
"""Dollars per gigabyte, of the order of the vendor's own."""

COUNT_GRID: Final = 10 * NS_PER_MINUTE
"""The vendor counts, and prices, whole ten minutes: a range that ends inside them is over-reported."""

_GIGABYTE: Final = 1 << 30
_UNDEF_PRICE: Final = (1 << 63) - 1
_UNDEF_SIZE: Final = (1 << 32) - 1

Interval = tuple[date, date, int]
"""First UTC day, day after the last, and the position of the instrument that a symbol stands for in between."""


@frozen(eq=False)
class _Table:
    """Records of one schema in order of time, with the time and the instrument of each."""

    records: NDArray[np.void]
    ts: NDArray[np.int64]
    instrument: NDArray[np.int32]


@frozen(eq=False)
class Selection:
    """The answer to a query.

    Attributes
    ----------
    records
        Structured array in the vendor's layout.
    header
        Metadata as a DBN file begins with it.
    not_found
        Symbols of the query that stand for nothing.
    """

    records: NDArray[np.void]
    header: bytes
    not_found: tuple[str, ...] = field(default=())


class HistoryData:
    """Answers queries from a tape's trades.

    Parameters
    ----------
    tape
        Its trades are what the vendor recorded.
    until
        End of what is available, in ns; the end of the ten minutes that hold the last trade if left out. Of longer
        bars only those are available whose hour or day is over then.
    schemas
        Which schemas the dataset offers.

    Raises
    ------
    DataError
        If the tape has no trades.
    """

    def __init__(self, tape: Tape, *, until: int | None = None, schemas: Sequence[str] = SCHEMAS) -> None:
        places = np.flatnonzero(tape.rtype == RTYPE_TRADE)
        if not len(places):
            raise DataError("history: found a tape without trades, expected at least one")
        trades = np.frombuffer(tape.encode(places), TRADE_DTYPE)
        self.dataset = tape.dataset
        self.schemas = tuple(schemas)
        self._tape = tape
        self._trades = _Table(trades, tape.ts[places], tape.instrument[places])
        self._begin = int(self._trades.ts[0]) // NS_PER_DAY * NS_PER_DAY
        self._end = _up(int(self._trades.ts[-1]) + 1, COUNT_GRID) if until is None else until
        self._tables: dict[str, _Table] = {"trades": self._trades}

    @property
    def records(self) -> int:
        """Number of trades."""
        return len(self._trades.records)

    def available(self, schema: str | None = None) -> tuple[int, int]:
        """Return the range of a schema, or of the whole dataset, in ns; the end is exclusive."""
        width = WIDTHS.get(schema or "", 1)
        return self._begin, self._end // width * width

    def check(self, query: Query) -> None:
        """Raise `Refusal` if a query reaches beyond what there is."""
        self.check_dataset(query.dataset)
        if query.schema not in self.schemas:
            raise Refusal(
                422,
                "data_schema_not_supported",
                f"The schema '{query.schema}' is not available for the dataset {self.dataset}, expected one of "
                f"{', '.join(self.schemas)}.",
            )
        begin, end = self.available(query.schema)
        payload = {
            "dataset": self.dataset,
            "start": isoformat(query.begin),
            "end": isoformat(query.end),
            "available_start": isoformat(begin),
            "available_end": isoformat(end),
        }
        if query.begin < begin:
            raise Refusal(
                422,
                "data_start_before_available_start",
                f"The dataset {self.dataset} has data available from '{_vendor_time(begin)}'. The `start` in the query "
                f"('{_vendor_time(query.begin)}') is before the available range. Try requesting with a later `start`.",
                payload,
            )
        if query.end > end:
            raise Refusal(
                422,
                "data_end_after_available_end",
                f"The dataset {self.dataset} has data available up to '{_vendor_time(end)}'. The `end` in the query "
                f"('{_vendor_time(query.end)}') is after the available range. Try requesting with an earlier `end`.",
                payload,
            )

    def check_dataset(self, dataset: str) -> None:
        """Raise `Refusal` unless a dataset is the tape's."""
        if dataset != self.dataset:
            raise Refusal(422, "dataset_not_found", f"The dataset '{dataset}' is not known, expected {self.dataset}.")

    def select(self, query: Query) -> Selection:
        """Return the records that a query asks for.

        Raises
        ------
        Refusal
            If it reaches beyond what there is, or no symbol can be resolved.
        """
        self.check(query)
        labels, not_found = self._labels(query)
        chosen = self._matching(query, labels)[: query.limit]
        mappings = [
            (label, [(first, last, str(self._tape.instruments[at].instrument_id)) for first, last, at in intervals])
            for label, intervals in labels.items()
        ]
        header = encode_header(
            self.dataset,
            query.schema,
            query.begin,
            query.end,
            query.stype,
            query.symbols,
            mappings,
            limit=query.limit,
            not_found=not_found,
        )
        return Selection(chosen, header, tuple(not_found))

    def count(self, query: Query) -> int:
        """Return the number of records of a query as the vendor tells it; raises as `select` does."""
        self.check(query)
        labels, _ = self._labels(query)
        begin, end = query.begin // COUNT_GRID * COUNT_GRID, _up(query.end, COUNT_GRID)
        counted = self._matching(query, labels, begin, end)
        return len(counted[: query.limit])

    def size(self, query: Query) -> int:
        """Return the bytes of a query's records as the vendor bills them; raises as `select` does."""
        return self.count(query) * int(self._table(query.schema).records.dtype.itemsize)

    def cost(self, query: Query) -> float:
        """Return the dollars that a query costs by the vendor's estimate; raises as `select` does."""
        return price_of(query.schema, self.size(query))

    def resolve(self, question: Resolution) -> dict[str, Any]:
        """Return what symbols stand for, as ``symbology.resolve`` answers.

        Raises
        ------
        Refusal
            If none of them can be resolved.
        """
        self.check_dataset(question.dataset)
        found = {
            symbol: self._intervals(question.stype_in, symbol, question.first, question.last)
            for symbol in question.symbols
        }
        instruments = self._tape.instruments
        result = {
            symbol: [
                {
                    "d0": first.isoformat(),
                    "d1": last.isoformat(),
                    "s": str(instruments[at].instrument_id)
                    if question.stype_out == "instrument_id"
                    else instruments[at].symbol,
                }
                for first, last, at in intervals
            ]
            for symbol, intervals in found.items()
        }
        not_found = [symbol for symbol, intervals in found.items() if not intervals]
        if len(not_found) == len(found):
            raise _unresolved(question.stype_in, question.symbols)
        return {
            "result": result,
            "symbols": list(question.symbols),
            "stype_in": question.stype_in,
            "stype_out": question.stype_out,
            "start_date": question.first.isoformat(),
            "end_date": question.last.isoformat(),
            "partial": [],
            "not_found": not_found,
            "message": "Partially resolved" if not_found else "OK",
            "status": 1 if not_found else 0,
        }

    def _matching(
        self, query: Query, labels: Mapping[str, Sequence[Interval]], begin: int | None = None, end: int | None = None
    ) -> NDArray[np.void]:
        table = self._table(query.schema)
        low, high = np.searchsorted(
            table.ts, [query.begin if begin is None else begin, query.end if end is None else end]
        )
        ts, instrument = table.ts[low:high], table.instrument[low:high]
        wanted = np.zeros(len(ts), np.bool_)
        for intervals in labels.values():
            for first, last, at in intervals:
                wanted |= (instrument == at) & (ts >= _midnight(first)) & (ts < _midnight(last))
        return table.records[low:high][wanted]

    def _labels(self, query: Query) -> tuple[dict[str, list[Interval]], list[str]]:
        """Return what the records of a query are called, and the symbols that stand for nothing."""
        first, last = to_datetime(query.begin).date(), to_datetime(query.end - 1).date() + timedelta(days=1)
        labels: dict[str, list[Interval]] = {}
        not_found = []
        for symbol in query.symbols:
            intervals = self._intervals(query.stype, symbol, first, last)
            if not intervals:
                not_found.append(symbol)
            for interval in intervals:
                label = symbol if query.stype == "continuous" else self._label(query.stype, interval[2])
                labels.setdefault(label, []).append(interval)
        if not labels:
            raise _unresolved(query.stype, query.symbols)
        return labels, not_found

    def _label(self, stype: str, at: int) -> str:
        instrument = self._tape.instruments[at]
        return str(instrument.instrument_id) if stype == "instrument_id" else instrument.symbol

    def _intervals(self, stype: str, symbol: str, first: date, last: date) -> list[Interval]:
        """Return which instruments a symbol stands for on which days."""
        if stype == "continuous":
            return self._continuous(symbol, first, last)
        found = []
        for at in self._tape.symbols.resolve(stype, symbol):
            since, until = self._life[at]
            if max(since, first) < min(until, last):
                found.append((max(since, first), min(until, last), at))
        return found

    @cached_property
    def _life(self) -> list[tuple[date, date]]:
        """From when until when each instrument owns its id, which the exchange gives away again."""
        instruments = self._tape.instruments
        life = [(date.min, date.max)] * len(instruments)
        begun: dict[int, list[tuple[date, int]]] = {}
        for at, days in enumerate(self._traded_days):
            if days:
                begun.setdefault(instruments[at].instrument_id, []).append((days[0], at))
        for owners in begun.values():
            owners.sort()
            for place, (_, at) in enumerate(owners):
                since = owners[place][0] if place else date.min
                until = owners[place + 1][0] if place + 1 < len(owners) else date.max
                life[at] = (since, until)
        return life

    @cached_property
    def _day_volume(self) -> dict[tuple[int, int], int]:
        """Contracts traded by instrument and UTC day."""
        days = self._trades.ts // NS_PER_DAY
        key = np.stack([self._trades.instrument.astype(np.int64), days])
        found, which = np.unique(key, axis=1, return_inverse=True)
        volume = np.bincount(which.ravel(), weights=self._trades.records["size"])
        return {(int(at), int(day)): int(v) for (at, day), v in zip(found.T, volume, strict=True)}

    @cached_property
    def _traded_days(self) -> list[list[date]]:
        days: list[list[date]] = [[] for _ in self._tape.instruments]
        for at, day in sorted(self._day_volume):
            days[at].append(_day(day))
        return days

    def _continuous(self, symbol: str, first: date, last: date) -> list[Interval]:
        """Rank a root's outrights anew each UTC day: by expiry, or by the volume of the day before.

        The tape does not tell when a contract expires; one counts as listed until it trades for the last time.
        """
        match = CONTINUOUS.fullmatch(symbol)
        if match is None:
            return []
        outrights = [
            at
            for at, instrument in enumerate(self._tape.instruments)
            if instrument.root == match["root"]
            and classify(instrument.symbol) is SymbolKind.OUTRIGHT
            and self._traded_days[at]
        ]
        start = self._tape.symbols.on
        outrights.sort(key=lambda at: parse_contract(self._tape.instruments[at].symbol, start).expiry)
        found: list[Interval] = []
        day = first
        while day < last:
            following = day + timedelta(days=1)
            listed = [at for at in outrights if self._traded_days[at][-1] >= day]
            if match["rule"] == "v":
                before = self._volume_before(listed, day)
                listed.sort(key=lambda at: -before.get(at, 0))
            if int(match["rank"]) < len(listed):
                at = listed[int(match["rank"])]
                if found and found[-1][1:] == (day, at):
                    found[-1] = (found[-1][0], following, at)
                else:
                    found.append((day, following, at))
            day = following
        return found

    def _volume_before(self, listed: Sequence[int], day: date) -> dict[int, int]:
        """Return volumes of the latest day before `day` on which any of some instruments traded; or of `day`."""
        traded = sorted({past for at in listed for past in self._traded_days[at] if past < day})
        number = ((traded[-1] if traded else day) - date(1970, 1, 1)).days
        return {at: self._day_volume.get((at, number), 0) for at in listed}

    def _table(self, schema: str) -> _Table:
        if schema not in self._tables:
            self._tables[schema] = _top_of_book(self._trades) if schema == "mbp-1" else _bars(self._trades, schema)
        return self._tables[schema]


def price_of(schema: str, size: int) -> float:
    """Return what so many bytes cost, in dollars."""
    return UNIT_PRICES[schema] * size / _GIGABYTE


def _bars(trades: _Table, schema: str) -> _Table:
    """Bin trades by receive time, per instrument; the order of receipt decides opens and closes."""
    sound = _sound(trades.records)
    records, ts, instrument = trades.records[sound], trades.ts[sound], trades.instrument[sound].astype(np.int64)
    starts = ts // WIDTHS[schema] * WIDTHS[schema]
    order = np.lexsort((instrument, starts))  # stable: within a bar the order of receipt stays
    records, starts, instrument = records[order], starts[order], instrument[order]
    change = (starts[1:] != starts[:-1]) | (instrument[1:] != instrument[:-1])
    first = np.flatnonzero(np.concatenate(([True], change))) if len(records) else np.zeros(0, np.int64)
    last = np.concatenate((first[1:], [len(records)]))[: len(first)] - 1
    bars = np.zeros(len(first), OHLCV_DTYPE)
    bars["length"] = OHLCV_DTYPE.itemsize // 4
    bars["rtype"] = RTYPES[schema]
    for name in ("publisher_id", "instrument_id"):
        bars[name] = records[name][first]
    bars["ts_event"] = starts[first]
    price = records["price"]
    bars["open"], bars["close"] = price[first], price[last]
    if len(first):
        bars["high"], bars["low"] = np.maximum.reduceat(price, first), np.minimum.reduceat(price, first)
        bars["volume"] = np.add.reduceat(records["size"].astype(np.uint64), first)
    return _Table(bars, starts[first], instrument[first].astype(np.int32))


def _sound(trades: TradeArray) -> NDArray[np.bool_]:
    sized = (trades["size"] != 0) & (trades["size"] != _UNDEF_SIZE)
    sound: NDArray[np.bool_] = (trades["price"] != _UNDEF_PRICE) & sized & (trades["action"] == b"T")
    return sound


def _top_of_book(trades: _Table) -> _Table:
    """Give each trade the book that nobody recorded: none."""
    records = np.zeros(len(trades.records), MBP1_DTYPE)
    for name in TRADE_DTYPE.names or ():
        records[name] = trades.records[name]
    records["length"] = MBP1_DTYPE.itemsize // 4
    records["rtype"] = RTYPES["mbp-1"]
    records["bid_px"] = records["ask_px"] = _UNDEF_PRICE
    return _Table(records, trades.ts, trades.instrument)


def _unresolved(stype: str, symbols: Sequence[str]) -> Refusal:
    if stype in ("parent", "continuous"):
        return Refusal(422, "symbology_invalid_request", f"Could not resolve smart symbols: {', '.join(symbols)}")
    assert stype in STYPES
    return Refusal(422, "symbology_invalid_request", "None of the symbols could be resolved")


def _up(ts: int, width: int) -> int:
    return -(-ts // width) * width


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)


def _midnight(day: date) -> int:
    """Return ns of a day's beginning, of the first and of the last thinkable day as well."""
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _vendor_time(ts: int) -> str:
    return isoformat(ts).replace("T", " ")
