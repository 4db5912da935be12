"""What is bought of Databento Historical: asked for, quoted, and what came, read and checked to be whole."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pine.core.errors import HistoryError
from pine.core.timeframe import NS_PER_MINUTE
from pine.core.times import isoformat
from pine.history.schemas import SCHEMAS

COUNT_GRID: Final = 10 * NS_PER_MINUTE
"""The vendor's record counts are exact only for whole ten minutes; else they may be too high."""


@frozen
class Request:
    """What is asked for: records of one symbol in ``begin <= t < end`` (ns)."""

    schema: str
    stype: str
    symbol: str
    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.schema} of {self.symbol} from {isoformat(self.begin)} to {isoformat(self.end)}"


@frozen
class Quote:
    """How many records a request is for, and what it costs in dollars."""

    request: Request
    records: int
    cost: float


@frozen(eq=False)
class Bought:
    """Checked records of one request, and which instrument ids its labels stand for on which UTC days.

    `body` is what came: a DBN file.
    """

    request: Request
    records: NDArray[np.void]
    labels: Mapping[str, Sequence[tuple[date, date, int]]]
    body: bytes


class Incomplete(Exception):
    """Data that did not come whole."""


def decode(request: Request, body: bytes) -> Bought:
    """Read a body; raise `Incomplete` if it is not whole."""
    import databento_dbn as dbn

    data = _decompress(body)
    header = 8 + int.from_bytes(data[4:8], "little")
    if data[:3] != b"DBN" or len(data) < header:
        raise Incomplete(f"{len(data)} bytes without a whole DBN header")
    try:
        metadata = dbn.Metadata.decode(data[:header])
    except (dbn.DBNError, ValueError) as error:
        raise Incomplete(f"a header that cannot be read ({error})") from None
    schema = SCHEMAS[request.schema]
    size = schema.layout.itemsize
    if rest := (len(data) - header) % size:
        raise Incomplete(f"{len(data) - header} bytes of records, {rest} more than whole ones")
    records = np.frombuffer(data, schema.layout, offset=header)
    if (records["length"] != size // 4).any() or (records["rtype"] != schema.rtype).any():
        raise Incomplete(f"records that are not of {request.schema}")
    labels: dict[str, list[tuple[date, date, int]]] = {}
    for label, intervals in metadata.mappings.items():
        for interval in intervals:
            row: Any = interval
            if str(row["symbol"]).isdecimal():
                labels.setdefault(label, []).append((row["start_date"], row["end_date"], int(row["symbol"])))
    return Bought(request, records, labels, body)


def _decompress(data: bytes) -> bytes:
    """Decompress; the end of the frame is the only sure sign that a body without a length came whole."""
    import zstandard

    parts = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            parts.append(frame.decompress(data))
        except zstandard.ZstdError as error:
            raise Incomplete(f"damaged compression ({error})") from None
        if not frame.eof:
            raise Incomplete(f"{sum(map(len, parts))} bytes that end before the compressed stream does")
        data = frame.unused_data
    return b"".join(parts)


def _twice(records: NDArray[np.void]) -> int | None:
    """Return the time of a bar that an instrument has twice, if one has."""
    numbers, times = records["instrument_id"], records["ts_event"]
    order = np.lexsort((times, numbers))
    same = (numbers[order][1:] == numbers[order][:-1]) & (times[order][1:] == times[order][:-1])
    return int(times[order][1:][same][0]) if same.any() else None


def check(quote: Quote, records: NDArray[np.void]) -> None:
    """Raise `Incomplete` unless the records are the ones that were asked for, as many as were promised."""
    request = quote.request
    ts = records[SCHEMAS[request.schema].clock]
    if len(ts) and (ts.min() < request.begin or ts.max() >= request.end):
        found = f"{isoformat(int(ts.min()))} to {isoformat(int(ts.max()))}"
        raise HistoryError(
            f"databento: {request}: found records from {found}, expected none outside the time asked for"
        )
    if SCHEMAS[request.schema].width > 1 and (again := _twice(records)) is not None:
        raise HistoryError(
            f"databento: {request}: found two bars of {isoformat(again)}, expected one of each instrument"
        )
    exact = request.begin % COUNT_GRID == 0 and request.end % COUNT_GRID == 0
    if len(records) < quote.records and exact:
        last = f", the last of {isoformat(int(ts[-1]))}" if len(ts) else ""
        raise Incomplete(f"{len(records)} records of {quote.records}{last}")
