"""References from outside that hold what cannot be compared are refused, never partly compared."""

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from made import unchanged

from pine.core.errors import DataError
from pine.replay.files import against_file
from pine.replay.trades import trades_of

COLUMNS = ("symbol", "side", "entry_time", "entry_price", "entry_size", "exit_time", "exit_price", "pnl")


def old_trades(path: Path, **changed: object) -> Path:
    """Write the trades of a run as the old system's, the first of them once more with some changes."""
    names = ("symbol", "side", "entry_time", "entry_price", "quantity", "exit_time", "exit_price", "pnl")
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in trades_of(unchanged()).select(names).iter_rows()]
    rows += [rows[0] | changed] if changed else []
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE trades ({', '.join(COLUMNS)})")
        connection.executemany("INSERT INTO trades VALUES (?,?,?,?,?,?,?,?)", [tuple(row.values()) for row in rows])
        connection.commit()
    return path


def test_whole_trades_of_the_runs_symbols_are_read(tmp_path: Path) -> None:
    mine, theirs = against_file(unchanged(), old_trades(tmp_path / "trades.db"))
    assert theirs.tables["trades"].height == mine.tables["trades"].height > 0


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"symbol": "NQ"}, "found trades of NQ too"),
        ({"symbol": None}, "found trades of None too"),
        ({"entry_size": 1.9}, "expected a whole number"),
        ({"entry_size": "1e400"}, "infinity"),
        ({"exit_time": "9" * 30}, "64 bits"),
        ({"exit_time": "²"}, "ISO 8601"),
    ],
)
def test_trades_that_cannot_be_compared_are_named(tmp_path: Path, changed: dict[str, object], text: str) -> None:
    with pytest.raises(DataError, match=text):
        against_file(unchanged(), old_trades(tmp_path / "trades.db", **changed))


def test_a_value_without_a_time_is_not_left_out(tmp_path: Path) -> None:
    rows = {"time": [1, None], "symbol": ["ES", "ES"], "column": ["ibs", "ibs"], "value": [0.5, 0.6]}
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="1 rows without one"):
        against_file(unchanged(), tmp_path / "a.parquet")
