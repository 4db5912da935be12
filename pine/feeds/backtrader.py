"""Clocked Backtrader feeds: one bar each per step, or none.

The clock feed delivers one bar per step and is asked first (its timeframe sorts before all others), so the engine
makes exactly one pass per step. The other feeds hand over what the pump has given them for this step.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import backtrader as bt

from pine.core.bar import Bar
from pine.core.period import SessionRule, period
from pine.core.timeframe import NS_PER_DAY, NS_PER_SECOND, Timeframe

_EPOCH: Final = bt.date2num(datetime(1970, 1, 1))  # noqa: DTZ001  # Backtrader counts naive days
_SECONDS_PER_DAY: Final = NS_PER_DAY // NS_PER_SECOND
_TIMEFRAMES: Final = {
    Timeframe.MINUTE: (bt.TimeFrame.Minutes, 1),
    Timeframe.HOUR: (bt.TimeFrame.Minutes, 60),
    Timeframe.DAY: (bt.TimeFrame.Days, 1),
}


def line_time(ts: int) -> float:
    """Return an instant as Backtrader's float days; the same instant always gives the same float."""
    days, seconds = divmod(ts // NS_PER_SECOND, _SECONDS_PER_DAY)
    return float(_EPOCH + days + seconds / _SECONDS_PER_DAY)


def close_time(bar: Bar, rule: SessionRule) -> int:
    """Return the end of a bar's period in ns: what its line is stamped with, live and in warm-up."""
    return period(bar.timeframe, bar.start, rule).end


class _Feed(bt.feed.DataBase):  # type: ignore[misc]
    """A feed that never ends by itself and never blocks."""

    def islive(self) -> bool:
        """Keep the engine from loading everything beforehand."""
        return True

    def _put(self, ts: int, values: tuple[float, float, float, float, float]) -> bool:
        lines = self.lines
        lines.datetime[0] = line_time(ts)
        lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = values
        lines.openinterest[0] = 0.0
        return True


class ClockFeed(_Feed):
    """Pulls the next step that must reach the strategy; the engine ends when there is none."""

    params = (("pull", None), ("timeframe", bt.TimeFrame.Ticks), ("compression", 1))

    def _load(self) -> bool:
        pull: Callable[[], int | None] = self.p.pull
        ts = pull()
        return False if ts is None else self._put(ts, (0.0, 0.0, 0.0, 0.0, 0.0))


class BarFeed(_Feed):
    """Hands over the one bar that was pushed for the present step."""

    params = (("rule", None),)

    def __init__(self) -> None:
        super().__init__()
        self._bar: Bar | None = None
        self._ended = False

    def push(self, bar: Bar) -> None:
        """Give the bar of the present step."""
        self._bar = bar

    def end(self) -> None:
        """Let the engine finish."""
        self._ended = True

    def _load(self) -> bool | None:
        bar, self._bar = self._bar, None
        if bar is None:
            return False if self._ended else None
        values = (bar.open, bar.high, bar.low, bar.close, float(bar.volume))
        return self._put(close_time(bar, self.p.rule), values)


def symbol_of(data: Any) -> str:
    """Return the symbol of a feed that `make_feed` made."""
    return str(data._name).rsplit("_", 1)[0]  # noqa: SLF001  # Backtrader keeps a feed's name there


def make_feed(symbol: str, timeframe: Timeframe, rule: SessionRule) -> Any:
    """Return the feed ``ES_minute``, ``ES_hour`` or ``ES_day`` of a symbol."""
    unit, count = _TIMEFRAMES[timeframe]
    name = f"{symbol}_{timeframe.feed_suffix}"
    make: Any = BarFeed  # Backtrader's metaclass takes parameters by name
    return make(name=name, dataname=name, timeframe=unit, compression=count, rule=rule)
