"""What a replay does where bars are missing: the same as a worker that the hub has told of a gap."""

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from pine.core.bar import Bar
from pine.core.calendar import scheduled_hours
from pine.core.period import SessionRule, period, session_begin
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.feeds.steps import MarketEvent
from pine.history.manifest import Interval, without

LOSING = ("gap", "reset")
Timed = tuple[int, MarketEvent]
"""An event with the step, in ns, at which it takes effect."""


@frozen
class Hole:
    """Minutes of a root that nobody has, in ns: from, and up to but without."""

    symbol: str
    begin: int
    end: int

    def as_gap(self, since: int = 0) -> Timed:
        """Return the event that a hub publishes for a hole, but as soon as it begins, and after `since` (ns).

        A hub tells of it when it is over, and closes nothing meanwhile; here other roots may go on.
        """
        details = {"first_minute": self.begin, "last_minute": self.end - NS_PER_MINUTE}
        return max(self.begin, since) + NS_PER_MINUTE, MarketEvent("gap", self.symbol, details)


def find_holes(
    symbol: str, rule: SessionRule, within: Interval, covered: Iterable[Interval], told: Iterable[Interval]
) -> list[Hole]:
    """Return where minutes are missing in which trading was scheduled, and of which no event tells."""
    missing = without([within], [*covered, *told])
    return [Hole(symbol, begin, end) for begin, end in missing if scheduled_hours(rule.group, begin, end)]


def told_holes(events: Iterable[Timed]) -> dict[str, list[Interval]]:
    """Return what gaps and resets say is missing, by root."""
    told: dict[str, list[Interval]] = {}
    for _, event in events:
        if event.kind in LOSING:
            interval = (event.details["first_minute"], event.details["last_minute"] + NS_PER_MINUTE)
            told.setdefault(event.symbol, []).append(interval)
    return told


def whole(bars: Iterable[Bar], holes: Mapping[str, Sequence[Interval]], rules: Mapping[str, SessionRule]) -> list[Bar]:
    """Return the bars that lie over no hole: what a worker saw, whatever was bought or imported since."""
    return [bar for bar in bars if not is_over(bar, holes.get(bar.symbol, ()), rules[bar.symbol])]


def is_over(bar: Bar, holes: Iterable[Interval], rule: SessionRule) -> bool:
    """Tell whether a bar's period lost minutes; a hole breaks the periods of its first and its last one."""
    found = period(bar.timeframe, bar.start, rule)
    begin = session_begin(bar.start, rule) if bar.timeframe is Timeframe.DAY else found.start
    return any(first < found.end and begin < end for first, end in holes)
