"""Rows to train on, taken from the record of a replay: what was seen at each entry, and what came of it."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import orjson
from attrs import asdict, field, frozen

from pine.core.instruments import is_generated
from pine.replay.record import Record
from pine.strategies.models.card import GENERATED

Values = tuple[float | None, ...]

Data = Literal["generated", "recorded"]

RECORDED: Final = "recorded"


@frozen
class Row:
    """One entry that was asked for, filled and closed again.

    Attributes
    ----------
    step
        When it was asked for, in ns; everything in `values` was known then.
    known
        Step, in ns, at which its exit was booked: the label is known from then on.
    intent
        Id of the entry.
    values
        One per feature, bit for bit as the flight record has them.
    entered, left
        Starts, in ns, of the minutes that filled entry and exit.
    entry_price, exit_price
        In points, slippage included.
    outcome
        Dollars earned, after the commissions of both sides.
    """

    step: int
    known: int
    intent: str
    values: tuple[float, ...]
    entered: int
    left: int
    entry_price: float
    exit_price: float
    outcome: float

    @property
    def label(self) -> int:
        """1 if it earned something after costs."""
        return int(self.outcome > 0)


@frozen
class Sample:
    """Everything there is to train one symbol's model on.

    Attributes
    ----------
    features
        Canonical addresses, in the order of each row's values.
    rows
        In order of their steps.
    still_open
        Entries left out because they were not closed by the end of the replay.
    incomplete
        Entries left out because a value was missing.
    missing
        How many of those lack a feature, by feature; one entry may lack several.
    """

    symbol: str
    features: tuple[str, ...]
    rows: tuple[Row, ...]
    still_open: int = 0
    incomplete: int = 0
    missing: Mapping[str, int] = field(factory=dict)

    def digest(self) -> str:
        """Return the sha256, in hexadecimal, of features, values, outcomes, labels and times of all rows."""
        told = [[*asdict(row).values(), row.label] for row in self.rows]
        return hashlib.sha256(orjson.dumps([self.symbol, self.features, told])).hexdigest()


def samples_of(record: Record, symbols: Sequence[str], features: Sequence[str]) -> dict[str, Sample]:
    """Return what a replay gives to train on, by symbol.

    Parameters
    ----------
    record
        Of a run whose strategy has exactly `features` under `features`, in that order.
    symbols
        Whose rows are wanted.
    features
        Canonical addresses.
    """
    seen = observed(record, features)
    trades = _trades(record)
    rows: dict[str, list[Row]] = {symbol: [] for symbol in symbols}
    still_open: Counter[str] = Counter()
    missing: dict[str, Counter[str]] = {symbol: Counter() for symbol in symbols}
    incomplete: Counter[str] = Counter()
    for intent in record.table("intents").iter_rows(named=True):
        symbol = intent["symbol"]
        if intent["action"] == "exit" or symbol not in rows:
            continue
        values = seen.get((intent["step"], symbol), (None,) * len(features))
        complete = tuple(value for value in values if value is not None)
        if intent["id"] not in trades:
            still_open[symbol] += 1
        elif len(complete) < len(features):
            incomplete[symbol] += 1
            missing[symbol].update(name for name, value in zip(features, values, strict=True) if value is None)
        else:
            rows[symbol].append(_row(intent, complete, *trades[intent["id"]]))
    return {
        symbol: Sample(
            symbol,
            tuple(features),
            tuple(sorted(rows[symbol], key=lambda row: row.step)),
            still_open[symbol],
            incomplete[symbol],
            {name: missing[symbol][name] for name in features if missing[symbol][name]},
        )
        for symbol in symbols
    }


def observed(record: Record, features: Sequence[str]) -> dict[tuple[int, str], Values]:
    """Return what the engine wrote down at each entry asked for, by step (ns) and symbol; nothing for a missing value.

    The engine writes all features in one run; a strategy's own word of the same name stands outside it.
    """
    found: dict[tuple[int, str], Values] = {}
    under_way: dict[tuple[int, str], list[float | None]] = {}
    for step, symbol, name, value in record.table("values").select("step", "symbol", "name", "value").iter_rows():
        place = (step, symbol)
        if place in found:
            continue
        run = under_way.setdefault(place, [])
        if name != features[len(run)]:
            run.clear()
        if name == features[len(run)]:
            run.append(value)
        if len(run) == len(features):
            found[place] = tuple(under_way.pop(place))
    return found


def data_of(record: Record) -> Data:
    """Return whether any bar that a replay was given came from a generated market."""
    numbers = record.table("bars")["instrument_id"].unique()
    return GENERATED if any(map(is_generated, numbers)) else RECORDED


def _trades(record: Record) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return the fills of entry and exit of everything that was closed, by the entry's intent."""
    closes = dict(record.table("intents").select("id", "entry").drop_nulls().iter_rows())
    fills = {fill["intent"]: fill for fill in record.table("fills").iter_rows(named=True)}
    return {closes[name]: (fills[closes[name]], fill) for name, fill in fills.items() if name in closes}


def _row(
    intent: Mapping[str, Any], values: tuple[float, ...], entry: Mapping[str, Any], left: Mapping[str, Any]
) -> Row:
    return Row(
        step=intent["step"],
        known=left["step"],
        intent=intent["id"],
        values=values,
        entered=entry["time"],
        left=left["time"],
        entry_price=entry["price"],
        exit_price=left["price"],
        outcome=left["pnl"],
    )
