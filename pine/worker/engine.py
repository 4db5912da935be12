"""The engine of one strategy: steps in, ledger entries and flight records out. The same live, again, and in replay."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Protocol

import backtrader as bt
import orjson
from attrs import define, field, frozen

from pine.core.bar import Bar
from pine.core.config import TradedInstrument
from pine.core.period import SessionRule
from pine.core.timeframe import Timeframe
from pine.feeds.backtrader import BarFeed, ClockFeed, make_feed
from pine.feeds.builder import BarBuilder, differences
from pine.feeds.steps import MarketEvent, Step
from pine.orders.desk import Desk
from pine.orders.entries import Control, Entry, Intent, encode
from pine.orders.portfolio import Portfolio
from pine.strategies.catalog import strategy_class
from pine.worker.broker import LedgerBroker

logger = logging.getLogger(__name__)


@frozen
class Outcome:
    """What one step led to.

    Attributes
    ----------
    entries
        New ledger entries, in order.
    flight
        The flight record if the step reached the strategy.
    """

    entries: tuple[Entry, ...]
    flight: dict[str, Any] | None


class StepSource(Protocol):
    """Where steps come from and where their outcomes go."""

    def next(self) -> Step | None:
        """Return the next step, waiting if need be; nothing when it is time to stop."""
        ...

    def done(self, step: Step, outcome: Outcome) -> None:
        """Make an outcome durable."""
        ...


@define(eq=False)
class Engine:
    """Runs one strategy over steps.

    Parameters
    ----------
    kind
        Strategy type.
    desk
        Takes its orders and keeps its account.
    rules
        Session rule of each symbol, in the strategy's order.
    source
        Gives steps and takes outcomes.
    skip
        Whether steps at which no declared timeframe closes stay away from the engine; off only to prove that it
        makes no difference.

    Attributes
    ----------
    alerts
        What was wrong, newest last; each is logged too.
    """

    kind: str
    desk: Desk
    rules: Mapping[str, SessionRule]
    source: StepSource
    skip: bool = True
    alerts: list[str] = field(factory=list)
    steps: int = 0
    engine_steps: int = 0
    _builder: BarBuilder = field(init=False)
    _feeds: dict[tuple[str, Timeframe], BarFeed] = field(factory=dict)
    _timeframes: tuple[Timeframe, ...] = ()
    _fresh: list[Bar] = field(factory=list)
    _observed: list[dict[str, Any]] = field(factory=list)
    _current: Step | None = None

    def __attrs_post_init__(self) -> None:
        self._builder = BarBuilder(self.rules)

    @property
    def traded(self) -> Mapping[str, TradedInstrument]:
        """The strategy's instruments."""
        return self.desk.traded

    @property
    def account(self) -> Portfolio:
        """The strategy's account."""
        return self.desk.portfolio

    def run(self) -> None:
        """Run until the source has no more steps."""
        strategy = strategy_class(self.kind)
        self._timeframes = strategy.timeframes
        cerebro = bt.Cerebro(stdstats=False, preload=False, runonce=False, maxcpus=1)
        cerebro.adddata(ClockFeed(name="clock", dataname="clock", pull=self._pull))
        for timeframe in Timeframe:
            for symbol, rule in self.rules.items():
                if timeframe in self._timeframes:
                    feed = make_feed(symbol, timeframe, rule)
                    self._feeds[(symbol, timeframe)] = feed
                    cerebro.adddata(feed)
        cerebro.setbroker(LedgerBroker(self.desk))
        cerebro.addstrategy(strategy, surroundings=self)
        cerebro.run()

    def fresh(self) -> list[Bar]:
        """Return the bars of this step, days before hours before minutes, symbols in the strategy's order."""
        return self._fresh

    def enter(self, symbol: str, reason: str, facts: Mapping[str, Any], *, short: bool = False) -> str | None:
        """Ask for a position."""
        intent = self.desk.enter(symbol, reason, facts, short=short)
        return None if intent is None else intent.id

    def exit(self, symbol: str, reason: str, facts: Mapping[str, Any]) -> str | None:
        """Ask to close a position."""
        intent = self.desk.exit(symbol, reason, facts)
        return None if intent is None else intent.id

    def observe(self, symbol: str, facts: Mapping[str, Any]) -> None:
        """Keep values for the flight record."""
        self._observed.append({"symbol": symbol, **facts})

    def failed(self, text: str) -> None:
        """Halt the strategy; bars are read on."""
        last = text.strip().splitlines()[-1]
        self._alert(f"the strategy raised and is halted: {last}", trace=text)
        if self.desk.live and self._current is not None and self.account.halted is None:
            request = f"step-{self._current.ts}"
            halt = Control(order="halt", reason=f"strategy error: {last}", who="worker", request=request)
            self.desk.entries.append(halt)
            self.desk.portfolio.apply(halt)

    def _pull(self) -> int | None:
        """Finish the step before, and return the next one that must reach the strategy."""
        if self._current is not None:
            step, self._current = self._current, None
            self._finish(step, reached=True)
        while (step_or_none := self.source.next()) is not None:
            self.steps += 1
            if self._prepare(step_or_none):
                self._current = step_or_none
                self.engine_steps += 1
                return step_or_none.ts
            self._finish(step_or_none, reached=False)
        for feed in self._feeds.values():
            feed.end()
        return None

    def _prepare(self, step: Step) -> bool:
        self.desk.live = step.live
        self.desk.begin(step.ts)
        self._observed = []
        for event in step.events:
            if event.kind in ("reset", "gap"):
                self._builder.reset(event.symbol, event.details["first_minute"], event.details["last_minute"])
        for bar in step.minutes:
            self.desk.see(bar)
            self._builder.add(bar)
        self._roll([event for event in step.events if event.kind == "roll"])
        built = self._builder.close(step.ts)
        for line in differences(built, list(step.longer)):
            self._alert(f"bars disagree: {line}")
        by_timeframe = {Timeframe.MINUTE: list(step.minutes), Timeframe.HOUR: [], Timeframe.DAY: []}
        for bar in built:
            by_timeframe[bar.timeframe].append(bar)
        order = (Timeframe.DAY, Timeframe.HOUR, Timeframe.MINUTE)
        self._fresh = [bar for timeframe in order if timeframe in self._timeframes for bar in by_timeframe[timeframe]]
        for bar in self._fresh:
            self._feeds[(bar.symbol, bar.timeframe)].push(bar)
        return bool(self._fresh) or not self.skip

    def _roll(self, rolls: list[MarketEvent]) -> None:
        for event in rolls:
            self.desk.roll(event.symbol, event.details["to"])

    def _finish(self, step: Step, *, reached: bool) -> None:
        entries = tuple(self.desk.entries)
        flight = self._flight(step, entries) if reached and self._fresh else None
        self.source.done(step, Outcome(entries, flight))

    def _flight(self, step: Step, entries: tuple[Entry, ...]) -> dict[str, Any]:
        seen = {
            "step": step.ts,
            "bars": [bar.to_dict() for bar in self._fresh],
            "observed": self._observed,
            "decisions": self.desk.decisions,
            "entries": [encode(entry).decode() for entry in entries],
        }
        digest = hashlib.blake2b(orjson.dumps(seen), digest_size=16).hexdigest()
        return {
            "digest": digest,
            "bars": len(self._fresh),
            "observed": self._observed,
            "decisions": self.desk.decisions,
            "intents": [entry.id for entry in entries if isinstance(entry, Intent)],
        }

    def _alert(self, text: str, **fields: str) -> None:
        """Keep an alert; what was said already is not logged again and again."""
        if text not in self.alerts:
            logger.error(text, extra={"fields": fields})
        self.alerts.append(text)
