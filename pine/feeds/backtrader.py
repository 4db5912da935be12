"""Backtrader in steps: feeds that are given one bar each per step, or none, and an engine that asks none of them.

Its own loop asks every feed for a bar again and again, which costs most where most have nothing to say. Here whoever
has bars puts them on their feeds, and the engine makes exactly one pass per step.
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
    """A feed that is moved on from outside."""

    def islive(self) -> bool:
        """Keep the engine from loading everything beforehand."""
        return True

    def _put(self, *values: float) -> None:
        """Move on by one bar: close, low, high, open, volume, open interest and time, as the lines are in order."""
        for line, value in zip(self.lines, values, strict=True):
            line.forward(value)
            if line.bindings:
                line[0] = value


class ClockFeed(_Feed):
    """Has a bar for every step that reaches the strategy."""

    params = (("pull", None), ("timeframe", bt.TimeFrame.Ticks), ("compression", 1))

    def pull(self) -> bool:
        """Move on to the next step; return whether there is one."""
        pull: Callable[[], int | None] = self.p.pull
        ts = pull()
        if ts is None:
            return False
        self._put(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, line_time(ts))
        return True


class BarFeed(_Feed):
    """Has the bars of one symbol and timeframe."""

    params = (("rule", None),)

    def push(self, bar: Bar) -> None:
        """Move on to the bar of the present step."""
        closes = line_time(close_time(bar, self.p.rule))
        self._put(bar.close, bar.low, bar.high, bar.open, float(bar.volume), 0.0, closes)


class SteppedCerebro(bt.Cerebro):  # type: ignore[misc]
    """Backtrader's engine, moved by the clock, which is its first feed; the others have been moved when it ticks."""

    def _runnext(self, runstrats: list[Any]) -> None:
        clock: ClockFeed = self.datas[0]
        while not self._event_stop and clock.pull():
            now = clock.lines.datetime[0]
            self._check_timers(runstrats, now, cheat=True)
            self._brokernotify()
            self._check_timers(runstrats, now, cheat=False)
            for strategy in runstrats:
                strategy._next()  # noqa: SLF001  # as the loop that this one stands in for


def symbol_of(data: Any) -> str:
    """Return the symbol of a feed that `make_feed` made."""
    return str(data._name).rsplit("_", 1)[0]  # noqa: SLF001  # Backtrader keeps a feed's name there


def make_feed(symbol: str, timeframe: Timeframe, rule: SessionRule) -> Any:
    """Return the feed ``ES_minute``, ``ES_hour`` or ``ES_day`` of a symbol."""
    unit, count = _TIMEFRAMES[timeframe]
    name = f"{symbol}_{timeframe.feed_suffix}"
    make: Any = BarFeed  # Backtrader's metaclass takes parameters by name
    return make(name=name, dataname=name, timeframe=unit, compression=count, rule=rule)
