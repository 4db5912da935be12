"""Trades, one by one, to minute boundaries: what is left out and counted, and when a minute is over."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import define, field

from pine.core.bar import Bar
from pine.core.contract import SymbolKind, classify, parse_contract
from pine.core.errors import ContractError
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from pine.core.times import to_datetime
from pine.legacy.clock import EventClock
from pine.legacy.market import Beat, Boundary, Naming, Outright, Record, Trade
from pine.legacy.minutes import RootMinutes

_UNDEF_PRICE: Final = (1 << 63) - 1
_UNDEF_SIZE: Final = (1 << 32) - 1
_TOO_LATE: Final = 1 << 63
_BAD_TS_RECV: Final = 8
_BEAT_DOUBT: Final = NS_PER_SECOND


@define
class TradeAggregator:
    """Builds the minutes of several roots and hands them on, boundary by boundary, in order.

    A minute is over when event time has passed its end by `lateness`: event time is what trades of the configured
    roots and the gateway's heartbeats (less a second) have reached. So the next trade closes a minute, whichever root
    it is of, and a quiet root does not wait for its own.

    Parameters
    ----------
    roots
        In the order in which their bars are handed on.
    clock
        Bounds what times are believed.
    publish
        Takes each boundary at which something is known, and each whole hour, where longer bars may close.
    lateness
        Ns of event time.
    bar_clock
        Which time of a trade decides its minute.

    Attributes
    ----------
    counts
        Records taken and left out, by reason.
    watermark
        Event time reached, ns.
    closed_until
        Boundary up to which every minute is over.
    """

    roots: Mapping[str, RootMinutes]
    clock: EventClock
    publish: Callable[[Boundary], None]
    lateness: int = 250 * 1_000_000
    bar_clock: str = "ts_recv"
    counts: Counter[str] = field(factory=Counter)
    watermark: int = 0
    last_trade: int = 0
    closed_until: int = 0
    _names: dict[int, str] = field(factory=dict)
    _known: dict[int, Outright | str] = field(factory=dict)
    _due: list[tuple[int, str, tuple[int, int]]] = field(factory=list)
    _holes: list[tuple[int, int, str]] = field(factory=list)
    _replaying: bool = False
    _floor: int = 0

    def connect(self, floor: int = 0, *, replaying: bool = True) -> None:
        """Begin a connection: ids mean nothing yet, open minutes come again, those before `floor` (ns) are known."""
        self._names.clear()
        self._known.clear()
        self._replaying = replaying
        self._floor = floor
        self.closed_until = max(self.closed_until, floor)
        for root in self.roots.values():
            root.drop_open()

    def end_replay(self) -> None:
        """Let minutes close: the gateway has caught up with the market."""
        self._replaying = False
        self._advance()

    def lose(self, first: int, last: int, symbols: Iterable[str] | None = None) -> None:
        """Note that minutes from `first` to `last` (ns) will never come."""
        for symbol in self.roots if symbols is None else symbols:
            self.roots[symbol].lose(last)
            self._due.append((last + 2 * NS_PER_MINUTE, symbol, (first, last)))
        self.counts["gap"] += 1

    def miss(self, first: int, last: int, symbol: str) -> None:
        """Note beforehand that the records at hand lack minutes of a root, from `first` to `last` (ns)."""
        self._holes = sorted([*self._holes, (first, last, symbol)])

    def take(self, record: Record) -> None:
        """Take whatever comes next."""
        if isinstance(record, Trade):
            self._trade(record)
        elif isinstance(record, Beat):
            self._beat(record.ts)
        else:
            self._name(record)

    def _beat(self, ts: int) -> None:
        if not 0 < ts < _TOO_LATE or not self.clock.believes(ts, self.watermark):
            self.counts["wild_heartbeat"] += 1
            return
        self.clock.saw(ts)
        self._reach(ts - _BEAT_DOUBT)

    def _name(self, naming: Naming) -> None:
        """Take a mapping; an id that goes over to another root takes that root's unfinished bars along."""
        before = self._names.get(naming.instrument_id)
        if before == naming.raw_symbol:
            return
        self._names[naming.instrument_id] = naming.raw_symbol
        self._known.pop(naming.instrument_id, None)
        left, entered = self._root_of(before), self._root_of(naming.raw_symbol)
        begun = self.watermark or self.clock.now()
        if left is not None and entered is not None and left != entered and begun:
            self._reset(entered)

    def _reset(self, symbol: str) -> None:
        reached = max(self.watermark, self.closed_until)
        last = reached - reached % NS_PER_MINUTE
        first = self.closed_until or last
        self.roots[symbol].drop_open()
        self.roots[symbol].lose(last)
        self._due.append((first + NS_PER_MINUTE, symbol, (first, last)))
        self.counts["reset"] += 1

    def _trade(self, trade: Trade) -> None:
        self.counts["trades"] += 1
        outright = self._known.get(trade.instrument_id) or self._look_up(trade)
        if isinstance(outright, str):
            self.counts[outright] += 1
            return
        wrong = _fault(trade)
        if wrong:
            self.counts[wrong] += 1
        elif not self.clock.believes(trade.ts_recv, self.watermark):
            self.counts["far_ahead"] += 1
        else:
            self._place(trade, outright)
            self._reach(0 if trade.flags & _BAD_TS_RECV else trade.ts_recv)

    def _place(self, trade: Trade, outright: Outright) -> None:
        """Put a sound trade into its minute, unless that is over."""
        ts = trade.ts_recv if self.bar_clock == "ts_recv" else trade.ts_event
        minute = ts - ts % NS_PER_MINUTE
        if not trade.flags & _BAD_TS_RECV:
            self.last_trade = max(self.last_trade, trade.ts_recv)
            self.clock.saw(trade.ts_recv)
        if minute < self._floor:
            return  # a replay begins before what is needed
        self.closed_until = self.closed_until or minute
        over = not self._replaying and minute + NS_PER_MINUTE + self.lateness <= self.watermark
        if minute < self.closed_until or over:
            self.counts["late"] += 1
        elif not self.roots[outright.contract.root].trade(minute, outright, trade.price, trade.size):
            self.counts["discarded_by_reset"] += 1

    def _reach(self, ts: int) -> None:
        """Move event time on, and close what is over."""
        self.watermark = max(self.watermark, min(ts, self.clock.limit()))
        if self.watermark - self.lateness >= self.closed_until + NS_PER_MINUTE:
            self._advance()

    def _advance(self) -> None:
        while (
            self.closed_until
            and not self._replaying
            and (boundary := self.closed_until + NS_PER_MINUTE) <= self.watermark - self.lateness
        ):
            self.closed_until = boundary
            done = self._close(boundary)
            if done or boundary % NS_PER_HOUR == 0:
                self.publish(done)

    def _close(self, boundary: int) -> Boundary:
        while self._holes and self._holes[0][0] < boundary:
            first, last, symbol = self._holes.pop(0)
            self.roots[symbol].lose(last)
            self._due.append((first + NS_PER_MINUTE, symbol, (first, last)))
        resets = {symbol: lost for due, symbol, lost in self._due if due <= boundary}
        self._due = [item for item in self._due if item[0] > boundary]
        bars: dict[str, Bar] = {}
        rolls: dict[str, str] = {}
        for symbol, root in self.roots.items():
            bar = root.close(boundary - NS_PER_MINUTE)
            if bar is not None:
                bars[symbol] = bar
            to = root.end_session(boundary)
            if to is not None:
                rolls[symbol] = to
        return Boundary(boundary, bars, rolls, resets)

    def _look_up(self, trade: Trade) -> Outright | str:
        """Return the contract behind an id, or why its trades make no bar."""
        raw = self._names.get(trade.instrument_id)
        if raw is None:
            return "unmapped_instrument"
        kind = classify(raw)
        found: Outright | str = kind.value
        if kind is SymbolKind.OUTRIGHT:
            ts = self.watermark or self.clock.now() or _time(trade)
            if not ts:
                return "unmapped_instrument"  # a short year means nothing without a date
            try:
                contract = parse_contract(raw, to_datetime(ts).date(), self.roots)
                found = Outright(trade.instrument_id, raw, contract)
            except ContractError:
                found = "root_not_configured"
        self._known[trade.instrument_id] = found
        return found

    def _root_of(self, raw: str | None) -> str | None:
        if raw is None or classify(raw) is not SymbolKind.OUTRIGHT:
            return None
        try:
            return parse_contract(raw, to_datetime(self.clock.now()).date(), self.roots).root
        except ContractError:
            return None


def _time(trade: Trade) -> int:
    """Return the exchange's time of a trade, else when it was received; 0 if neither is one."""
    if 0 < trade.ts_event < _TOO_LATE:
        return trade.ts_event
    return trade.ts_recv if trade.ts_recv < _TOO_LATE and not trade.flags & _BAD_TS_RECV else 0


def _fault(trade: Trade) -> str | None:
    """Return what keeps a trade from any bar."""
    if trade.action != "T":
        return "not_a_trade"
    if trade.price == _UNDEF_PRICE:
        return "undefined_price"
    if trade.size in (0, _UNDEF_SIZE):
        return "zero_size"
    if not 0 < trade.ts_recv < _TOO_LATE or trade.ts_event >= _TOO_LATE:
        return "undefined_time"
    return None
