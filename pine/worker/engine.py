"""The engine of one strategy: steps in, ledger entries and flight records out. The same live, again, and in replay."""

import contextlib
import hashlib
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from attrs import define, field, frozen

from pine.core.bar import Bar
from pine.core.config import Adjust, TradedInstrument, WarmUpConfig
from pine.core.errors import PineError
from pine.core.log import at_step, get_logger
from pine.core.period import SessionRule, period
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.feeds.backtrader import BarFeed, ClockFeed, SteppedCerebro, make_feed
from pine.feeds.builder import BarBuilder, differences
from pine.feeds.past import LONGER, Past, WarmStep
from pine.feeds.steps import MarketEvent, Step
from pine.feeds.warmup import WarmUp
from pine.history import refill
from pine.history.refill import Refill
from pine.orders.desk import Desk
from pine.orders.entries import OWN, Control, Entry, Intent, encode
from pine.orders.portfolio import Portfolio
from pine.strategies.catalog import strategy_class
from pine.strategies.foreign import off_stdout
from pine.strategies.judge import Judge, Standards, Verdict
from pine.strategies.plugins import is_plug_in
from pine.worker.broker import LedgerBroker

log = get_logger(__name__)

DISAGREE: Final = "bars disagree: "
"""Begins an alert of hub and worker having built different bars."""

_OURS: Final = frozenset({"worker", "orders", "backtrader"})
"""Folders of what runs a strategy, and is not where it went wrong."""

_PLACE: Final = re.compile(r'File "([^"]+)", line (\d+)')


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

    def warm_up(self) -> WarmUp | None:
        """Return what comes before the first step; nothing if the steps begin with the strategy's life."""
        ...

    def refilled(self, told: Refill) -> Sequence[Bar] | None:
        """Return the minutes of a hole that was filled, waiting if need be; nothing when it is time to stop."""
        ...

    def alive(self) -> bool:
        """Show a sign of life between steps that the source knows nothing of; return whether to go on."""
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
        Session rule of each symbol that it reads, in its order: those that it trades first.
    source
        Gives steps and takes outcomes.
    skip
        Whether steps at which no declared timeframe closes stay away from the engine; off only to prove that it
        makes no difference.
    reach
        How many sessions the strategy is fed when it is warmed up.
    adjust
        How it sees bars of earlier contracts.
    standards
        What its entries are judged by before the desk's risk rules.

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
    reach: WarmUpConfig = field(factory=WarmUpConfig)
    adjust: Adjust = "none"
    standards: Standards = field(factory=Standards)
    alerts: list[str] = field(factory=list)
    steps: int = 0
    engine_steps: int = 0
    _builder: BarBuilder = field(init=False)
    _past: Past = field(init=False)
    _rank: dict[tuple[Timeframe, str], int] = field(init=False)
    _feeding: deque[WarmStep] = field(factory=deque)
    _held: Step | None = None
    _again: bool = False
    _first: bool = False
    _warmed: dict[str, Any] | None = None
    _uncompared: set[tuple[str, Timeframe, int]] = field(factory=set)
    _feeds: dict[tuple[str, Timeframe], BarFeed] = field(factory=dict)
    _timeframes: tuple[Timeframe, ...] = ()
    _judge: Judge = field(init=False)
    _fresh: list[Bar] = field(factory=list)
    _observed: list[dict[str, Any]] = field(factory=list)
    _current: Step | None = None

    def __attrs_post_init__(self) -> None:
        self._builder = BarBuilder(self.rules)
        ranked = ((timeframe, symbol) for timeframe in (*LONGER, Timeframe.MINUTE) for symbol in self.rules)
        self._rank = {place: n for n, place in enumerate(ranked)}

    @property
    def traded(self) -> Mapping[str, TradedInstrument]:
        """The strategy's instruments."""
        return self.desk.traded

    @property
    def account(self) -> Portfolio:
        """The strategy's account."""
        return self.desk.portfolio

    def run(self) -> None:
        """Run until the source has no more steps; with a strategy made anew each time it is warmed up again."""
        self._timeframes = strategy_class(self.kind).timeframes
        read = self.standards.timeframes(self._timeframes)
        reached = self.standards.reach(self.reach)
        reach = {timeframe: reached.sessions(timeframe) for timeframe in read}
        self._past = Past(self.rules, reach, self.adjust)
        warm_up = self.source.warm_up()
        if warm_up is not None:
            self._begin(warm_up)
        self._again = True
        with off_stdout() if is_plug_in(self.kind) else contextlib.nullcontext():
            try:
                while self._again:
                    self._again = False
                    self._make_cerebro().run()
            finally:
                at_step(0)  # what is logged from here on is about no step

    def _make_cerebro(self) -> Any:
        cerebro = SteppedCerebro(stdstats=False, preload=False, runonce=False, maxcpus=1)
        cerebro.adddata(ClockFeed(name="clock", dataname="clock", pull=self._pull))
        self._judge = Judge(self.standards)
        for timeframe in Timeframe:
            for symbol, rule in self.rules.items():
                if self._is_declared(symbol, timeframe):
                    feed = make_feed(symbol, timeframe, rule)
                    self._feeds[(symbol, timeframe)] = feed
                    cerebro.adddata(feed)
        cerebro.setbroker(LedgerBroker(self.desk, self))
        cerebro.addstrategy(strategy_class(self.kind), surroundings=self)
        return cerebro

    def fresh(self) -> list[Bar]:
        """Return the bars of this step, days before hours before minutes, symbols in the strategy's order."""
        return self._fresh

    def enter(self, symbol: str, reason: str, facts: Mapping[str, Any], *, short: bool = False) -> str | None:
        """Ask for a position."""
        _check_plain(facts)
        self.desk.instrument(symbol, read=symbol in self.rules)
        verdict = self._judge.verdict(symbol) if self.desk.live else Verdict()
        intent = self.desk.enter(symbol, reason, {**facts, **verdict.facts}, short=short, refused=verdict.refused)
        if verdict.seen:
            self.observe(symbol, verdict.seen)
        return None if intent is None else intent.id

    def exit(self, symbol: str, reason: str, facts: Mapping[str, Any]) -> str | None:
        """Ask to close a position."""
        _check_plain(facts)
        self.desk.instrument(symbol, read=symbol in self.rules)
        intent = self.desk.exit(symbol, reason, facts)
        return None if intent is None else intent.id

    def feature(self, symbol: str, feature: str) -> float | None:
        """Return the newest value of a declared feature."""
        return self._judge.value(symbol, feature)

    def observe(self, symbol: str, facts: Mapping[str, Any]) -> None:
        """Keep values for the flight record."""
        _check_plain(facts)
        self._observed.append({"symbol": symbol, **facts})

    def failed(self, text: str) -> None:
        """Halt the strategy; bars are read on."""
        text = text.encode(errors="backslashreplace").decode()  # what it raised may hold what no record can
        last = _brief(text)
        self._alert(f"the strategy raised and is halted: {last}", trace=text)
        if self.desk.live and self._current is not None and self.account.halted is None:
            request = f"{OWN}{self._current.ts}"
            halt = Control(order="halt", reason=f"strategy error: {last}", who="worker", request=request)
            self.desk.entries.append(halt)
            self.desk.portfolio.apply(halt)

    def _begin(self, warm_up: WarmUp) -> None:
        """Take up the history that comes before the first step."""
        for bar in warm_up.bars:
            self._past.add(bar)
        self._feed_again(warm_up.until)
        self._first = True
        for symbol in self.rules:
            self._leave_uncompared(symbol, warm_up.until - NS_PER_MINUTE)

    def _pull(self) -> int | None:
        """Finish the step before, and return the next one that must reach the strategy."""
        if self._current is not None:
            step, self._current = self._current, None
            self._finish(step, reached=True)
        while self._feeding:
            if not self.source.alive():
                break
            warm = self._feeding.popleft()
            if self._warm(warm):
                return warm.ts
        while not self._feeding and (step_or_none := self._next()) is not None:
            self._first = False
            if self._prepare(step_or_none):
                self._current = step_or_none
                self.engine_steps += 1
                return step_or_none.ts
            self._finish(step_or_none, reached=False)
        return None

    def _next(self) -> Step | None:
        """Return the next step; nothing if there is none, or if the strategy must be warmed up again before it.

        A step that was held back for that comes again when the strategy has been fed.
        """
        if self._held is not None:
            step, self._held = self._held, None
            return step
        step_or_none = self.source.next()
        if step_or_none is None:
            return None
        self.steps += 1
        at_step(step_or_none.ts)
        changed = self._change_past(step_or_none)
        if changed is None:
            return None
        if changed:
            self._held, self._again = step_or_none, True
            self._feed_again(step_or_none.ts - NS_PER_MINUTE, {bar.symbol: bar for bar in step_or_none.minutes})
            return None
        return step_or_none

    def _change_past(self, step: Step) -> bool | None:
        """Tell whether a step changes what the strategy was fed; nothing if it is time to stop."""
        changed = False
        for event in step.events:
            if event.kind in ("reset", "gap"):
                lost = event.details["first_minute"], event.details["last_minute"]
                self._builder.reset(event.symbol, *lost)
                self._past.lose(event.symbol, *lost)
            elif event.kind == refill.KIND:
                mended = self._mend(
                    step, Refill.from_event({"kind": event.kind, "symbol": event.symbol, **event.details})
                )
                if mended is None:
                    return None
                changed |= mended
        return changed or (self.adjust != "none" and any(map(self._rolls, step.minutes)))

    def _mend(self, step: Step, told: Refill) -> bool | None:
        """Put the minutes of a hole in their places; tell whether any were missing, nothing if it is time to stop."""
        lost, until = (told.first_minute, told.last_minute + NS_PER_MINUTE), step.ts - NS_PER_MINUTE
        if not self._past.lacks(told.symbol, lost, until):
            return False
        minutes = self.source.refilled(told)
        if minutes is None:
            return None
        self._past.mend(told.symbol, lost, minutes, until)
        self._leave_uncompared(told.symbol, told.last_minute)
        return True

    def _leave_uncompared(self, symbol: str, ts: int) -> None:
        """Know that hour and day of an instant are built of more than the hub has seen, or publishes."""
        rule = self.rules[symbol]
        self._uncompared |= {(symbol, longer, period(longer, ts, rule).start) for longer in LONGER}

    def _rolls(self, minute: Bar) -> bool:
        """Tell whether a minute is of another contract than what the strategy was fed."""
        newest = self._past.newest(minute.symbol)
        return newest is not None and newest.contract_symbol != minute.contract_symbol

    def _feed_again(self, until: int, coming: Mapping[str, Bar] | None = None) -> None:
        """Have the strategy fed everything up to an instant, with hours and days under way built anew."""
        self._feeding = deque(self._past.steps(until, coming))
        self._builder = BarBuilder(self.rules)
        for symbol in self.rules:
            for first, end in self._past.holes(symbol, until):
                self._builder.reset(symbol, first, end - NS_PER_MINUTE)
        digest = refill.digest(bar for step in self._feeding for bar in (*step.bars, *step.minutes))
        self._warmed = {"steps": len(self._feeding), "digest": digest}

    def _warm(self, warm: WarmStep) -> bool:
        """Put the bars of an instant of the past before the strategy; no order can come of it."""
        self.desk.live = False
        self.desk.decisions = []
        self._observed = []
        for bar in warm.minutes:
            if self._first:
                self.desk.see(bar)
            self._builder.add(bar)
        built = self._builder.close(warm.ts)
        for bar in built:
            self._past.add(bar)
        return self._show([*warm.bars, *warm.minutes, *built])

    def _prepare(self, step: Step) -> bool:
        self.desk.live = step.live
        self.desk.begin(step.ts)
        self._observed = []
        for bar in step.minutes:
            self.desk.see(bar)
            self._builder.add(bar)
            self._past.add(bar)
        if step.events:
            self._roll([event for event in step.events if event.kind == "roll"])
        built = self._builder.close(step.ts)
        if built or step.longer:
            self._take_longer(built, step.longer)
        return self._show([*step.minutes, *built])

    def _take_longer(self, built: Sequence[Bar], published: Sequence[Bar]) -> None:
        """Keep the hours and days that were built; those that the hub published must equal them."""
        for bar in built:
            self._past.add(bar)
        for line in differences(self._comparable(built), self._comparable(published)):
            self._alert(f"{DISAGREE}{line}")

    def _comparable(self, longer: Iterable[Bar]) -> list[Bar]:
        """Return the hours and days that worker and hub must have alike."""
        return [bar for bar in longer if (bar.symbol, bar.timeframe, bar.start) not in self._uncompared]

    def _show(self, bars: Sequence[Bar]) -> bool:
        """Put bars that close together before the strategy; tell whether it must look."""
        self._judge.update(bars)
        feeds = self._feeds
        self._fresh = [bar for bar in bars if (bar.symbol, bar.timeframe) in feeds]
        if len(self._fresh) > 1:
            self._fresh.sort(key=lambda bar: self._rank[(bar.timeframe, bar.symbol)])
        for bar in self._fresh:
            feeds[(bar.symbol, bar.timeframe)].push(bar)
        return bool(self._fresh) or not self.skip

    def _is_declared(self, symbol: str, timeframe: Timeframe) -> bool:
        """Tell whether the strategy is handed bars of a timeframe; minutes only of what it trades."""
        return timeframe in self._timeframes and (timeframe is not Timeframe.MINUTE or symbol in self.traded)

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
        if self._warmed is not None:
            seen["warmed_up"], self._warmed = self._warmed, None
        digest = hashlib.blake2b(orjson.dumps(seen), digest_size=16).hexdigest()
        return {
            "digest": digest,
            **({"warmed_up": seen["warmed_up"]} if "warmed_up" in seen else {}),
            "bars": len(self._fresh),
            "observed": self._observed,
            "decisions": self.desk.decisions,
            "intents": [entry.id for entry in entries if isinstance(entry, Intent)],
        }

    def _alert(self, text: str, **fields: str) -> None:
        """Keep an alert; what was said already is not logged again and again."""
        if text not in self.alerts:
            log.error(text, **fields)
        self.alerts.append(text)


def _brief(trace: str) -> str:
    """Return what was raised and where, of a traceback: ``ZeroDivisionError: division by zero (mine.py line 12)``."""
    last = trace.strip().splitlines()[-1]
    own = [(Path(file), line) for file, line in _PLACE.findall(trace) if not _OURS & set(Path(file).parts[-3:-1])]
    return f"{last} ({own[-1][0].name} line {own[-1][1]})" if own else last


def _check_plain(facts: Mapping[str, Any]) -> None:
    """Raise `PineError` unless facts are what a record can hold."""
    try:
        orjson.dumps(facts if isinstance(facts, dict) else dict(facts))
    except (TypeError, ValueError) as error:  # orjson's own error is a kind of TypeError
        kinds = ", ".join(f"{name} ({type(value).__name__})" for name, value in dict(facts).items())
        raise PineError(
            f"facts: found {kinds}, expected numbers, texts, true or false, and lists of them: {error}"
        ) from None
