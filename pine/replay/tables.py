"""The tables of a record: their columns, what identifies a row, and in which order things happen within a step."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from pine.core.bar import Bar

if TYPE_CHECKING:
    import polars as pl

CHUNK: Final = 50_000
"""Rows that are kept as Python lists before they become columns."""


@frozen
class Shape:
    """How one table is built.

    Attributes
    ----------
    columns
        Name and polars' word for the type of each; ``step`` (ns) is when the row became known.
    keys
        What identifies a row; rows that share it are told apart by their order.
    is_input
        Whether it came from outside the strategy: what it thought follows from these tables.
    """

    columns: Mapping[str, str]
    keys: tuple[str, ...]
    is_input: bool = False

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that two runs are compared by."""
        return tuple(name for name in self.columns if name not in self.keys)


_PRICES: Final = dict.fromkeys(("open", "high", "low", "close"), "Float64")

SHAPES: Final[Mapping[str, Shape]] = {
    "events": Shape(
        {"step": "Int64", "kind": "String", "symbol": "String", "payload": "String"},
        ("step", "kind", "symbol"),
        is_input=True,
    ),
    "bars": Shape(
        {
            "step": "Int64",
            "symbol": "String",
            "timeframe": "String",
            "start": "Int64",
            **_PRICES,
            "volume": "Int64",
            "instrument_id": "Int64",
            "contract": "String",
        },
        ("symbol", "timeframe", "start"),
        is_input=True,
    ),
    "requests": Shape({"step": "Int64", "request": "String", "payload": "String"}, ("step", "request"), is_input=True),
    "fills": Shape(
        {
            "step": "Int64",
            "intent": "String",
            "symbol": "String",
            "contract": "String",
            "side": "Int64",
            "quantity": "Int64",
            "price": "Float64",
            "time": "Int64",
            "commission": "Float64",
            "pnl": "Float64",
        },
        ("intent",),
    ),
    "account": Shape(
        {"step": "Int64", "intent": "String", "cash": "Float64", "realised": "Float64"},
        ("intent",),
    ),
    "values": Shape(
        {"step": "Int64", "symbol": "String", "name": "String", "value": "Float64", "text": "String"},
        ("step", "symbol", "name"),
    ),
    "decisions": Shape(
        {"step": "Int64", "symbol": "String", "ask": "String", "reason": "String", "refused": "String"},
        ("step", "symbol"),
    ),
    "intents": Shape(
        {
            "step": "Int64",
            "id": "String",
            "symbol": "String",
            "action": "String",
            "contract": "String",
            "ticker": "String",
            "quantity": "Int64",
            "price": "Float64",
            "reason": "String",
            "entry": "String",
            "facts": "String",
        },
        ("id",),
    ),
    "trades": Shape(
        {
            "step": "Int64",
            "symbol": "String",
            "side": "Int64",
            "quantity": "Int64",
            "entry_time": "Int64",
            "entry_price": "Float64",
            "exit_time": "Int64",
            "exit_price": "Float64",
            "pnl": "Float64",
            "reason": "String",
        },
        ("symbol", "entry_time"),
    ),
    "flights": Shape({"step": "Int64", "digest": "String"}, ("step",)),
}
"""Every kind of table, in the order in which one follows from another within a step."""

RECORDED: Final = tuple(name for name in SHAPES if name != "trades")
"""What a run writes down; trades follow from its fills."""


def schema(name: str) -> "dict[str, pl.DataType]":
    """Return the polars types of a table's columns."""
    import polars as pl

    return {column: getattr(pl, kind)() for column, kind in SHAPES[name].columns.items()}


def empty(name: str) -> "pl.DataFrame":
    """Return a table without rows."""
    import polars as pl

    return pl.DataFrame(schema=schema(name))


class Page:
    """Rows of one table on their way to columns."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: list[Any] = []
        self._frames: list[pl.DataFrame] = []

    def add(self, *row: object) -> None:
        """Add a row, its cells in the order of the table's columns."""
        self._rows.append(row)
        if len(self._rows) >= CHUNK:
            self._turn()

    def frame(self) -> "pl.DataFrame":
        """Return all rows so far."""
        import polars as pl

        self._turn()
        return pl.concat(self._frames, rechunk=True) if self._frames else empty(self._name)

    def _turn(self) -> None:
        if self._rows:
            self._frames.append(self._columns(self._rows))
            self._rows = []

    def _columns(self, rows: list[Any]) -> "pl.DataFrame":
        import polars as pl

        return pl.DataFrame(rows, schema=schema(self._name), orient="row")


class BarPage(Page):
    """Bars on their way to columns: rows of a step (ns) and a bar, which are taken apart all at once."""

    def _columns(self, rows: list[tuple[int, Bar]]) -> "pl.DataFrame":
        import polars as pl

        bars = [bar for _, bar in rows]
        columns = (
            [step for step, _ in rows],
            [bar.symbol for bar in bars],
            [bar.timeframe.value for bar in bars],
            [bar.start for bar in bars],
            [bar.open for bar in bars],
            [bar.high for bar in bars],
            [bar.low for bar in bars],
            [bar.close for bar in bars],
            [bar.volume for bar in bars],
            [bar.instrument_id for bar in bars],
            [bar.contract_symbol for bar in bars],
        )
        return pl.DataFrame(dict(zip(SHAPES[self._name].columns, columns, strict=True)), schema=schema(self._name))
