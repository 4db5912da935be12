"""What a strategy was fed, for as far back as its warm-up reaches: enough to feed it again from the beginning."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from pine.core.bar import Bar, fold
from pine.core.config import Adjust
from pine.core.period import SessionRule, period, session, session_begin
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.feeds.adjust import adjusted
from pine.history.leads import look_back
from pine.history.manifest import Interval, clipped, common, holds, joined, without

LONGER: Final = (Timeframe.DAY, Timeframe.HOUR)
SWEEP: Final = 32
"""Sessions after which what lies too far back is let go; what is fed again is cut exactly."""

_LATEST: Final = 1 << 62


@frozen
class WarmStep:
    """What closed at one instant of the past.

    Attributes
    ----------
    ts
        The instant, ns since 1970.
    bars
        Of sessions that are over: handed to the strategy as they are.
    minutes
        Of the session under way: its hours and days are built of them, as in a live step.
    """

    ts: int
    bars: tuple[Bar, ...] = ()
    minutes: tuple[Bar, ...] = ()


@define
class Past:
    """Raw bars of every symbol, and which minutes of them were lost.

    Of sessions that are over it keeps the bars of the strategy's timeframes; minutes also where some were lost, so
    that hours and days can be made whole when those come after all.

    Parameters
    ----------
    rules
        Session rule of each symbol, in the strategy's order.
    reach
        How many finished sessions the bars of each of the strategy's timeframes go back.
    adjust
        How the strategy sees bars of earlier contracts.
    """

    rules: Mapping[str, SessionRule]
    reach: Mapping[Timeframe, int]
    adjust: Adjust = "none"
    _longer: dict[tuple[str, Timeframe], list[Bar]] = field(factory=lambda: defaultdict(list))
    _minutes: dict[str, list[Bar]] = field(factory=lambda: defaultdict(list))
    _holes: dict[str, tuple[Interval, ...]] = field(factory=lambda: defaultdict(tuple))
    _under_way: dict[str, Interval] = field(factory=dict)
    _entered: dict[str, int] = field(factory=lambda: defaultdict(int))

    def add(self, bar: Bar) -> None:
        """Take a bar that the strategy is fed, or a minute that others are built of; each kind in order of time."""
        if bar.timeframe is Timeframe.MINUTE:
            self._enter_session(bar)
            self._minutes[bar.symbol].append(bar)
        elif bar.timeframe in self.reach:
            self._longer[(bar.symbol, bar.timeframe)].append(bar)

    def newest(self, symbol: str) -> Bar | None:
        """Return the bar of a symbol that shows which contract led last."""
        ends = [self._minutes[symbol], *(self._longer[(symbol, timeframe)] for timeframe in LONGER)]
        return next((bars[-1] for bars in ends if bars), None)

    def lose(self, symbol: str, first_minute: int, last_minute: int) -> None:
        """Note that minutes were lost (starts, ns)."""
        self._holes[symbol] = joined([*self._holes[symbol], (first_minute, last_minute + NS_PER_MINUTE)])

    def holes(self, symbol: str, until: int) -> tuple[Interval, ...]:
        """Return what is lost of the session under way at `until`."""
        return clipped(self._holes[symbol], self._begin(symbol, until), _LATEST)

    def lacks(self, symbol: str, lost: Interval, until: int) -> bool:
        """Tell whether some of the minutes in an interval are missing that the strategy would be fed again."""
        self._forget(symbol, self._begin(symbol, until))
        return bool(common(self._holes[symbol], [lost]))

    def mend(self, symbol: str, filled: Interval, minutes: Iterable[Bar], until: int) -> None:
        """Put minutes where they were missing, and the hours and days that are whole now.

        Parameters
        ----------
        symbol
            Root.
        filled
            Of which time all minutes there were come now.
        minutes
            They.
        until
            Up to which instant the strategy was fed.
        """
        missing = common(self._holes[symbol], [filled])
        known = {bar.start: bar for bar in self._minutes[symbol]}
        known |= {bar.start: bar for bar in minutes if holds(missing, bar.start)}
        self._minutes[symbol] = [known[start] for start in sorted(known)]
        self._holes[symbol] = without(self._holes[symbol], [filled])
        begin = self._begin(symbol, until)
        for timeframe in LONGER:
            if timeframe in self.reach:
                bars = {bar.start: bar for bar in self._longer[(symbol, timeframe)]}
                made = (self._made(symbol, timeframe, span) for span in self._spans(symbol, timeframe, missing, begin))
                bars |= {bar.start: bar for bar in made if bar is not None}
                self._longer[(symbol, timeframe)] = [bars[start] for start in sorted(bars)]

    def steps(self, until: int, coming: Mapping[str, Bar] | None = None) -> list[WarmStep]:
        """Return everything that closed by `until` (ns) to feed it again, in order.

        Hours and days of the session under way are forgotten here: whoever feeds the steps builds them again, and
        adds them.

        Parameters
        ----------
        until
            The last instant.
        coming
            Minutes of the next step, whose contracts lead now.
        """
        at: dict[int, tuple[list[Bar], list[Bar]]] = defaultdict(lambda: ([], []))
        for symbol, rule in self.rules.items():
            begin = self._begin(symbol, until)
            self._forget(symbol, begin)
            minutes = self._minutes[symbol]
            first = bisect_left(minutes, begin, key=_start)
            under_way = minutes[first:]
            later = [*under_way, *([coming[symbol]] if coming and symbol in coming else [])]
            for bar in self._finished(symbol, begin, minutes[:first], later):
                at[period(bar.timeframe, bar.start, rule).end][0].append(bar)
            for bar in under_way:
                at[bar.start + NS_PER_MINUTE][1].append(bar)
                for timeframe in LONGER:
                    end = period(timeframe, bar.start, rule).end
                    if end <= until:
                        at[end]  # something closes there, though no minute may
        return [WarmStep(ts, tuple(at[ts][0]), tuple(at[ts][1])) for ts in sorted(at)]

    def _finished(self, symbol: str, begin: int, minutes: Sequence[Bar], later: Sequence[Bar]) -> Iterator[Bar]:
        """Yield the bars of finished sessions, as the strategy sees them now."""
        for timeframe, count in self.reach.items():
            raw = minutes if timeframe is Timeframe.MINUTE else self._longer[(symbol, timeframe)]
            first = look_back(begin, count, self.rules[symbol])
            if timeframe is not Timeframe.MINUTE:
                self._longer[(symbol, timeframe)] = [bar for bar in raw if bar.start < begin]
            yield from adjusted([bar for bar in raw if first <= bar.start < begin], later, self.adjust)

    def _begin(self, symbol: str, until: int) -> int:
        """Return where the session under way at an instant began."""
        return session_begin(until - NS_PER_MINUTE, self.rules[symbol])

    def _enter_session(self, minute: Bar) -> None:
        symbol, rule = minute.symbol, self.rules[minute.symbol]
        known = self._under_way.get(symbol)
        if known is not None and minute.start < known[1]:
            return
        self._under_way[symbol] = (session_begin(minute.start, rule), session(minute.start, rule).end)
        self._entered[symbol] += 1
        if self._entered[symbol] % SWEEP == 0:
            self._forget(symbol, self._under_way[symbol][0])
        elif Timeframe.MINUTE not in self.reach:
            self._forget_minutes(symbol, self._under_way[symbol][0])

    def _forget(self, symbol: str, begin: int) -> None:
        """Let go what lies further back from a session's begin than anything reaches."""
        rule = self.rules[symbol]
        first = {timeframe: look_back(begin, count, rule) for timeframe, count in self.reach.items()}
        for timeframe in LONGER:
            if timeframe in first:
                bars = self._longer[(symbol, timeframe)]
                del bars[: bisect_left(bars, first[timeframe], key=_start)]
        self._holes[symbol] = clipped(self._holes[symbol], min(first.values(), default=begin), _LATEST)
        self._forget_minutes(symbol, first.get(Timeframe.MINUTE, begin))

    def _forget_minutes(self, symbol: str, first: int) -> None:
        rule = self.rules[symbol]
        broken = joined((session_begin(a, rule), session(b - 1, rule).end) for a, b in self._holes[symbol])
        minutes = self._minutes[symbol]
        kept = bisect_left(minutes, first, key=_start)
        minutes[:kept] = [bar for bar in minutes[:kept] if holds(broken, bar.start)]

    def _spans(
        self, symbol: str, timeframe: Timeframe, within: Sequence[Interval], begin: int
    ) -> Iterator[tuple[int, Interval]]:
        """Yield start and extent of the finished periods that have a part in some intervals."""
        rule = self.rules[symbol]
        for first, last in within:
            at = first
            while at < min(last, begin):
                found = period(timeframe, at, rule)
                whole = session_begin(at, rule) if timeframe is Timeframe.DAY else found.start
                yield found.start, (whole, found.end)
                at = found.end

    def _made(self, symbol: str, timeframe: Timeframe, span: tuple[int, Interval]) -> Bar | None:
        """Return the bar of a period if all its minutes are known and it had any."""
        start, whole = span
        minutes = [bar for bar in self._minutes[symbol] if whole[0] <= bar.start < whole[1]]
        if not minutes or common(self._holes[symbol], [whole]):
            return None
        return fold(minutes, timeframe, start)


def _start(bar: Bar) -> int:
    return bar.start
