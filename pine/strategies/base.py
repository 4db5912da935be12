"""The bases of all strategies: Backtrader underneath; on top either its own `next`, or one call per completed bar."""

import contextlib
import traceback
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

import backtrader as bt

from pine.core.bar import Bar
from pine.core.config import TradedInstrument
from pine.core.errors import PineError
from pine.core.timeframe import Timeframe
from pine.feeds.backtrader import ClockFeed, symbol_of
from pine.strategies.account import Account
from pine.strategies.foreign import describe
from pine.strategies.params import NoParams


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

    def donew(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the object; pine's clock drives the engine and is none of the strategy's feeds."""
        return super().donew(*(item for item in args if not isinstance(item, ClockFeed)), **kwargs)

    def doinit(cls, _obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Run ``__init__``.

        Raises
        ------
        PineError
            If it raises anything: nothing can run then.
        """
        try:
            return super().doinit(_obj, *args, **kwargs)
        except (PineError, KeyboardInterrupt):
            raise
        except BaseException as error:  # sys.exit too: a strategy does not end its process without a word
            raise _cannot_begin(cls.__name__, "__init__", error) from error


def _cannot_begin(name: str, method: str, error: BaseException) -> PineError:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return PineError(f"{name}: {method} raised at {frame.filename}:{frame.lineno}: {describe(error)}")


class BacktraderStrategy(bt.Strategy, metaclass=StrategyMeta):  # type: ignore[misc]
    """A Backtrader strategy, with indicators and `next`, that pine can run live, again and in replay alike.

    ``self.datas`` hold the declared timeframes of the strategy's instruments as Backtrader feeds named ``ES_minute``,
    ``ES_hour``, ``ES_day``: the shortest timeframe first, instruments in the order of the configuration, references
    last. Whatever it remembers must follow from them; positions and orders it asks the account for.

    Attributes
    ----------
    Params
        Class of its parameters, made by attrs; every one has a default.
    timeframes
        What it reads; `next` is called when a bar of any of them is complete.
    features
        Addresses of features that its rules ask for (docs/features.md).
    """

    params = (("surroundings", None),)
    Params: ClassVar[type] = NoParams
    timeframes: ClassVar[tuple[Timeframe, ...]] = (Timeframe.HOUR,)
    features: ClassVar[tuple[str, ...]] = ()

    @property
    def surroundings(self) -> Surroundings:
        """The engine around this strategy."""
        return self.p.surroundings  # type: ignore[no-any-return]

    def params_of(self, data: Any) -> Any:
        """Return the parameters, an object of `Params`, of an instrument, given by symbol or by one of its feeds."""
        symbol = data if isinstance(data, str) else symbol_of(data)
        return self.surroundings.traded[symbol].params

    def feature(self, symbol: str, feature: str) -> float | None:
        """Return the newest value of one of `features` for a traded symbol; nothing while it has none."""
        return self.surroundings.feature(symbol, feature)

    def is_fresh(self, data: Any) -> bool:
        """Tell whether a feed's newest bar is of the present step; Backtrader calls `next` for all of them at once."""
        return any(
            bar.symbol == symbol_of(data) and data._name.endswith(f"_{bar.timeframe.feed_suffix}")  # noqa: SLF001
            for bar in self.surroundings.fresh()
        )

    @abstractmethod
    def next(self) -> None:
        """Decide; called when every feed and indicator has enough bars."""

    def _next(self) -> None:
        """Make Backtrader's pass; what an indicator or a rule raises stops the strategy, not the reading of bars."""
        with self._halting():
            super()._next()

    def _start(self) -> None:
        try:
            super()._start()
        except (PineError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise _cannot_begin(type(self).__name__, "start", error) from error

    def _stop(self) -> None:
        with self._halting():
            super()._stop()

    @contextlib.contextmanager
    def _halting(self) -> Iterator[None]:
        """Report what is raised; only Ctrl-C goes on, which is the process's."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # a faulty rule halts its own strategy and nothing else, also by sys.exit
            self.surroundings.failed(traceback.format_exc())

    def _clk_update(self) -> int:
        """Take the time of the present step, also where none of the feeds has a bar yet."""
        self.forward()
        self.lines.datetime[0] = self.env.datas[0].datetime[0]  # pine's clock, which every pass begins with
        return len(self)


class BaseStrategy(BacktraderStrategy):
    """A strategy that is handed every completed bar, one by one.

    A subclass implements `on_bar`: days come before hours before minutes where several close together, instruments
    in the order of the configuration.
    """

    def next(self) -> None:
        """Hand every completed bar to `on_bar`."""
        fresh, traded = self.surroundings.fresh(), self.surroundings.traded
        for bar in fresh:
            if bar.symbol not in traded:
                self.on_reference(bar)
        for bar in fresh:
            if bar.symbol in traded:
                self.on_bar(bar)

    def prenext(self) -> None:
        """Treat a step before every feed has a bar like any other."""
        self.next()

    def nextstart(self) -> None:
        """Treat the first step with all feeds like any other."""
        self.next()

    def on_reference(self, bar: Bar) -> None:
        """Take one completed hour or day of a root that is read and not traded; before `on_bar` of the same step."""

    @abstractmethod
    def on_bar(self, bar: Bar) -> None:
        """Take one completed bar of a declared timeframe of a traded instrument; decide here."""
