"""References from outside: a table of values, or the old system's trades."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from pine.core.errors import DataError, PineError
from pine.core.timeframe import NS_PER_MINUTE
from pine.core.times import parse_time
from pine.replay.record import Facts, Record
from pine.replay.tables import schema
from pine.replay.trades import trades_of

if TYPE_CHECKING:
    import polars as pl

COLUMNS: Final = ("time", "symbol", "column", "value")
BAR_COLUMNS: Final = ("open", "high", "low", "close", "volume")
_SQLITE: Final = b"SQLite format 3\x00"
_TRADES: Final = ("symbol", "side", "entry_time", "entry_price", "entry_size", "exit_time", "exit_price", "pnl")
_WHOLE: Final = re.compile(r"-?[0-9]+")
_LIMIT: Final = 1 << 63
_SIDES: Final = {"long": 1, "buy": 1, "1": 1, "short": -1, "sell": -1, "-1": -1}


def against_file(ours: Record, path: Path) -> tuple[Record, Record]:
    """Return what a run has of the things that a file holds, and the file, both as records.

    Parameters
    ----------
    ours
        The run.
    path
        CSV or Parquet with the columns time, symbol, column and value, or a SQLite file with the table ``trades``.

    Raises
    ------
    PineError
        If the file cannot be read.
    DataError
        If it holds something else.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_SQLITE))
    except OSError as error:
        raise PineError(f"{path}: cannot be read: {error.strerror}") from None
    return _old_trades(ours, path) if magic == _SQLITE else _values(ours, path, magic)


def _values(ours: Record, path: Path, magic: bytes) -> tuple[Record, Record]:
    import polars as pl

    theirs = _read_values(path, magic)
    begin, end = theirs["step"].min(), theirs["step"].max()
    assert isinstance(begin, int)
    assert isinstance(end, int)
    known = pl.concat([_plain(ours.table("values")), _plain(_melted(ours))])
    series = theirs.select("symbol", "name").unique()
    lacking = series.join(known.select("symbol", "name").unique(), on=["symbol", "name"], how="anti").sort(pl.all())
    if lacking.height == series.height:
        names = ", ".join(sorted(known["name"].unique().to_list())) or "nothing"
        raise DataError(f"{path}: found {', '.join(series['name'].unique().sort().to_list())}; the run has {names}")
    chosen = known.join(series, on=["symbol", "name"], how="semi").sort("step", maintain_order=True)
    facts = Facts(path.name, "", (), begin - NS_PER_MINUTE, end, begin)
    return evolve(ours, tables={"values": chosen}), Record(facts, {"values": theirs})


def _read_values(path: Path, magic: bytes) -> "pl.DataFrame":
    import polars as pl

    try:
        frame = pl.read_parquet(path) if magic[:4] == b"PAR1" else pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as CSV or Parquet: {error}") from None
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise DataError(f"{path}: found columns {', '.join(frame.columns)}, expected {', '.join(missing)} too")
    if not frame.height:
        raise DataError(f"{path}: found no rows, expected some to compare with")
    numbers = frame["value"].cast(pl.Float64, strict=False)
    texts = frame["value"].cast(pl.String)
    rows = [
        (step, symbol, name, number, None if number is not None or text is None else _json(text))
        for step, symbol, name, number, text in zip(
            _times(path, frame["time"]), frame["symbol"], frame["column"], numbers, texts, strict=True
        )
    ]
    return pl.DataFrame(rows, schema=schema("values"), orient="row").sort("step", maintain_order=True)


def _times(path: Path, column: "pl.Series") -> list[int]:
    """Return times in ns: whole numbers as they are, times of day in UTC, texts in ISO 8601."""
    import polars as pl

    if column.null_count():
        raise DataError(f"{path}: time: found {column.null_count()} rows without one, expected one in each")
    if column.dtype == pl.Int64:
        return column.to_list()
    if isinstance(column.dtype, pl.Datetime):
        return column.cast(pl.Datetime("ns", column.dtype.time_zone)).cast(pl.Int64).to_list()
    return [_time(path, text) for text in column.cast(pl.String)]


def _time(path: Path, text: str | None) -> int:
    try:
        ts = int(text) if text is not None and _WHOLE.fullmatch(text) else parse_time(text or "")
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    if not -_LIMIT <= ts < _LIMIT:
        raise DataError(f"{path}: time: found {text}, expected one that 64 bits of ns can hold")
    return ts


def _plain(values: "pl.DataFrame") -> "pl.DataFrame":
    """Return values as a file would have them: of a whole number nothing tells that it is one."""
    import polars as pl

    return values.with_columns(pl.when(pl.col("value").is_null()).then(pl.col("text")).alias("text"))


def _melted(record: Record) -> "pl.DataFrame":
    """Return bars as values named ``hourly.close``."""
    import polars as pl

    parts = [
        record.table("bars").select(
            "step",
            "symbol",
            (pl.col("timeframe") + f".{column}").alias("name"),
            pl.col(column).cast(pl.Float64).alias("value"),
            pl.lit(None, dtype=pl.String).alias("text"),
        )
        for column in BAR_COLUMNS
    ]
    return pl.concat(parts)


def _old_trades(ours: Record, path: Path) -> tuple[Record, Record]:
    import polars as pl

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute(f"SELECT {', '.join(_TRADES)} FROM trades ORDER BY exit_time").fetchall()  # noqa: S608
    except sqlite3.Error as error:
        raise DataError(f"{path}: found no table trades with {', '.join(_TRADES)}: {error}") from None
    if others := sorted({str(row[0]) for row in found} - set(ours.facts.symbols)):
        known = ", ".join(ours.facts.symbols)
        raise DataError(f"{path}: found trades of {', '.join(others)} too, expected those of {known} only")
    rows = [_old_trade(path, row) for row in found]
    theirs = pl.DataFrame(rows, schema=schema("trades"), orient="row")
    mine = trades_of(ours).with_columns(pl.lit(None, dtype=pl.String).alias("reason"))
    # A trade is known when its exit has filled; the old system dates it by the fill.
    mine = mine.with_columns(pl.col("exit_time").alias("step"))
    facts = evolve(ours.facts, name=path.name, strategy="", settings={})
    return Record(ours.facts, {"trades": mine}), Record(facts, {"trades": theirs})


def _old_trade(path: Path, row: Sequence[Any]) -> tuple[Any, ...]:
    symbol, side, entry_time, entry_price, size, exit_time, exit_price, pnl = row
    sign = _SIDES.get(str(side).lower())
    if sign is None:
        raise DataError(f"{path}: trade of {symbol} at {entry_time}: side: found {side!r}, expected long or short")
    try:
        entered, left = _time(path, str(entry_time)), _time(path, str(exit_time))
        numbers = float(entry_price), float(exit_price), float(pnl)
        quantity = abs(int(float(size)))
        is_whole = quantity == abs(float(size))
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: trade of {symbol} at {entry_time}: {error}") from None
    if not is_whole:
        raise DataError(f"{path}: trade of {symbol} at {entry_time}: size: found {size!r}, expected a whole number")
    return left, symbol, sign, quantity, entered, numbers[0], left, numbers[1], numbers[2], None


def _json(text: str) -> str:
    import orjson

    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return orjson.dumps(text).decode()
    return text
