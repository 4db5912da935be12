"""What a hub publishes over a hole that it fills later."""

from collections.abc import Callable

import sessions
from attrs import evolve
from sessions import ROOTS, after

from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.period import period
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.history.archive import Archive
from pine.history.refill import Refill
from pine.hub.aggregator import Closed, Event

HOLES = {
    "in one session": ("2024-03-13T16:20", "2024-03-13T18:09", "2024-03-13T19:05"),
    "refilled in the next session": ("2024-03-13T16:20", "2024-03-13T18:09", "2024-03-14T03:30"),
    "over a close": ("2024-03-13T20:30", "2024-03-14T02:14", "2024-03-14T05:00"),
}
Hole = tuple[int, int, int]


def lost(symbol: str, hole: Hole) -> list[Bar]:
    return [bar for bar in sessions.bars(symbol, Timeframe.MINUTE) if hole[0] <= bar.start <= hole[1]]


def broken(hole: Hole, *, change: Callable[[Refill], Refill] = lambda told: told) -> list[Closed]:
    """Return what a hub publishes that was away for a while and later found what it missed."""
    first, last, at = hole
    found = []
    told = False
    for item in after():
        if first <= item.boundary - NS_PER_MINUTE <= last:
            continue
        events: list[Event] = list(item.events)
        if item.boundary > last and not told:
            told = True
            events += [Event("gap", symbol, {"first_minute": first, "last_minute": last}) for symbol in ROOTS]
        if item.boundary == at:
            for symbol in ROOTS:
                raw = change(Refill.of(symbol, first, last, lost(symbol, hole))).to_event()
                events.append(Event(raw.pop("kind"), raw.pop("symbol"), raw))
        bars = tuple(bar for bar in item.bars if not overlaps(bar, hole))
        found.append(evolve(item, bars=bars, events=tuple(events)))
    return found


def overlaps(bar: Bar, hole: Hole) -> bool:
    from pine.core.instruments import spec
    from pine.core.period import SessionRule

    if bar.timeframe is Timeframe.MINUTE:
        return False
    span = period(bar.timeframe, bar.start, SessionRule(group=spec(bar.symbol).group))
    return span.start <= hole[1] and hole[0] < span.end


def fill(config: Config, hole: Hole) -> None:
    """Put what was lost into the archive, as a hub does before it says so."""
    for symbol in ROOTS:
        end = hole[1] + NS_PER_MINUTE
        Archive.of(config).add_bars(symbol, Timeframe.MINUTE, lost(symbol, hole), hole[0], end, "historical")
