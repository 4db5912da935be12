"""Timeframes and the units of time that all rooms share."""

from enum import Enum
from typing import Final

NS_PER_MS: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000
NS_PER_MINUTE: Final = 60 * NS_PER_SECOND
NS_PER_HOUR: Final = 60 * NS_PER_MINUTE
NS_PER_DAY: Final = 24 * NS_PER_HOUR


class Timeframe(Enum):
    """Length of a bar; the value is the word used in stream keys and on the command line."""

    MINUTE = "1min"
    HOUR = "hourly"
    DAY = "daily"

    __hash__ = object.__hash__  # what is asked for with every bar; Enum's own hashes the name anew each time

    @property
    def feed_suffix(self) -> str:
        """Last part of a Backtrader feed's name: ``minute``, ``hour`` or ``day``."""
        return _FEED_SUFFIX[self]


_FEED_SUFFIX: Final = {Timeframe.MINUTE: "minute", Timeframe.HOUR: "hour", Timeframe.DAY: "day"}
