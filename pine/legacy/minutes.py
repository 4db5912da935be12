"""One root's trades to minute bars of its lead contract, one trade at a time in plain Python."""

from collections import Counter
from collections.abc import Mapping

from attrs import define, field

from pine.core.bar import Bar, price
from pine.core.calendar import is_open, scheduled_hours
from pine.core.contract import Contract
from pine.core.period import Period, SessionRule, session
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.legacy.market import Outright


@define
class Candle:
    """Trades of one contract in one minute; prices in 1e-9."""

    outright: Outright
    open: int
    high: int
    low: int
    close: int
    volume: int

    def trade(self, outright: Outright, price: int, size: int) -> None:
        """Take the next trade."""
        self.outright = outright
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += size

    def bar(self, symbol: str, minute: int) -> Bar:
        """Return the finished bar."""
        prices = (price(self.open), price(self.high), price(self.low), price(self.close))
        number, raw = self.outright.instrument_id, self.outright.raw_symbol
        return Bar(symbol, Timeframe.MINUTE, minute, *prices, self.volume, number, raw)


@define
class RootMinutes:
    """Open minutes of all expiries of a root, and which of them leads.

    The lead of a session is what was traded most in the session before it, never an earlier expiry than its lead; of
    equal volumes the nearer. Of the first session it is what was traded most in its first minute with trades.

    Parameters
    ----------
    symbol, rule
        The root and its sessions.
    fill_quiet
        Whether quiet minutes of an open session become flat bars.
    leads
        What is known of leads beforehand: the exchange's symbol and the contract, by start of session.
    begin
        Trades of minutes before this (ns) are not looked at.
    """

    symbol: str
    rule: SessionRule
    fill_quiet: bool = False
    leads: dict[int, tuple[str, Contract]] = field(factory=dict)
    begin: int = 0
    _open: dict[int, dict[Contract, Candle]] = field(factory=dict)
    _session: Period | None = None
    _volume: Counter[Contract] = field(factory=Counter)
    _symbols: dict[Contract, str] = field(factory=dict)
    _last: Bar | None = None
    _lost_until: int = -1

    def trade(self, minute: int, outright: Outright, price: int, size: int) -> bool:
        """Take a trade of a minute; return False if that minute is lost."""
        if minute <= self._lost_until:
            return False
        if minute >= self.begin:
            candles = self._open.setdefault(minute, {})
            candle = candles.get(outright.contract)
            if candle is None:
                candles[outright.contract] = Candle(outright, price, price, price, price, size)
            else:
                candle.trade(outright, price, size)
        return True

    def drop_open(self) -> None:
        """Forget open minutes: they come again from their beginning."""
        self._open.clear()

    def lose(self, until: int) -> None:
        """Note that minutes up to the one that starts at `until` (ns) will never be whole."""
        self._lost_until = max(self._lost_until, until)

    def close(self, minute: int) -> Bar | None:
        """Finish a minute; return the lead contract's bar if it traded."""
        candles = self._open.pop(minute, None)
        if minute <= self._lost_until:
            return None
        if candles is None:
            return self._flat(minute)
        self._enter(minute)
        for contract, candle in candles.items():
            self._volume[contract] += candle.volume
            self._symbols[contract] = candle.outright.raw_symbol
        _, lead = self._lead(candles)
        if lead not in candles:
            return self._flat(minute)
        self._last = candles[lead].bar(self.symbol, minute)
        return self._last

    def end_session(self, boundary: int) -> str | None:
        """Decide the next session's lead if one ends at a boundary (ns); return its symbol if that is a roll."""
        if self._session is None or boundary != self._session.end:
            return None
        before = self.leads[self._session.start]
        following = session(boundary, self.rule)
        while scheduled_hours(self.rule.group, *following) == 0:
            following = session(following.end, self.rule)
        chosen = choose(self._volume, before[1]) or before[1]
        after = self.leads.setdefault(following.start, (self._symbols.get(chosen, before[0]), chosen))
        self._leave()
        if after[1] == before[1]:
            return None
        self._last = None
        return after[0]

    def _enter(self, minute: int) -> None:
        if self._session is not None and minute >= self._session.end:  # a hole went over its close
            self._leave()
        if self._session is None:
            self._session = session(minute, self.rule)

    def _leave(self) -> None:
        self._session = None
        self._volume.clear()
        self._symbols.clear()

    def _lead(self, candles: Mapping[Contract, Candle]) -> tuple[str, Contract]:
        """Return the lead of the present session; one that nobody decided keeps the latest."""
        assert self._session is not None
        start = self._session.start
        if start not in self.leads:
            earlier = [known for known in self.leads if known < start]
            if earlier:
                self.leads[start] = self.leads[max(earlier)]
            else:
                chosen = choose({contract: candle.volume for contract, candle in candles.items()}, None)
                assert chosen is not None
                self.leads[start] = (candles[chosen].outright.raw_symbol, chosen)
        return self.leads[start]

    def _flat(self, minute: int) -> Bar | None:
        last = self._last
        if not self.fill_quiet or last is None or last.start != minute - NS_PER_MINUTE or self._session is None:
            return None
        open_market = is_open(self.rule.group, minute) and is_open(self.rule.group, last.start)
        if not open_market or session(minute, self.rule) != self._session:
            return None
        number, raw = last.instrument_id, last.contract_symbol
        self._last = Bar(self.symbol, Timeframe.MINUTE, minute, *(last.close,) * 4, 0, number, raw)
        return self._last


def choose(volume: Mapping[Contract, int], current: Contract | None) -> Contract | None:
    """Return the lead after some trading: the most traded that is no earlier expiry than the lead so far."""
    ranking = sorted((-traded, contract.expiry) for contract, traded in volume.items() if traded)
    by_expiry = {contract.expiry: contract for contract in volume}
    for _, expiry in ranking:
        if current is None or expiry >= current.expiry:
            return by_expiry[expiry]
    return current
