"""The bars of one root under construction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from pine.core.bar import PRICE_SCALE, Bar, fold, price
from pine.core.calendar import is_open, scheduled_hours
from pine.core.contract import Contract, parse_contract
from pine.core.period import Period, SessionRule, period, session
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import to_datetime
from pine.hub.instruments import Outright
from pine.hub.lead import choose_lead


@define
class Cell:
    """One contract's trades of one minute so far; prices are integers of 1e-9."""

    outright: Outright
    open: int
    high: int
    low: int
    close: int
    volume: int

    def take(self, later: "Cell") -> None:
        """Fold in trades of the same contract and minute that were received later."""
        self.outright = later.outright
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume


@frozen
class Lead:
    """Which contract makes a root's bars in the session that starts at `session_start` (ns)."""

    symbol: str
    session_start: int
    contract: Contract
    raw_symbol: str


@frozen
class Roll:
    """The lead changes from one session to the next; `close` is the old contract's last price, in 1e-9."""

    symbol: str
    before: str
    after: str
    close: int | None


@define
class RootBars:
    """Open minutes of every contract of a root, and the hour and session that are being folded from its bars.

    Parameters
    ----------
    symbol
        The root.
    rule
        Its sessions.
    fill_quiet
        Whether quiet minutes make flat bars.
    leads
        The leads that are already decided, by session start.
    """

    symbol: str
    rule: SessionRule
    fill_quiet: bool = False
    leads: dict[int, Lead] = field(factory=dict)
    _minutes: dict[int, dict[str, Cell]] = field(factory=dict)
    _hour: list[Bar] = field(factory=list)
    _day: list[Bar] = field(factory=list)
    _closed: Bar | None = None
    _session: Period | None = None
    _session_volume: dict[Contract, int] = field(factory=lambda: defaultdict(int))
    _session_symbols: dict[Contract, str] = field(factory=dict)
    _last: Bar | None = None
    _last_price: dict[str, int] = field(factory=dict)
    _broken_until: int = -1
    _broken: dict[Timeframe, frozenset[int]] = field(factory=dict)

    def add(self, minute: int, cell: Cell) -> bool:
        """Fold trades of one contract into a minute; return False if that minute was discarded by a reset."""
        if minute <= self._broken_until:
            return False
        cells = self._minutes.setdefault(minute, {})
        known = cells.get(cell.outright.raw_symbol)
        if known is None:
            cells[cell.outright.raw_symbol] = cell
        else:
            known.take(cell)
        return True

    def seed(self, minutes: Sequence[Bar], volume: Mapping[str, int], now: int) -> None:
        """Take up where an earlier hub left off, from what it published.

        Parameters
        ----------
        minutes
            Published minute bars of the session that holds `now`.
        volume
            Contracts traded in that session so far, by contract symbol.
        now
            Boundary in ns up to which everything is published.
        """
        current = session(now, self.rule)
        hour = period(Timeframe.HOUR, now, self.rule).start
        self._day = list(minutes)
        self._hour = [bar for bar in minutes if bar.start >= hour]
        if volume:
            self._session = current
        day = to_datetime(now).date()
        for raw, traded in volume.items():
            contract = parse_contract(raw, day, [self.symbol])
            self._session_volume[contract] += traded
            self._session_symbols[contract] = raw
        if minutes:
            self._last = minutes[-1]
            self._last_price[minutes[-1].contract_symbol] = round(minutes[-1].close * PRICE_SCALE)

    def lose(self, oldest: int, newest: int) -> None:
        """Note that minutes from `oldest` to `newest` are lost: they, their hours and sessions make no bar."""
        self._broken_until = max(self._broken_until, newest)
        for timeframe, starts in broken_periods(oldest, newest, self.rule).items():
            self._broken[timeframe] = self._broken.get(timeframe, frozenset()) | starts
        self._hour = [bar for bar in self._hour if not self._is_broken(Timeframe.HOUR, bar)]
        self._day = [bar for bar in self._day if not self._is_broken(Timeframe.DAY, bar)]

    def _is_broken(self, timeframe: Timeframe, bar: Bar) -> bool:
        broken = self._broken.get(timeframe)
        return broken is not None and period(timeframe, bar.start, self.rule).start in broken

    def discard_open(self) -> None:
        """Forget minutes that have not closed: they will be received again from their beginning."""
        self._minutes.clear()

    def reset(self, oldest: int, newest: int) -> None:
        """Discard the open minutes, from `oldest` to `newest`, and the hours and sessions around them."""
        self._minutes.clear()
        self.lose(oldest, newest)

    def close_minute(self, minute: int) -> tuple[dict[str, int], list[Lead]]:
        """Close a minute.

        Returns
        -------
        tuple
            Volume by contract symbol, and the lead if this minute decided it. The bar, if there is one, is
            handed out by `close_periods`.
        """
        self._closed = None
        cells = self._minutes.pop(minute, None)
        if cells is None:
            if self.fill_quiet:
                self._fill(minute)
            return {}, []
        self._enter_session(minute)
        for cell in cells.values():
            self._session_volume[cell.outright.contract] += cell.volume
            self._session_symbols[cell.outright.contract] = cell.outright.raw_symbol
            self._last_price[cell.outright.raw_symbol] = cell.close
        lead, decided = self._lead_of(cells)
        leading = cells.get(lead.raw_symbol)
        if leading is not None:
            self._take(_minute_bar(self.symbol, minute, leading))
        elif self.fill_quiet:
            self._fill(minute)
        return {name: cells[name].volume for name in sorted(cells)}, decided

    def close_periods(self, boundary: int) -> list[Bar]:
        """Return the minute that was just closed, and the hour and session if they end at `boundary`."""
        done = [] if self._closed is None else [self._closed]
        if boundary % NS_PER_HOUR == 0 and self._hour:
            done.append(fold(self._hour, Timeframe.HOUR, boundary - NS_PER_HOUR))
            self._hour = []
        if self._session is not None and boundary == self._session.end and self._day:
            done.append(fold(self._day, Timeframe.DAY, self._session.start))
            self._day = []
        return done

    def close_session(self, boundary: int) -> tuple[Lead | None, Roll | None]:
        """At a session's end decide the lead of the next scheduled one; return it, and the roll if it changed."""
        if self._session is None or boundary != self._session.end:
            return None, None
        before = self.leads[self._session.start]
        following = _next_session(boundary, self.rule)
        if following.start not in self.leads:
            chosen = choose_lead(self._session_volume, before.contract)
            assert chosen is not None
            raw = self._session_symbols.get(chosen, before.raw_symbol)
            self.leads[following.start] = Lead(self.symbol, following.start, chosen, raw)
        after = self.leads[following.start]
        self._session = None
        self._session_volume.clear()
        self._session_symbols.clear()
        last_price = self._last_price.get(before.raw_symbol)
        self._last_price.clear()
        if after.contract == before.contract:
            return after, None
        self._last = None
        return after, Roll(self.symbol, before.raw_symbol, after.raw_symbol, last_price)

    def _enter_session(self, minute: int) -> None:
        if self._session is not None and minute >= self._session.end:  # a hole went over its close, which nobody saw
            self._session = None
            self._session_volume.clear()
            self._session_symbols.clear()
            self._day.clear()
        if self._session is None:
            self._session = session(minute, self.rule)

    def _lead_of(self, cells: dict[str, Cell]) -> tuple[Lead, list[Lead]]:
        """Return the lead of a minute's session, and it again in a list if it was not decided before.

        A session for which none was decided at the close before it keeps the latest one; the very first session
        takes the contract most traded in this minute.
        """
        assert self._session is not None
        start = self._session.start
        if (lead := self.leads.get(start)) is not None:
            return lead, []
        earlier = [s for s in self.leads if s < start]
        if earlier:
            latest = self.leads[max(earlier)]
            lead = Lead(self.symbol, start, latest.contract, latest.raw_symbol)
        else:
            chosen = choose_lead({cell.outright.contract: cell.volume for cell in cells.values()}, None)
            assert chosen is not None
            raw = next(cell.outright.raw_symbol for cell in cells.values() if cell.outright.contract == chosen)
            lead = Lead(self.symbol, start, chosen, raw)
        self.leads[start] = lead
        return lead, [lead]

    def _take(self, bar: Bar) -> None:
        self._closed = self._last = bar
        for timeframe, bars in ((Timeframe.HOUR, self._hour), (Timeframe.DAY, self._day)):
            if not self._is_broken(timeframe, bar):
                bars.append(bar)

    def _fill(self, minute: int) -> None:
        """Make a flat bar if the minute before had one, in the same session and the same stretch of open market."""
        last = self._last
        if minute <= self._broken_until:  # what was traded in a hole nobody knows
            return
        if last is None or last.start != minute - NS_PER_MINUTE or not is_open(self.rule.group, minute):
            return
        if self._session is None or session(minute, self.rule) != self._session:
            return
        if not is_open(self.rule.group, last.start):
            return
        flat = Bar(
            self.symbol,
            Timeframe.MINUTE,
            minute,
            last.close,
            last.close,
            last.close,
            last.close,
            0,
            last.instrument_id,
            last.contract_symbol,
        )
        self._take(flat)


def _minute_bar(symbol: str, minute: int, cell: Cell) -> Bar:
    return Bar(
        symbol,
        Timeframe.MINUTE,
        minute,
        price(cell.open),
        price(cell.high),
        price(cell.low),
        price(cell.close),
        cell.volume,
        cell.outright.instrument_id,
        cell.outright.raw_symbol,
    )


def broken_periods(oldest: int, newest: int, rule: SessionRule) -> dict[Timeframe, frozenset[int]]:
    """Return the starts of the hours and sessions that lost minutes between `oldest` and `newest`."""
    return {
        timeframe: frozenset(period(timeframe, minute, rule).start for minute in (oldest, newest))
        for timeframe in (Timeframe.HOUR, Timeframe.DAY)
    }


def _next_session(boundary: int, rule: SessionRule) -> Period:
    """Return the first session from `boundary` on in which trading is scheduled."""
    following = session(boundary, rule)
    while scheduled_hours(rule.group, following.start, following.end) == 0:
        following = session(following.end, rule)
    return following
