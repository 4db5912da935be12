"""The base of all strategies: Backtrader underneath, one call per completed bar on top."""

import traceback
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import backtrader as bt

from pine.core.bar import Bar
from pine.core.config import TradedInstrument
from pine.core.timeframe import Timeframe
from pine.strategies.account import Account


class Surroundings(Protocol):
    """What the engine gives a strategy."""

    @property
    def traded(self) -> Mapping[str, TradedInstrument]:
        """The strategy's instruments."""
        ...

    @property
    def account(self) -> Account:
        """Its account."""
        ...

    def fresh(self) -> list[Bar]:
        """Return the bars of the declared timeframes that close at the present step."""
        ...

    def enter(self, symbol: str, reason: str, facts: Mapping[str, Any], *, short: bool = False) -> str | None:
        """Ask for a position; return the intent's id, or nothing if a rule forbids it."""
        ...

    def exit(self, symbol: str, reason: str, facts: Mapping[str, Any]) -> str | None:
        """Ask to close a position; return the intent's id, or nothing if there is none to close."""
        ...

    def observe(self, symbol: str, facts: Mapping[str, Any]) -> None:
        """Put values that were looked at into the flight record."""
        ...

    def feature(self, symbol: str, feature: str) -> float | None:
        """Return the newest value of a declared feature; nothing while it has none."""
        ...

    def failed(self, text: str) -> None:
        """Report that the strategy raised."""
        ...


class StrategyMeta(type(bt.Strategy), ABCMeta):  # type: ignore[misc]
    """Backtrader's own making of strategies, which knows abstract methods too."""


class BaseStrategy(bt.Strategy, metaclass=StrategyMeta):  # type: ignore[misc]
    """A strategy that pine can run live, again and in replay with the same outcome.

    A subclass declares the timeframes, and perhaps the features, that it reads and implements `on_bar`. Whatever it
    remembers must follow from the bars it was handed; positions and orders it asks the account for. ``self.datas``
    hold the same bars as Backtrader lines under the names ``ES_minute``, ``ES_hour``, ``ES_day``, for indicators.
    """

    params = (("surroundings", None),)
    timeframes: ClassVar[tuple[Timeframe, ...]] = (Timeframe.HOUR,)
    features: ClassVar[tuple[str, ...]] = ()

    @property
    def surroundings(self) -> Surroundings:
        """The engine around this strategy."""
        return self.p.surroundings  # type: ignore[no-any-return]

    def next(self) -> None:
        """Hand every completed bar to `on_bar`; what it raises stops the strategy, not the reading of bars."""
        try:
            fresh, traded = self.surroundings.fresh(), self.surroundings.traded
            for bar in fresh:
                if bar.symbol not in traded:
                    self.on_reference(bar)
            for bar in fresh:
                if bar.symbol in traded:
                    self.on_bar(bar)
        except Exception:  # noqa: BLE001  # a faulty rule halts its own strategy and nothing else
            self.surroundings.failed(traceback.format_exc())

    def prenext(self) -> None:
        """Treat a step before every feed has a bar like any other."""
        self.next()

    def nextstart(self) -> None:
        """Treat the first step with all feeds like any other."""
        self.next()

    def feature(self, symbol: str, feature: str) -> float | None:
        """Return the newest value of one of `features` for a traded symbol; nothing while it has none."""
        return self.surroundings.feature(symbol, feature)

    def on_reference(self, bar: Bar) -> None:
        """Take one completed hour or day of a root that is read and not traded; before `on_bar` of the same step."""

    @abstractmethod
    def on_bar(self, bar: Bar) -> None:
        """Take one completed bar of a declared timeframe of a traded instrument; decide here."""
