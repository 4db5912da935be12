"""Trades in batches to closed bars, driven by the watermark. Pure: no input or output of its own."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from attrs import define, field, frozen

from pine.core.bar import Bar, price
from pine.core.calendar import is_open
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_SECOND, Timeframe
from pine.hub.batch import Batch, Int64, Trades, cells, first_time, of_bars, of_trades
from pine.hub.clock import NEVER, HubClock
from pine.hub.instruments import InstrumentTable
from pine.hub.root import Lead, Roll, RootBars

SEVERAL: Final = 3
"""Records in a row that are too far ahead for all of them to be wild: the hub's own clock may be behind."""
HEARTBEAT_DOUBT: Final = NS_PER_SECOND
"""A heartbeat proves event time only up to one second before it."""

Holes = Sequence[tuple[int, int]]


@frozen
class Event:
    """Something that takes effect at a step, before its bars."""

    kind: str
    symbol: str
    details: Mapping[str, Any]


@frozen
class Closed:
    """Everything that closes at one minute boundary.

    Attributes
    ----------
    boundary
        End of the minute, ns.
    volumes
        Contracts traded in the minute, by root and contract symbol.
    bars
        Minutes, then hours, then days, each in order of symbols.
    """

    boundary: int
    volumes: Mapping[str, Mapping[str, int]]
    bars: tuple[Bar, ...]
    events: tuple[Event, ...]
    leads: tuple[Lead, ...]


@define
class Aggregator:
    """Builds minute, hourly and daily bars of several roots from trades.

    Bars depend on the sequence of trades and heartbeats only, not on how they were cut into batches.

    Parameters
    ----------
    rules
        Session rule of each configured root.
    clock
        Bounds what times are believed.
    lateness
        Ns of event time by which the watermark must pass a minute's end before it closes.
    bar_clock
        Field whose time decides a trade's minute.
    fill_quiet
        Whether quiet minutes inside an open session become flat bars.
    leads
        Leads that are already written, by root and session start.

    Attributes
    ----------
    watermark
        Event time in ns up to which all trades are held to be in.
    last_trade
        When, in ns, the newest sound trade was received; 0 before the first.
    missed
        Whether records were left out as too far ahead, and later ones show that they were right: the clock was behind.
        Nothing closes then before a new connection replays them.
    """

    rules: Mapping[str, SessionRule]
    clock: HubClock
    lateness: int = 250 * 1_000_000
    bar_clock: str = "ts_recv"
    fill_quiet: bool = False
    leads: Mapping[str, Mapping[int, Lead]] = field(factory=dict)
    counts: Counter[str] = field(factory=Counter)
    watermark: int = 0
    last_trade: int = 0
    closed_until: int = 0
    missed: bool = False
    table: InstrumentTable = field(init=False)
    _roots: dict[str, RootBars] = field(init=False)
    _groups: tuple[str, ...] = field(init=False)
    _resets: list[tuple[int, Event]] = field(factory=list)
    _announced: list[tuple[int, Event]] = field(factory=list)
    _unresolved: list[tuple[int, str]] = field(factory=list)
    _holding: bool = False
    _ahead: int = 0
    _ahead_from: int = NEVER
    _floor: int = 0

    def __attrs_post_init__(self) -> None:
        self.table = InstrumentTable(frozenset(self.rules))
        self._roots = {
            symbol: RootBars(symbol, rule, self.fill_quiet, dict(self.leads.get(symbol, {})))
            for symbol, rule in sorted(self.rules.items())
        }
        self._groups = tuple(sorted({rule.group for rule in self.rules.values()}))

    def begin_session(self, *, replaying: bool, floor: int = 0) -> None:
        """Start over on a new connection: ids are mapped anew, everything not yet closed is built anew.

        Parameters
        ----------
        replaying
            Whether a replay comes first, during which nothing closes.
        floor
            Where bars and clock begin, in ns: trades of earlier minutes are left out, the replay began inside them.
            0 begins with the first trade.
        """
        self.table.begin_session()
        self._unresolved.clear()
        self._holding = replaying
        self.missed, self._ahead, self._ahead_from = False, 0, NEVER
        if floor % NS_PER_MINUTE:
            raise ValueError(f"floor: found {floor}, expected a whole minute")
        self._floor = floor
        self.closed_until = max(self.closed_until, floor)
        for root in self._roots.values():
            root.discard_open()

    def seed(self, symbol: str, minutes: Sequence[Bar], volume: Mapping[str, int], lost: Holes, now: int) -> None:
        """Take up a root where an earlier hub left off at the boundary `now` (ns); see `RootBars.seed`.

        `lost` are first and last minutes of holes and resets that were published in its session.
        """
        self._roots[symbol].seed(minutes, volume, now)
        for first, last in lost:
            self._roots[symbol].lose(first, last)
        self.closed_until = max(self.closed_until, now)

    def lose(self, first_minute: int, last_minute: int, symbols: Iterable[str] | None = None) -> None:
        """Note a hole that nobody will fill: hours and sessions over it make no bar, here and in the workers.

        It is every root's, unless `symbols` are named. One that follows on another of which nobody knows yet is told
        together with it.
        """
        for symbol in self._roots if symbols is None else symbols:
            self._roots[symbol].lose(first_minute, last_minute)
            first = self._take_gap_before(symbol, first_minute)
            details = {"first_minute": first, "last_minute": last_minute}
            self._resets.append((last_minute + 2 * NS_PER_MINUTE, Event("gap", symbol, details)))
        self.counts["gap"] += 1

    def _take_gap_before(self, symbol: str, minute: int) -> int:
        """Take back a gap of a root that ends just before a minute, if it is not told yet; return where it began."""
        for item in self._resets:
            event = item[1]
            before = (event.kind, event.symbol, event.details["last_minute"]) == ("gap", symbol, minute - NS_PER_MINUTE)
            if before:
                self._resets.remove(item)
                return int(event.details["first_minute"])
        return minute

    def announce(self, event: Event, after: int) -> None:
        """Have an event take effect at the first boundary later than `after` (ns) in its root's open market.

        It comes last there: events that follow from the trades keep their ids if the hub is killed in between.
        """
        self._announced.append((after, event))

    def end_replay(self) -> None:
        """Let minutes close again: the gateway has caught up."""
        self._holding = False

    def map_instrument(self, instrument_id: int, raw_symbol: str) -> None:
        """Take a symbol mapping; an id that moves to another root resets that root."""
        now = self.watermark or self.clock.now()
        if not now:
            self._unresolved.append((instrument_id, raw_symbol))  # a short year means nothing without a date
            return
        self._resolve(now)  # in their order: what was announced later holds
        root = self.table.add(instrument_id, raw_symbol, now)
        if root is not None:
            self.reset(root)

    def reset(self, symbol: str) -> None:
        """Discard a root's unfinished minute, hour and day; none of them makes a bar."""
        reached = max(self.watermark, self.closed_until)
        newest = reached - reached % NS_PER_MINUTE
        oldest = self.closed_until or newest
        self._roots[symbol].reset(oldest, newest)
        details = {"first_minute": oldest, "last_minute": newest}
        self._resets.append((oldest + NS_PER_MINUTE, Event("reset", symbol, details)))
        self.counts["reset"] += 1

    def heartbeat(self, ts: int) -> None:
        """Move the watermark by a gateway heartbeat, less a second; one that claims a wild time is left out."""
        if not 0 < ts < 1 << 63 or ts > int(self.clock.believable(np.array([self.watermark]))[0]):
            self.counts["wild_heartbeat"] += 1
            return
        self._believed(ts)
        self.clock.observe(ts)
        self.watermark = max(self.watermark, min(ts - HEARTBEAT_DOUBT, self.clock.watermark_limit()))

    def add(self, trades: Trades) -> None:
        """Take a batch of trades in the order in which they were received.

        Parameters
        ----------
        trades
            Structured array with Databento's trade fields.
        """
        if self._unresolved and (first := first_time(trades)):
            self._resolve(first)
        self._take(of_trades(trades, self.table.slots(trades["instrument_id"]), self.bar_clock, self.counts))

    def add_ohlcv(self, bars: Trades) -> None:
        """Take bars of a second or a minute in order of time, each as what was traded in it.

        Parameters
        ----------
        bars
            Structured array with Databento's ohlcv fields.
        """
        self._take(of_bars(bars, self.table.slots(bars["instrument_id"]), self.counts))

    def _take(self, batch: Batch) -> None:
        """Fold what is sound and in time into the open minutes, and move the watermark."""
        if not len(batch.slots):
            return
        batch, seen = self._only_believable(batch)
        if not len(batch.slots):
            return
        limit = self.clock.watermark_limit()
        minutes = batch.times - batch.times % NS_PER_MINUTE
        keep = minutes >= self._floor
        if not self.closed_until and keep.any():
            self.closed_until = int(minutes[np.argmax(keep)])
        late = minutes < self.closed_until
        if not self._holding:
            late |= minutes + NS_PER_MINUTE + self.lateness <= np.minimum(seen, limit)
        late &= keep
        if late.any():
            self.counts["late"] += int(np.count_nonzero(late))
            keep &= ~late
        if keep.all():
            self._merge(minutes, batch)
        else:
            self._merge(minutes[keep], batch.only(keep))
        newest = int(batch.trusted.max())
        self.watermark = max(self.watermark, min(max(int(seen[-1]), int(batch.trusted[-1])), limit))
        self.last_trade = max(self.last_trade, newest)
        self.clock.observe(newest)

    def advance(self) -> list[Closed]:
        """Close every minute that the watermark has passed, with what else closes there, in order of time."""
        if self._holding or self.missed or self._ahead >= SEVERAL or not self.closed_until:
            return []
        target = self.watermark - self.lateness
        target -= target % NS_PER_MINUTE
        closed = []
        while self.closed_until < target:
            boundary = self.closed_until + NS_PER_MINUTE
            done = self._close(boundary)
            self.closed_until = boundary
            if done is not None:
                closed.append(done)
        return closed

    def _resolve(self, ts: int) -> None:
        """Map what was announced before any time was known, by the first time (ns) that is."""
        waiting, self._unresolved = self._unresolved, []
        for instrument_id, raw_symbol in waiting:
            self.table.add(instrument_id, raw_symbol, ts)

    def _only_believable(self, batch: Batch) -> tuple[Batch, Int64]:
        """Drop records that claim a time too far ahead; return also the latest time seen before each one left."""
        believed = 0
        while len(batch.slots):
            seen = np.maximum.accumulate(np.concatenate(([self.watermark], batch.trusted)))[:-1]
            ahead = batch.received > self.clock.believable(seen)
            if not ahead.any():
                if believed < len(batch.slots):
                    self._believed(int(batch.received[-1]))
                return batch, seen
            # One at a time: behind a wild record the next ones are measured against it.
            keep = np.ones(len(batch.slots), dtype=bool)
            wild = int(np.argmax(ahead))
            keep[wild] = False
            self.counts["far_ahead"] += 1
            if self.clock.may_be_behind:
                if wild > believed:
                    self._believed(int(batch.received[wild - 1]))
                believed = wild
                self._ahead += 1
                self._ahead_from = min(self._ahead_from, int(batch.received[wild]))
            batch = batch.only(keep)
        return batch, np.zeros(0, np.int64)

    def _believed(self, ts: int) -> None:
        """Judge the records left out just before one that is believed: they were right if it is not earlier."""
        self.missed |= ts >= self._ahead_from
        self._ahead, self._ahead_from = 0, NEVER

    def _merge(self, minutes: Int64, batch: Batch) -> None:
        """Fold records into the open minutes."""
        for minute, cell in cells(minutes, batch, self.table.outrights):
            if not self._roots[cell.outright.contract.root].add(minute, cell):
                self.counts["discarded_by_reset"] += 1

    def _close(self, boundary: int) -> Closed | None:
        minute = boundary - NS_PER_MINUTE
        events = [event for due, event in self._resets if due <= boundary]
        self._resets = [(due, event) for due, event in self._resets if due > boundary]
        volumes: dict[str, Mapping[str, int]] = {}
        leads: list[Lead] = []
        by_timeframe: dict[Timeframe, list[Bar]] = {timeframe: [] for timeframe in Timeframe}
        for symbol, root in self._roots.items():
            traded, decided = root.close_minute(minute)
            if traded:
                volumes[symbol] = traded
            leads += decided
            for bar in root.close_periods(boundary):
                by_timeframe[bar.timeframe].append(bar)
            lead, roll = root.close_session(boundary)
            if lead is not None:
                leads.append(lead)
            if roll is not None:
                events.append(_roll_event(roll))
        events += self._due(boundary)
        bars = tuple(bar for timeframe in Timeframe for bar in by_timeframe[timeframe])
        if not (bars or volumes or events or leads or any(is_open(group, minute) for group in self._groups)):
            return None
        return Closed(boundary, volumes, bars, tuple(events), tuple(leads))

    def _due(self, boundary: int) -> list[Event]:
        """Return what was announced and takes effect at a boundary."""
        due = [
            (after, event)
            for after, event in self._announced
            if boundary > after and is_open(self.rules[event.symbol].group, boundary - NS_PER_MINUTE)
        ]
        self._announced = [item for item in self._announced if item not in due]
        return [event for _, event in due]


def _roll_event(roll: Roll) -> Event:
    details = {"from": roll.before, "to": roll.after, "close": None if roll.close is None else price(roll.close)}
    return Event("roll", roll.symbol, details)
