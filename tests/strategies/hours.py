"""Hourly bars, and the state of the IBS rules after some."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.strategies.ibs_rules import (
    IbsParams,
    IbsState,
)

HOUR = 3600 * 10**9


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def hour(start: int, high: float, low: float, close: float) -> Bar:
    return Bar("ES", Timeframe.HOUR, start, close, high, low, close, 1, 1, "ESZ4")


def state_of(params: IbsParams, bars: Sequence[tuple[float, float, float]], closes_at: str) -> IbsState:
    """Return the state after hourly bars of (high, low, close), the last of which closes at a time."""
    state = IbsState(params)
    first = ns(closes_at) - len(bars) * HOUR
    for i, (high, low, close) in enumerate(bars):
        state.update(hour(first + i * HOUR, high, low, close))
    return state
