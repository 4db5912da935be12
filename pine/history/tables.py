"""Rows of each kind of table: from stream entries to columns and back, without a loss."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson
from attrs import frozen

from pine.bus import keys, streams
from pine.core.bar import SCHEMA_VERSION, Bar
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND, Timeframe
from pine.core.times import to_ms

if TYPE_CHECKING:
    import polars as pl

LIVE: Final = "live"
"""Source of the bars that were sealed from the streams."""

BAR_COLUMNS: Final = (
    "timestamp",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "instrument_id",
    "contract_symbol",
    "source",
)
_PRICES: Final = ("open", "high", "low", "close")

Rows = list[tuple[Bar, str]]
"""Bars with where each came from."""


def bar_id(start: int) -> str:
    """Return the stream id of a bar that starts at an instant in ns."""
    return streams.entry_id(to_ms(start))


def bars_of_entries(symbol: str, timeframe: Timeframe, entries: Sequence[streams.Entry]) -> "pl.DataFrame":
    """Return the columns of a bar stream's entries.

    Raises
    ------
    DataError
        If an entry is no bar of this stream, or stands under another id than its time.
    """
    stream = keys.bars(symbol, timeframe)
    payloads = [streams.field_of(stream, fields, "bar") for _, fields in entries]
    starts = [streams.ms_of(identifier) * NS_PER_MS for identifier, _ in entries]
    frame = _fast_bars(symbol, timeframe, payloads, starts)
    if frame is not None:
        return frame
    rows: Rows = []
    for (identifier, _), payload, start in zip(entries, payloads, starts, strict=True):
        bar = Bar.from_json(payload)
        if (bar.symbol, bar.timeframe, bar_id(bar.start)) != (symbol, timeframe, identifier) or bar.start != start:
            raise DataError(f"{stream} {identifier}: found the bar {payload!r}, expected one of that stream and time")
        rows.append((bar, LIVE))
    return bars_frame(rows)


def _fast_bars(symbol: str, timeframe: Timeframe, payloads: list[bytes], starts: list[int]) -> "pl.DataFrame | None":
    """Return the columns of well-formed bars; nothing if any is not as the hub writes them."""
    import numpy as np
    import polars as pl

    try:
        raw = orjson.loads(b"[" + b",".join(payloads) + b"]")
        said = {(row["symbol"], row["timeframe"], row["version"]) for row in raw}
        prices = {name: np.array([row[name] for row in raw], dtype=np.float64) for name in _PRICES}
        counts = {name: pl.Series(name, [row[name] for row in raw]) for name in ("volume", "instrument_id")}
        contracts = pl.Series([row["contract_symbol"] for row in raw], dtype=pl.String)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return None
    seconds = np.array(starts, dtype=np.int64) // NS_PER_SECOND
    times = [f"{text}+00:00" for text in np.datetime_as_string(seconds.astype("datetime64[s]")).tolist()]
    low, high = prices["low"], prices["high"]
    sound = (
        len(raw) == len(payloads)
        and said == {(symbol, timeframe.value, SCHEMA_VERSION)}
        and times == [row["timestamp"] for row in raw]
        and all(column.dtype == pl.Int64 and column.null_count() == 0 for column in counts.values())
        and contracts.null_count() == 0
        and all(bool(np.isfinite(column).all()) for column in prices.values())
        and all(bool(((low <= column) & (column <= high)).all()) for column in prices.values())
        and bool((counts["volume"] >= 0).all())
    )
    if not sound:
        return None
    return pl.DataFrame(
        {
            "timestamp": pl.Series(starts, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
            **{name: pl.Series(values) for name, values in prices.items()},
            **counts,
            "contract_symbol": contracts,
            "source": pl.Series([LIVE] * len(raw), dtype=pl.String),
        }
    )


def bars_frame(rows: Rows) -> "pl.DataFrame":
    """Return the columns of bars."""
    import polars as pl

    bars = [bar for bar, _ in rows]
    return pl.DataFrame(
        {
            "timestamp": pl.Series([bar.start for bar in bars], dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
            **{name: pl.Series([getattr(bar, name) for bar in bars], dtype=pl.Float64) for name in _PRICES},
            "volume": pl.Series([bar.volume for bar in bars], dtype=pl.Int64),
            "instrument_id": pl.Series([bar.instrument_id for bar in bars], dtype=pl.Int64),
            "contract_symbol": pl.Series([bar.contract_symbol for bar in bars], dtype=pl.String),
            "source": pl.Series([source for _, source in rows], dtype=pl.String),
        }
    )


def frame_bars(symbol: str, timeframe: Timeframe, frame: "pl.DataFrame") -> list[Bar]:
    """Return the bars of columns; the counterpart of `bars_frame`, bit for bit."""
    import polars as pl

    columns = [frame["timestamp"].cast(pl.Int64).to_list()]
    columns += [frame[name].to_list() for name in BAR_COLUMNS[1:8]]
    return [Bar(symbol, timeframe, *values) for values in zip(*columns, strict=True)]


def frame_rows(symbol: str, timeframe: Timeframe, frame: "pl.DataFrame") -> Rows:
    """Return the bars of columns with their sources."""
    return list(zip(frame_bars(symbol, timeframe, frame), frame["source"].to_list(), strict=True))


def _optional(raw: Mapping[str, Any], first: str, *others: str) -> Any:
    if first in raw or not others:
        return raw.get(first)
    return _optional(raw, *others)


@frozen
class Codec:
    """How the entries of one kind of stream become rows.

    Attributes
    ----------
    time
        Name of the column with the time of the id.
    field
        The entry's field that holds its JSON; nothing if all its fields make the payload.
    payload
        Whether the payload is a column; if not, the field is the column of its own name, as text.
    columns
        Columns taken out of the payload, with polars' name of their type and the names under which it may be there.
    """

    time: str
    field: str | None
    payload: bool = True
    columns: Mapping[str, tuple[str, tuple[str, ...]]] = {}
    derived: Callable[[dict[str, Any]], dict[str, Any]] = dict

    def frame(self, stream: str, entries: Sequence[streams.Entry]) -> "pl.DataFrame":
        """Return the columns of entries.

        Raises
        ------
        DataError
            If one cannot be read.
        """
        import polars as pl

        times = pl.Series([streams.ms_of(identifier) * NS_PER_MS for identifier, _ in entries], dtype=pl.Int64)
        found: dict[str, Any] = {
            "id": pl.Series([identifier for identifier, _ in entries], dtype=pl.String),
            self.time: times.cast(pl.Datetime("ns", "UTC")),
        }
        texts = [self._text(stream, fields) for _, fields in entries]
        if not self.payload:
            assert self.field is not None
            return pl.DataFrame({**found, self.field: pl.Series(texts, dtype=pl.String)})
        raw = list(map(self.derived, _objects(stream, entries, texts)))
        for name, (kind, places) in self.columns.items():
            values = (
                [row.get(places[0]) for row in raw] if len(places) == 1 else [_optional(row, *places) for row in raw]
            )
            found[name] = _column(kind, values)
        return pl.DataFrame({**found, "payload": pl.Series(texts, dtype=pl.String)})

    def entries(self, frame: "pl.DataFrame") -> list[streams.Entry]:
        """Return the stream's entries without the writers' numbers; the counterpart of `frame`."""
        texts = frame["payload" if self.payload else self.field or ""].to_list()
        return [(identifier, self._fields(text)) for identifier, text in zip(frame["id"].to_list(), texts, strict=True)]

    def _text(self, stream: str, fields: dict[bytes, bytes]) -> str:
        if self.field is not None:
            payload = streams.field_of(stream, fields, self.field)
            try:
                return payload.decode()
            except UnicodeDecodeError:
                raise DataError(f"{stream}: found {payload[:120]!r}, expected text") from None
        # What somebody else put on a control stream need not be text, and influences nothing then.
        named = {_readable(name): _readable(value) for name, value in fields.items() if name != b"fence"}
        return orjson.dumps(named).decode()

    def _fields(self, text: str) -> dict[bytes, bytes]:
        if self.field is not None:
            return {self.field.encode(): text.encode()}
        return {name.encode(): value.encode() for name, value in orjson.loads(text).items()}


def _readable(text: bytes) -> str:
    return text.decode(errors="replace")


def _objects(stream: str, entries: Sequence[streams.Entry], texts: list[str]) -> list[dict[str, Any]]:
    """Return the payloads read; all at once, or one by one to name the one that cannot be read."""
    try:
        raw = orjson.loads(f"[{','.join(texts)}]")
    except orjson.JSONDecodeError:
        raw = []
    if len(raw) == len(texts) and all(isinstance(row, dict) for row in raw):
        return list(raw)
    return [_object(stream, entry, text) for entry, text in zip(entries, texts, strict=True)]


def _object(stream: str, entry: streams.Entry, text: str) -> dict[str, Any]:
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raw = error
    if not isinstance(raw, dict):
        raise DataError(f"{stream} {entry[0]}: found {text[:120]!r}, expected a JSON object")
    return raw


def _column(kind: str, values: list[Any]) -> "pl.Series":
    """Return values as a column of one type; what cannot be of that type is nothing there, the payload has it."""
    import polars as pl

    wanted = _PYTHON[kind]
    if not {type(value) for value in values} <= {wanted, type(None)} or wanted is str:
        values = [_as(wanted, value) for value in values]
    return pl.Series(values, dtype=getattr(pl, kind))


def _as(wanted: type, value: Any) -> Any:
    if value is None or value == "":
        return None
    try:
        return wanted(value)
    except (TypeError, ValueError):
        return None


_PYTHON: Final[Mapping[str, type]] = {"String": str, "Float64": float, "Int64": int}


def _with_total(raw: dict[str, Any]) -> dict[str, Any]:
    return {"total": sum(raw.values())}


def _named(*names: str, kind: str = "String") -> dict[str, tuple[str, tuple[str, ...]]]:
    return {name: (kind, (name,)) for name in names}


CODECS: Final[Mapping[str, Codec]] = {
    "volumes": Codec("timestamp", "volume", columns=_named("total", kind="Int64"), derived=_with_total),
    "vendor_volumes": Codec("timestamp", "volume", columns=_named("total", kind="Int64"), derived=_with_total),
    "leads": Codec("session", "contract", payload=False),
    "events": Codec("step", "event", columns=_named("kind", "symbol")),
    "clock": Codec("step", "prev", payload=False),
    "ledgers": Codec(
        "step",
        "entry",
        columns={
            **_named("kind", "symbol", "contract", "action"),
            "intent": ("String", ("intent", "id")),
            **_named("quantity", "side", kind="Int64"),
            **_named("price", "pnl", kind="Float64"),
        },
    ),
    "warmups": Codec("step", "bars", payload=False),
    "flights": Codec("step", "flight", columns=_named("digest", "config", "code")),
    "deliveries": Codec(
        "time",
        None,
        columns={**_named("intent", "state"), **_named("status", "at", kind="Int64"), **_named("text")},
    ),
    "controls": Codec("time", None),
}
"""Every kind of table but those of bars."""
