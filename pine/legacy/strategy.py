"""Strategies of the reference: pine's rules on Backtrader's feeds, with Backtrader's indicators."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import backtrader as bt

from pine.core.bar import Bar
from pine.core.errors import PineError
from pine.core.timeframe import Timeframe
from pine.legacy.broker import PaperBroker
from pine.legacy.feeds import ResampledFeed
from pine.legacy.record import Decision, Facts, Recorder
from pine.strategies.judge import Judge, Verdict

_ORDER: Final = (Timeframe.DAY, Timeframe.HOUR)

Feeds = Mapping[tuple[str, Timeframe], ResampledFeed]


class _StrategyMeta(type(bt.Strategy), ABCMeta):  # type: ignore[misc]
    """Backtrader's own making of strategies, which knows abstract methods too."""


class ReferenceStrategy(bt.Strategy, metaclass=_StrategyMeta):  # type: ignore[misc]
    """Hands each completed bar to `on_bar` once: days before hours, symbols in the strategy's order.

    Backtrader calls `next` whenever any feed has a bar; what is new is what a feed delivered in this pass.
    """

    params: Any = (("feeds", None), ("broker", None), ("recorder", None), ("judge", None))
    timeframes: ClassVar[tuple[Timeframe, ...]] = (Timeframe.HOUR,)

    def __init__(self) -> None:
        self.desk: PaperBroker = self.p.broker
        self.feeds: Feeds = self.p.feeds
        self.symbols = tuple(dict.fromkeys(symbol for symbol, _ in self.feeds))
        self.traded = tuple(self.desk.account.traded)
        self.judge: Judge = self.p.judge
        self._observed: list[Facts] = []

    def next(self) -> None:
        """Judge what closed in this pass."""
        minutes = [feed.bar for feed in self.desk.minutes.values() if feed.delivered and feed.bar is not None]
        longer = [feed.bar for feed in self.feeds.values() if feed.delivered and feed.bar is not None]
        self.judge.update([*minutes, *longer])
        fresh = [
            feed.bar
            for timeframe in _ORDER
            if timeframe in self.timeframes
            for symbol in self.symbols
            if (feed := self.feeds[(symbol, timeframe)]).delivered and feed.bar is not None
        ]
        if not fresh:
            return
        self._observed = []
        for bar in fresh:
            if bar.symbol in self.traded:
                self.on_bar(bar)
        hours = [bar.symbol for bar in fresh if bar.timeframe is Timeframe.HOUR and bar.symbol in self.traded]
        features = {symbol: self.features(symbol) for symbol in hours}
        desk = self.desk
        recorder: Recorder = self.p.recorder
        recorder.decision(Decision(desk.step, desk.live, tuple(self._observed), features, tuple(desk.asked)))

    def prenext(self) -> None:
        """Treat a pass before every feed and indicator has its bars like any other."""
        self.next()

    def nextstart(self) -> None:
        """Treat the first pass with all of them like any other."""
        self.next()

    def enter(self, symbol: str, reason: str, facts: Facts) -> None:
        """Ask for a long position: filters and model judge first, then the risk rules."""
        verdict = self.judge.verdict(symbol) if self.desk.live else Verdict()
        self.desk.enter(symbol, reason, {**facts, **verdict.facts}, verdict.refused)
        if verdict.seen:
            self.observe(symbol, verdict.seen)

    def observe(self, symbol: str, facts: Facts) -> None:
        """Put values that were looked at into the record."""
        self._observed.append({"symbol": symbol, **facts})

    @abstractmethod
    def on_bar(self, bar: Bar) -> None:
        """Take one completed bar; decide here."""

    @abstractmethod
    def features(self, symbol: str) -> Facts:
        """Return the newest values of a symbol's indicators."""


def strategy_class(kind: str) -> Callable[..., Any]:
    """Return the reference's class of a strategy type.

    Raises
    ------
    PineError
        If the reference has none.
    """
    if kind not in KINDS:
        raise PineError(f"strategy type {kind!r}: the reference has {', '.join(KINDS)}")
    from importlib import import_module

    module, _, name = KINDS[kind].partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


KINDS: Final = {
    "ibs": "pine.legacy.ibs:LegacyIbs",
    "breakout": "pine.legacy.breakout:LegacyBreakout",
}
"""Where the class of each strategy type is."""
