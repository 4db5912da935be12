"""Hours and days from minutes, by the one period function; the hub's own must equal them."""

from collections.abc import Mapping
from typing import Final

from attrs import define, field

from pine.core.bar import Bar, fold
from pine.core.period import SessionRule, period
from pine.core.timeframe import Timeframe

_LONGER: Final = (Timeframe.HOUR, Timeframe.DAY)


@define
class _Open:
    """Minutes of one symbol's hour or day under way, and when that ends; nothing is under way while there are none."""

    timeframe: Timeframe
    rule: SessionRule
    broken: frozenset[int] = frozenset()
    minutes: list[Bar] = field(factory=list)
    end: int = 0

    def add(self, minute: Bar) -> None:
        if self.broken and period(self.timeframe, minute.start, self.rule).start in self.broken:
            return
        if not self.minutes:
            self.end = period(self.timeframe, minute.start, self.rule).end
        self.minutes.append(minute)

    def reset(self, lost: frozenset[int]) -> None:
        self.broken |= lost
        if self.minutes and period(self.timeframe, self.minutes[0].start, self.rule).start in lost:
            self.minutes = []

    def close(self) -> Bar:
        minutes, self.minutes = self.minutes, []
        return fold(minutes, self.timeframe, period(self.timeframe, minutes[0].start, self.rule).start)


@define
class BarBuilder:
    """Folds minutes of several symbols into hours and session days.

    Parameters
    ----------
    rules
        Session rule of each symbol.
    """

    rules: Mapping[str, SessionRule]
    _open: dict[str, tuple[_Open, ...]] = field(init=False)
    _soonest: int = 0

    def __attrs_post_init__(self) -> None:
        self._open = {
            symbol: tuple(_Open(timeframe, rule) for timeframe in _LONGER) for symbol, rule in self.rules.items()
        }

    def add(self, minute: Bar) -> None:
        """Take a completed minute bar."""
        for under_way in self._open[minute.symbol]:
            if not under_way.minutes:
                self._soonest = 0
            under_way.add(minute)

    def reset(self, symbol: str, first_minute: int, last_minute: int) -> None:
        """Discard a symbol's hour and day under way around the minutes that were lost (ns)."""
        for under_way in self._open[symbol]:
            places = (first_minute, last_minute)
            under_way.reset(frozenset(period(under_way.timeframe, at, under_way.rule).start for at in places))

    def close(self, ts: int) -> list[Bar]:
        """Return the hours, then the days, that end at a step (ns), in order of symbols."""
        if ts < self._soonest:
            return []
        in_order = [under_way for kind in zip(*self._open.values(), strict=True) for under_way in kind]
        done = [under_way.close() for under_way in in_order if under_way.minutes and under_way.end <= ts]
        self._soonest = min((under_way.end for under_way in in_order if under_way.minutes), default=0)
        return done


def differences(built: list[Bar], published: list[Bar]) -> list[str]:
    """Return one line for each hour or day on which a worker's own bars and the hub's disagree."""
    ours = {(bar.symbol, bar.timeframe): bar for bar in built}
    theirs = {(bar.symbol, bar.timeframe): bar for bar in published}
    return [
        f"{place[0]} {place[1].value}: built {ours.get(place)}, the hub published {theirs.get(place)}"
        for place in sorted(ours.keys() | theirs.keys(), key=lambda p: (p[0], p[1].value))
        if ours.get(place) != theirs.get(place)
    ]
