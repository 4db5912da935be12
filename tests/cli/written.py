"""Bars that a server holds."""

from datetime import UTC, datetime

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def minute(text: str, close: float, symbol: str = "ES", timeframe: Timeframe = Timeframe.MINUTE) -> Bar:
    return Bar(symbol, timeframe, at(text), close - 1, close + 0.25, close - 2, close, 12, 118, f"{symbol}H4")


BARS = [minute(f"2024-01-16T10:0{n}", 4800.25 + n) for n in range(5)]
HOUR = minute("2024-01-16T10:00", 4804.25, timeframe=Timeframe.HOUR)
