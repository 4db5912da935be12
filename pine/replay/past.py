"""Steps from what streams and archive hold, some days at a time."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import orjson
from attrs import define, field

from pine.bus import keys, streams
from pine.core.bar import Bar
from pine.core.errors import DataError, PineError
from pine.core.period import SessionRule, period, session
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.feeds.steps import MarketEvent, Step
from pine.history.answer import History
from pine.history.manifest import Interval, joined
from pine.history.sources import ArchiveBars, StreamBars
from pine.replay.holes import Hole, Timed, find_holes, told_holes, whole
from pine.replay.rolls import ROLL, RollFinder
from pine.replay.steps import assemble

if TYPE_CHECKING:
    from pine.bus.client import Client
    from pine.core.config import Config

CHUNK: Final = 10 * NS_PER_DAY
"""Bars of this much time are held in memory at once, twice."""


@define(eq=False)
class Past:
    """What is known of some roots' past.

    Parameters
    ----------
    rules
        Session rule of each symbol, in the strategy's order.
    history
        Answers for bars.
    streams, archive
        What the history is made of; they also know events and leads.
    """

    rules: Mapping[str, SessionRule]
    history: History
    streams: StreamBars | None
    archive: ArchiveBars
    _events: list[Timed] = field(init=False)

    @classmethod
    def of(cls, config: "Config", client: "Client | None", symbols: Iterable[str]) -> "Past":
        """Return the past of some configured roots, from the streams (if they are at hand) and the archive."""
        from pine.history.archive import Archive

        archive = ArchiveBars(Archive.of(config))
        own = None if client is None else StreamBars(client, config.session_rule, frozenset(config.instruments))
        rules = {symbol: config.session_rule(symbol) for symbol in symbols}
        return cls(rules, History(config.session_rule, own, archive), own, archive)

    def __attrs_post_init__(self) -> None:
        self._events = self._read_events()

    def edges(self) -> Interval:
        """Return from when on every root's minutes are known, and until when any root's are, in ns.

        Raises
        ------
        PineError
            If nothing is known of a root.
        """
        begins, ends = [], []
        for symbol in self.rules:
            covered = self.covered(symbol)
            if not covered:
                raise PineError(
                    f"{symbol}: found no minute bars on streams or in the archive; pine import FILE or pine bars "
                    f"{symbol} --from … --buy gets some"
                )
            begins.append(covered[0][0])
            ends.append(covered[-1][1])
        return max(begins), max(ends)

    def first_minute(self) -> int:
        """Return where what is known of the first of the roots begins, in ns: where a hub's clock began."""
        clocks = [next(self.archive.archive.clock(), None)]
        if self.streams is not None:
            clocks.append(next(streams.read_range(self.streams.client, keys.CLOCK), None))
        steps = [streams.ms_of(entry[0]) * NS_PER_MS for entry in clocks if entry is not None]
        return min(steps) - NS_PER_MINUTE if steps else self.edges()[0]

    def covered(self, symbol: str) -> tuple[Interval, ...]:
        """Return where all minutes of a root are known, in ns."""
        sources = [source for source in (self.streams, self.archive) if source is not None]
        return joined(piece for source in sources for piece in source.covered(symbol, Timeframe.MINUTE))

    def holes(self, begin: int, end: int) -> list[Hole]:
        """Return where minutes are missing between two times in ns although trading was scheduled."""
        told = told_holes(self._events)
        return [
            hole
            for symbol, rule in self.rules.items()
            for hole in find_holes(symbol, rule, (begin, end), self.covered(symbol), told.get(symbol, ()))
        ]

    def steps(self, begin: int, end: int, also: Sequence[int] = ()) -> Iterator[Step]:
        """Yield the steps ``begin < t <= end`` (ns).

        Parameters
        ----------
        begin, end
            Whole minutes in ns.
        also
            Boundaries, in order, that must be steps.

        Raises
        ------
        SourcesDiffer
            If streams and archive hold different bars of the same time.
        """
        events = self._timed(begin, end)
        told = told_holes(events)
        finders = {symbol: self._roll_finder(symbol, rule) for symbol, rule in self.rules.items()}
        cuts = [*range(begin, end, CHUNK), end]
        for (a, b), chunk, following in _with_next(pairwise(cuts), self._minutes):
            minutes = [bar for bars in chunk.values() for bar in whole(bars, told, self.rules)]
            longer = whole(self._longer(a, b), told, self.rules)
            rolls = [
                roll
                for symbol, finder in sorted(finders.items())  # as the hub: their exits are numbered in this order
                for roll in finder.find(chunk[symbol], next(iter(following.get(symbol, ())), None))
            ]
            due = [*(event for event in events if a < event[0] <= b), *rolls]
            yield from assemble(
                self.rules, [*minutes, *longer], due, also[bisect_right(also, a) : bisect_right(also, b)]
            )

    def _timed(self, first: int, end: int) -> list[Timed]:
        """Return recorded events, and gaps for the holes of which nobody told, in order of time."""
        gaps = [hole.as_gap() for hole in self.holes(first, end) if not self._began_inside(hole, first)]
        gaps.sort(key=lambda timed: (timed[0], timed[1].symbol))
        return sorted([*self._events, *gaps], key=lambda timed: timed[0])

    def _began_inside(self, hole: Hole, first: int) -> bool:
        """Tell whether a hub began in the middle of a period and published what it saw of it, as workers then do."""
        rule = self.rules[hole.symbol]
        if hole.begin > first:
            return False
        for timeframe in (Timeframe.HOUR, Timeframe.DAY):
            found = period(timeframe, hole.end, rule)
            if found.start < hole.end and self.history.bars(hole.symbol, timeframe, found.start, found.start + 1).bars:
                return True
        return False

    def _minutes(self, begin: int, end: int) -> dict[str, list[Bar]]:
        return {symbol: list(self.history.bars(symbol, Timeframe.MINUTE, begin, end).bars) for symbol in self.rules}

    def _longer(self, begin: int, end: int) -> list[Bar]:
        """Return the hours and days that end in ``begin < t <= end``."""
        found: list[Bar] = []
        for symbol, rule in self.rules.items():
            earliest = {
                Timeframe.HOUR: begin - begin % NS_PER_HOUR,
                Timeframe.DAY: session(begin, rule).start,
            }
            for timeframe, start in earliest.items():
                bars = self.history.bars(symbol, timeframe, start, end).bars
                found += [bar for bar in bars if begin < period(timeframe, bar.start, rule).end <= end]
        return found

    def _roll_finder(self, symbol: str, rule: SessionRule) -> RollFinder:
        published = {ts for ts, event in self._events if event.kind == ROLL and event.symbol == symbol}
        leads = self.archive.leads(symbol)
        if self.streams is not None:
            leads |= self.streams.leads(symbol)
        return RollFinder(symbol, rule, leads, published)

    def _read_events(self) -> list[Timed]:
        found = dict(self.archive.archive.events())
        if self.streams is not None:
            found |= dict(streams.read_range(self.streams.client, keys.EVENTS))
        return [timed for at in sorted(found, key=streams.id_pair) if (timed := _event(at, found[at], self.rules))]


def _event(identifier: str, fields: dict[bytes, bytes], rules: Mapping[str, SessionRule]) -> Timed | None:
    try:
        raw = orjson.loads(streams.field_of(keys.EVENTS, fields, "event"))
        kind, symbol = raw.pop("kind"), raw.pop("symbol")
    except (KeyError, AttributeError, TypeError, orjson.JSONDecodeError) as error:
        raise DataError(f"{keys.EVENTS} {identifier}: an event that cannot be read: {error}") from None
    return (streams.ms_of(identifier) * NS_PER_MS, MarketEvent(kind, symbol, raw)) if symbol in rules else None


def _with_next(
    intervals: Iterable[Interval], read: Callable[[int, int], dict[str, list[Bar]]]
) -> Iterator[tuple[Interval, dict[str, list[Bar]], dict[str, list[Bar]]]]:
    """Yield each interval with what is in it and in the one after it."""
    waiting: tuple[Interval, dict[str, list[Bar]]] | None = None
    for interval in intervals:
        found = read(*interval)
        if waiting is not None:
            yield *waiting, found
        waiting = (interval, found)
    if waiting is not None:
        yield *waiting, {}
