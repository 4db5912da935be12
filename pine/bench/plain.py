"""Backtrader as somebody uses it who knows it well: the baselines of the rows about strategies.

Bars come from lists in memory, which is faster than its own pandas feed; observers are off. The rule itself is pine's
own code, so that what differs is what calls it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import backtrader as bt

from pine.bench.rules import STRONG, WEAK
from pine.core.bar import Bar
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, Timeframe
from pine.feeds.backtrader import close_time, line_time
from pine.strategies.account import Position
from pine.strategies.breakout_rules import Channel
from pine.strategies.ibs_rules import IbsParams, IbsState, entry_facts, exit_reason, internal_bar_strength

Row = tuple[float, float, float, float, float, float]
Decision = tuple[int, str, str, str]
"""When (ns), symbol, ask and reason."""

CASH: Final = 1e9
_EPOCH: Final = line_time(0)
_SECONDS: Final = NS_PER_DAY // NS_PER_SECOND
_UNITS: Final = {
    Timeframe.MINUTE: (bt.TimeFrame.Minutes, 1),
    Timeframe.HOUR: (bt.TimeFrame.Minutes, 60),
    Timeframe.DAY: (bt.TimeFrame.Days, 1),
}


def rows_of(bars: Iterable[Bar], rule: SessionRule) -> list[Row]:
    """Return bars as what Backtrader's lines hold: time of the close as days, prices, volume."""
    return [
        (line_time(close_time(bar, rule)), bar.open, bar.high, bar.low, bar.close, float(bar.volume)) for bar in bars
    ]


def instant(days: float) -> int:
    """Return the time of a line in ns; whole seconds are exact."""
    return round((days - _EPOCH) * _SECONDS) * NS_PER_SECOND


class Memory(bt.feed.DataBase):  # type: ignore[misc]
    """A feed that loads rows from memory."""

    params: Any = (("rows", ()),)

    def start(self) -> None:
        """Begin with the first row."""
        super().start()
        self._rows: Iterator[Row] = iter(self.p.rows)

    def _load(self) -> bool:
        row = next(self._rows, None)
        return row is not None and put(self.lines, row)


def put(lines: Any, row: Row) -> bool:
    """Put a row on a feed's lines."""
    lines.datetime[0], lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = row
    lines.openinterest[0] = 0.0
    return True


def memory(rows: Sequence[Row], timeframe: Timeframe) -> Any:
    """Return a feed of rows."""
    unit, count = _UNITS[timeframe]
    make: Any = Memory  # Backtrader's metaclass takes parameters by name
    return make(rows=rows, timeframe=unit, compression=count)


class Trading(bt.Strategy):  # type: ignore[misc]
    """Keeps positions from fills, and a list of what was decided."""

    params: Any = (("symbols", ()),)

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.held: dict[str, Position] = {}
        self.ordered: set[str] = set()

    def notify_order(self, order: Any) -> None:
        """Take a fill."""
        if order.status != order.Completed:
            return
        symbol = order.info["symbol"]
        self.ordered.discard(symbol)
        if order.isbuy():
            filled = instant(order.executed.dt) - NS_PER_MINUTE
            self.held[symbol] = Position(symbol, "", 1, order.executed.price, filled, "")
        else:
            del self.held[symbol]

    def order(self, ts: int, symbol: str, minute: Any, ask: str, reason: str) -> None:
        """Trade at the open of the next minute."""
        if symbol in self.ordered:
            return
        self.ordered.add(symbol)
        self.decisions.append((ts, symbol, ask, reason))
        (self.buy if ask == "buy" else self.sell)(data=minute, symbol=symbol)


class HourlyIbs(Trading):
    """pine's IBS rule on one symbol's hours; the first feed has its minutes."""

    params: Any = (("rule", IbsParams()), ("symbol", "ES"))

    def __init__(self) -> None:
        super().__init__()
        self.minute, self.hour = self.datas
        self.state = IbsState(self.p.rule)
        self.seen = 0

    def prenext(self) -> None:
        """Treat minutes before the first hour like any other."""
        self.next()

    def next(self) -> None:
        """Look whether an hour has come."""
        if len(self.hour) > self.seen:
            self.seen = len(self.hour)
            judge_hour(self, self.state, self.p.symbol, self.hour, self.minute)


def judge_hour(strategy: Trading, state: IbsState, symbol: str, hour: Any, minute: Any) -> None:
    """Ask the IBS rule about an hour that has just come."""
    ts = instant(hour.datetime[0])
    prices = hour.open[0], hour.high[0], hour.low[0], hour.close[0]
    state.update(Bar(symbol, Timeframe.HOUR, ts - NS_PER_HOUR, *prices, int(hour.volume[0]), 0, ""))
    position = strategy.held.get(symbol)
    if position is not None:
        verdict = exit_reason(state, position)
        if verdict is not None:
            strategy.order(ts, symbol, minute, "exit", verdict[0])
    elif entry_facts(state) is not None:
        strategy.order(ts, symbol, minute, "buy", "IBS entry")


class PlainMinuteIbs(Trading):
    """The rule of `pine.bench.rules.MinuteIbs` on one symbol's minutes."""

    params: Any = (("symbol", "ES"),)

    def next(self) -> None:
        """Judge a minute."""
        data = self.data
        strength = internal_bar_strength(data.high[0], data.low[0], data.close[0])
        if self.p.symbol in self.held:
            if strength >= STRONG:
                self.order(instant(data.datetime[0]), self.p.symbol, data, "exit", "strong")
        elif strength <= WEAK:
            self.order(instant(data.datetime[0]), self.p.symbol, data, "buy", "weak")


def run(feeds: Sequence[Any], strategies: Sequence[tuple[Any, dict[str, Any]]], *, resample: bool = False) -> list[Any]:
    """Run strategies over feeds and return them; Backtrader loads everything beforehand where it can.

    Parameters
    ----------
    feeds
        In their order.
    strategies
        Classes with their parameters.
    resample
        Whether Backtrader makes hours of the first feed, as its manual shows.
    """
    cerebro = bt.Cerebro(stdstats=False)
    for feed in feeds:
        cerebro.adddata(feed)
    if resample:
        cerebro.resampledata(feeds[0], timeframe=bt.TimeFrame.Minutes, compression=60)
    for kind, parameters in strategies:
        cerebro.addstrategy(kind, **parameters)
    cerebro.broker.setcash(CASH)
    return list(cerebro.run())


class Store:
    """A live source: at each pass of the engine it has the next step's bars waiting for the feeds that poll it.

    Parameters
    ----------
    steps
        For each step the rows of each feed that has one, by the feed's number.
    """

    def __init__(self, steps: Sequence[Sequence[tuple[int, Row]]]) -> None:
        self.waiting: dict[int, Row] = {}
        self.ended = False
        self._steps = iter(steps)

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def get_notifications(self) -> tuple[()]:
        """Take the next step if the one before was fetched; the engine asks this first in every pass."""
        if not self.waiting:
            step = next(self._steps, None)
            self.ended = step is None
            self.waiting.update(step or ())
        return ()


class Polling(bt.feed.DataBase):  # type: ignore[misc]
    """A live feed that asks its store whether there is a bar, and says so if there is none yet."""

    params: Any = (("store", None), ("number", 0))

    def islive(self) -> bool:
        """Tell the engine that nothing can be loaded beforehand."""
        return True

    def _load(self) -> bool | None:
        store: Store = self.p.store
        row = store.waiting.pop(self.p.number, None)
        if row is None:
            return False if store.ended else None
        return put(self.lines, row)


class Hourly(Trading):
    """A rule on the hours of many symbols; the feeds are minutes, hours and days of each, in this order."""

    params: Any = (("judge", None), ("states", None))

    def __init__(self) -> None:
        super().__init__()
        symbols = list(self.p.states)
        hours = self.datas[len(symbols) : 2 * len(symbols)]
        self.places = list(zip(symbols, self.datas, hours, strict=False))
        self.seen = dict.fromkeys(symbols, 0)

    def prenext(self) -> None:
        """Treat steps before every feed has a bar like any other."""
        self.next()

    def next(self) -> None:
        """Look for hours that have come."""
        for symbol, minute, hour in self.places:
            if len(hour) > self.seen[symbol]:
                self.seen[symbol] = len(hour)
                self.p.judge(self, self.p.states[symbol], symbol, hour, minute)


def judge_breakout(strategy: Trading, channel: Channel, symbol: str, hour: Any, minute: Any) -> None:
    """Ask pine's breakout rule about an hour that has just come."""
    ts = instant(hour.datetime[0])
    prices = hour.open[0], hour.high[0], hour.low[0], hour.close[0]
    channel.update(Bar(symbol, Timeframe.HOUR, ts - NS_PER_HOUR, *prices, int(hour.volume[0]), 0, ""))
    position, close = strategy.held.get(symbol), prices[3]
    if position is None:
        if channel.upper is not None and channel.atr is not None and close > channel.upper:
            strategy.order(ts, symbol, minute, "buy", "breakout")
    elif (stop := channel.stop(position.price)) is not None and close <= stop:
        strategy.order(ts, symbol, minute, "exit", "stop loss")
    elif channel.lower is not None and close < channel.lower:
        strategy.order(ts, symbol, minute, "exit", "channel exit")


def run_live(
    steps: Sequence[Sequence[tuple[int, Row]]],
    kinds: Sequence[Timeframe],
    strategies: Sequence[tuple[Any, dict[str, Any]]],
) -> list[Any]:
    """Run strategies in Backtrader's live mode.

    Parameters
    ----------
    steps
        As `Store` wants them.
    kinds
        Timeframe of each feed.
    strategies
        Classes with their parameters.
    """
    cerebro, store = bt.Cerebro(stdstats=False), Store(steps)
    make: Any = Polling  # Backtrader's metaclass takes parameters by name
    cerebro.addstore(store)
    for number, timeframe in enumerate(kinds):
        unit, count = _UNITS[timeframe]
        cerebro.adddata(make(store=store, number=number, timeframe=unit, compression=count))
    for kind, parameters in strategies:
        cerebro.addstrategy(kind, **parameters)
    cerebro.broker.setcash(CASH)
    return list(cerebro.run())
