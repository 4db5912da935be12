"""Hours and days from minutes, by the one period function; the hub's own must equal them."""

from collections.abc import Mapping
from typing import Final

from attrs import define, field

from pine.core.bar import Bar, fold
from pine.core.period import SessionRule, period
from pine.core.timeframe import Timeframe

_LONGER: Final = (Timeframe.HOUR, Timeframe.DAY)


@define
class BarBuilder:
    """Folds minutes of several symbols into hours and session days.

    Parameters
    ----------
    rules
        Session rule of each symbol.
    """

    rules: Mapping[str, SessionRule]
    _open: dict[tuple[str, Timeframe], list[Bar]] = field(factory=dict)
    _broken: dict[tuple[str, Timeframe], frozenset[int]] = field(factory=dict)

    def add(self, minute: Bar) -> None:
        """Take a completed minute bar."""
        for timeframe in _LONGER:
            place = (minute.symbol, timeframe)
            if period(timeframe, minute.start, self.rules[minute.symbol]).start not in self._broken.get(place, ()):
                self._open.setdefault(place, []).append(minute)

    def reset(self, symbol: str, first_minute: int, last_minute: int) -> None:
        """Discard a symbol's hour and day under way around the minutes that were lost (ns)."""
        for timeframe in _LONGER:
            place = (symbol, timeframe)
            lost = {period(timeframe, minute, self.rules[symbol]).start for minute in (first_minute, last_minute)}
            self._broken[place] = self._broken.get(place, frozenset()) | lost
            minutes = self._open.get(place, [])
            if minutes and period(timeframe, minutes[0].start, self.rules[symbol]).start in lost:
                del self._open[place]

    def close(self, ts: int) -> list[Bar]:
        """Return the hours, then the days, that end at a step (ns), in order of symbols."""
        done = []
        for timeframe in _LONGER:
            for symbol, rule in self.rules.items():
                minutes = self._open.get((symbol, timeframe))
                if not minutes:
                    continue
                span = period(timeframe, minutes[0].start, rule)
                if span.end <= ts:
                    done.append(fold(minutes, timeframe, span.start))
                    del self._open[(symbol, timeframe)]
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
