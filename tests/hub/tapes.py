"""Trades made by hand, as the hub receives them."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from pine.core.period import SessionRule
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.batch import Trades
from pine.hub.clock import TapeClock
from pine.hub.session import TRADE

ESH4, ESM4, SPREAD, GCJ4, STRANGER = 1, 2, 3, 4, 99
NAMES = {ESH4: "ESH4", ESM4: "ESM4", SPREAD: "ESH4-ESM4", GCJ4: "GCJ4"}
RULES = {"ES": SessionRule(group="equity"), "GC": SessionRule(group="metals")}
MINUTE = 60_000_000_000
SECOND = 1_000_000_000


def at(text: str) -> int:
    """Return ns of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def trades(rows: Sequence[tuple[int, int, float, int]], **columns: object) -> Trades:
    """Return trades from rows of receive time, instrument id, price in points and size."""
    made = np.zeros(len(rows), dtype=TRADE)
    made["length"] = 12
    made["action"] = b"T"
    made["side"] = b"N"
    for i, (ts, instrument, price, size) in enumerate(rows):
        made[i]["ts_recv"] = ts
        made[i]["ts_event"] = ts - 150_000
        made[i]["instrument_id"] = instrument
        made[i]["price"] = round(price * 1e9)
        made[i]["size"] = size
    for name, value in columns.items():
        made[name] = value
    return made


def fresh(**settings: object) -> Aggregator:
    """Return an aggregator for ES and GC with everything mapped, on tape time."""
    settings = {"rules": RULES, "clock": TapeClock()} | settings
    aggregator = Aggregator(**settings)  # type: ignore[arg-type]
    aggregator.begin_session(replaying=False)
    for instrument, name in NAMES.items():
        aggregator.table.add(instrument, name, at("2024-03-04"))
    return aggregator


def play(aggregator: Aggregator, *batches: Trades, until: int | None = None) -> list[Closed]:
    """Feed batches, let time go on to `until`, and return what closed."""
    closed = []
    for batch in batches:
        aggregator.add(batch)
        closed += aggregator.advance()
    if until is not None:
        aggregator.heartbeat(until + 2 * SECOND)
        closed += aggregator.advance()
    return closed


def lines(closed: list[Closed], timeframe: str = "1min") -> list[tuple[object, ...]]:
    """Return bars as plain tuples: symbol, start, open, high, low, close, volume, contract."""
    return [
        (b.symbol, b.start, b.open, b.high, b.low, b.close, b.volume, b.contract_symbol)
        for item in closed
        for b in item.bars
        if b.timeframe.value == timeframe
    ]
