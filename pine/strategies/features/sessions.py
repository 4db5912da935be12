"""How many sessions of history give features their values."""

from collections.abc import Iterator, Mapping
from typing import Final

from pine.core.config import MOST_SESSIONS
from pine.core.timeframe import Timeframe

BARS: Final = {Timeframe.DAY: 1, Timeframe.HOUR: 16, Timeframe.MINUTE: 600}
"""Bars that a session has at least: an early close, grains, minutes without trades."""


def sessions_of(bars: Mapping[Timeframe, int]) -> dict[Timeframe, int]:
    """Return in how many sessions there are so many bars of each timeframe."""
    return {timeframe: -(-count // BARS[timeframe]) for timeframe, count in bars.items()}


def too_many(bars: Mapping[Timeframe, int]) -> Iterator[str]:
    """Yield what is wrong with features that need so many bars until they have a value."""
    for timeframe, sessions in sessions_of(bars).items():
        if sessions > MOST_SESSIONS:
            most = MOST_SESSIONS * BARS[timeframe]
            yield f"found {bars[timeframe]} {timeframe.value} bars until there is a value, expected at most {most}"
