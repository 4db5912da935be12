"""Writes down, while it runs, what a strategy sees and thinks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from attrs import define, field

from pine.core.bar import Bar
from pine.core.period import SessionRule, period
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.feeds.steps import MarketEvent
from pine.feeds.warmup import WarmUp
from pine.orders.entries import Asked, Entry, Fill, Intent, encode
from pine.orders.portfolio import Portfolio
from pine.replay.record import Facts, Record
from pine.replay.tables import RECORDED, BarPage, Page


@define(eq=False)
class Recorder:
    """Takes what happens at each step and makes a record of it.

    Parameters
    ----------
    rules
        Session rule of each symbol.
    cash
        Dollars at the start; what the account comes to follows from the fills.
    desk_session
        Sessions by which the account counts its days.
    """

    rules: Mapping[str, SessionRule]
    cash: float
    desk_session: SessionRule
    _pages: dict[str, Page] = field(init=False, factory=lambda: {name: Page(name) for name in RECORDED})
    _bars: BarPage = field(init=False)
    _account: Portfolio = field(init=False)
    _first: int = 0

    def __attrs_post_init__(self) -> None:
        self._account = Portfolio(self.cash, self.desk_session)
        self._pages["bars"] = self._bars = BarPage("bars")

    def see(self, step: int, bars: Iterable[Bar], events: Iterable[MarketEvent] = ()) -> None:
        """Take what became known at a step (ns)."""
        self._first = self._first or step
        for event in events:
            details = orjson.dumps(dict(event.details), option=orjson.OPT_SORT_KEYS).decode()
            self._pages["events"].add(step, event.kind, event.symbol, details)
        for bar in bars:
            self._bars.add(step, bar)

    def feed(self, warm_up: WarmUp) -> None:
        """Take the history that comes before the first step."""
        for bar in warm_up.bars:
            self.see(closing_step(bar, self.rules[bar.symbol]), [bar])

    def first_step(self, begin: int) -> int:
        """Return the step (ns) of the first thing seen; of a run that was fed nothing up to `begin`, the one after."""
        return self._first if 0 < self._first <= begin else begin + 1

    def think(self, step: int, flight: Mapping[str, Any]) -> None:
        """Take a flight record: values, decisions and, if it has one, the digest of everything."""
        for observed in flight["observed"]:
            for name, value in observed.items():
                if name != "symbol":
                    self._pages["values"].add(step, observed["symbol"], name, *cells(value))
        for asked in flight["decisions"]:
            self._pages["decisions"].add(step, asked["symbol"], asked["ask"], asked["reason"], asked["refused"])
        if "digest" in flight:
            self._pages["flights"].add(step, flight["digest"])

    def book(self, step: int, entries: Iterable[Entry]) -> None:
        """Take ledger entries of a step, in order."""
        for entry in entries:
            self._account.apply(entry)
            if isinstance(entry, Intent):
                self._intent(step, entry)
            elif isinstance(entry, Fill):
                self._fill(step, entry)
            elif isinstance(entry, Asked):
                self._pages["requests"].add(step, entry.request, encode(entry).decode())

    def record(self, facts: Facts, without: Sequence[str] = ()) -> Record:
        """Return everything so far; tables of which nothing is known are left out."""
        return Record(facts, {name: page.frame() for name, page in self._pages.items() if name not in without})

    def _intent(self, step: int, intent: Intent) -> None:
        self._pages["intents"].add(
            step,
            intent.id,
            intent.symbol,
            intent.action,
            intent.contract,
            intent.ticker,
            intent.quantity,
            intent.price,
            intent.reason,
            intent.entry,
            orjson.dumps(intent.facts, option=orjson.OPT_SORT_KEYS).decode(),
        )

    def _fill(self, step: int, fill: Fill) -> None:
        self._pages["fills"].add(
            step,
            fill.intent,
            fill.symbol,
            fill.contract,
            fill.side,
            fill.quantity,
            fill.price,
            fill.time,
            fill.commission,
            fill.pnl,
        )
        self._pages["account"].add(step, fill.intent, self._account.cash, self._account.realised)


def cells(value: Any) -> tuple[float | None, str | None]:
    """Return a value as the two columns that hold it: a number, and JSON of what is none (or is a whole one)."""
    if isinstance(value, float):
        return value, None
    number = float(value) if isinstance(value, int) and not isinstance(value, bool) else None
    return number, orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def uncelled(value: float | None, text: str | None) -> Any:
    """Return the value of two columns; the counterpart of `cells`."""
    return value if text is None else orjson.loads(text)


def closing_step(bar: Bar, rule: SessionRule) -> int:
    """Return the step, in ns, at which a bar closes."""
    if bar.timeframe is Timeframe.MINUTE:
        return bar.start + NS_PER_MINUTE
    return -(-period(bar.timeframe, bar.start, rule).end // NS_PER_MINUTE) * NS_PER_MINUTE
