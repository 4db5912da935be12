"""Small tapes whose every record is known."""

import numpy as np

from pine.core.timeframe import NS_PER_SECOND
from pine.sandbox.records import TradeArray, empty_trades
from pine.sandbox.tape import Tape

T0 = 1_709_647_200 * NS_PER_SECOND  # Tuesday, 2024-03-05 14:00 UTC
ES, SPREAD, GC, NEXT = 1, 2, 3, 4
SYMBOLS = {ES: "ESH4", SPREAD: "ESH4-ESM4", GC: "GCJ4", NEXT: "ESM4"}


def trades(*rows: tuple[float, int], size: int = 1) -> TradeArray:
    """Trades from ``(seconds after T0, instrument id)``; received 1 ms after the event."""
    made = empty_trades(len(rows))
    made["ts_recv"] = [T0 + round(seconds * NS_PER_SECOND) for seconds, _ in rows]
    made["ts_event"] = made["ts_recv"] - np.uint64(1_000_000)
    made["instrument_id"] = [number for _, number in rows]
    made["price"] = 5_000 * 10**9
    made["size"] = size
    made["sequence"] = np.arange(1, len(rows) + 1)
    return made


def tape(*rows: tuple[float, int]) -> Tape:
    return Tape.of_trades(trades(*rows), SYMBOLS)


def at(seconds: float) -> int:
    """Nanoseconds of an instant `seconds` after T0."""
    return T0 + round(seconds * NS_PER_SECOND)
