"""Records for the reference from DBN files or arrays, read by Databento's own library."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pine.core.errors import DataError
from pine.core.times import parse_time
from pine.legacy.market import Naming, Record, Trade

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLUMNS = ("instrument_id", "price", "size", "action", "flags", "ts_event", "ts_recv")


def of_array(trades: "NDArray[np.void]", symbols: Mapping[int, str]) -> Iterator[Record]:
    """Yield the trades of a structured array with Databento's fields, their names first."""
    for number, raw in symbols.items():
        yield Naming(number, raw)
    columns = [trades[name].tolist() for name in _COLUMNS]
    for number, price, size, action, flags, event, received in zip(*columns, strict=True):
        yield Trade(number, price, size, action.decode(), flags, event, received)


def of_files(paths: Sequence[Path]) -> Iterator[Record]:
    """Yield the trades of DBN files as one tape, by receive time.

    Raises
    ------
    DataError
        If a file cannot be read, or is not of schema ``trades``.
    """
    return (record for _, record in heapq.merge(*map(_timed, paths), key=lambda item: item[0]))


def trade_of(record: Any) -> Trade:
    """Return a trade of Databento's own record class; each field is read once."""
    return Trade(
        record.instrument_id,
        record.price,
        record.size,
        str(record.action),
        int(record.flags),
        record.ts_event,
        record.ts_recv,
    )


def _timed(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield the records of a file with the time at which each counts; a name counts from its day's beginning."""
    import databento as db

    try:
        store = db.DBNStore.from_file(path)
        schema = str(store.schema)
        names = sorted(_names(store.metadata.mappings))
    except (OSError, ValueError, db.BentoError) as error:
        raise DataError(f"{path}: found no DBN file that can be read: {error}") from None
    if schema != "trades":
        raise DataError(f"{path}: found schema {schema}, expected trades")
    at, last = 0, 0
    try:
        for record in store:
            if not isinstance(record, db.TradeMsg):
                continue
            last = max(last, min(record.ts_recv, 1 << 62))
            while at < len(names) and (names[at][0] <= last or at == 0):
                yield last, names[at][1]
                at += 1
            yield last, trade_of(record)
    except db.BentoError as error:
        raise DataError(f"{path}: damaged: {error}") from None


def _names(mappings: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[tuple[int, Naming]]:
    """Yield from when (ns) each instrument id stands for a symbol, whichever side of the mapping it is on."""
    for label, intervals in mappings.items():
        for interval in intervals:
            number, raw = (label, interval["symbol"]) if label.isdecimal() else (interval["symbol"], label)
            if str(number).isdecimal():
                begin = interval["start_date"]
                day = begin.isoformat()[:10] if isinstance(begin, datetime) else begin.isoformat()
                yield parse_time(day), Naming(int(number), raw)
