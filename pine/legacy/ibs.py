"""IBS for the reference: the rules of `pine.strategies.ibs_rules`, every value from Backtrader's lines."""

from typing import Any, Final

import backtrader as bt
from attrs import frozen

from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_HOUR, NS_PER_SECOND, Timeframe
from pine.core.times import from_datetime
from pine.legacy.feeds import ResampledFeed
from pine.legacy.indicators import InternalBarStrength, PivotHigh, PivotLow, value_of
from pine.legacy.record import Facts
from pine.legacy.strategy import ReferenceStrategy
from pine.strategies.ibs_rules import IbsParams, IbsView, entry_facts, exit_reason

_INDICATORS: Final[tuple[Any, Any]] = (PivotHigh, PivotLow)  # Backtrader's metaclass takes parameters by name


@frozen
class _Range:
    """The newest pivots of one side, the older first."""

    highs: tuple[float, ...]
    lows: tuple[float, ...]


@frozen
class _Value:
    value: float | None


class _Lines:
    """What the rules ask for, read from the lines of one symbol's hourly feed."""

    def __init__(self, feed: Any, params: IbsParams) -> None:
        self.params = params
        self.feed: ResampledFeed = feed
        self.strength: Any = InternalBarStrength(feed)
        high, low = _INDICATORS
        span = {"left": params.pivot_left, "right": params.pivot_right}
        self.pivot_high, self.pivot_low = high(feed, **span), low(feed, **span)
        self.stop = bt.indicators.ATR(feed, period=params.stop_atr_length)
        self.target = bt.indicators.ATR(feed, period=params.target_atr_length)

    @property
    def bar(self) -> Bar | None:
        return self.feed.bar

    @property
    def ibs(self) -> float | None:
        return value_of(self.strength.lines.ibs)

    @property
    def pivots(self) -> _Range:
        return _Range(_both(self.pivot_high), _both(self.pivot_low))

    @property
    def stop_atr(self) -> _Value:
        return _Value(value_of(self.stop.lines.atr))

    @property
    def target_atr(self) -> _Value:
        return _Value(value_of(self.target.lines.atr))

    def bars_since(self, entered: int) -> int:
        """Return how many hours have completed after the fill's own; no more than one beyond the bar stop."""
        fill_hour = entered - entered % NS_PER_HOUR
        looked = min(len(self.feed), self.params.bar_stop_bars + 1)
        return sum(_close_ns(self.feed, ago) - NS_PER_HOUR > fill_hour for ago in range(looked))


class LegacyIbs(ReferenceStrategy):
    """Buys weak hourly closes and sells on strength."""

    timeframes = (Timeframe.HOUR, Timeframe.DAY)

    def __init__(self) -> None:
        super().__init__()
        self._lines = {
            symbol: _Lines(self.feeds[(symbol, Timeframe.HOUR)], self.desk.account.traded[symbol].params)
            for symbol in self.traded
        }

    def on_bar(self, bar: Bar) -> None:
        """Judge one symbol once per completed hour."""
        if bar.timeframe is not Timeframe.HOUR:
            return
        lines: IbsView = self._lines[bar.symbol]
        seen: dict[str, Any] = {"ibs": lines.ibs}
        position = self.desk.account.positions.get(bar.symbol)
        if position is not None:
            verdict = exit_reason(lines, position)
            if verdict is not None:
                seen["signal"] = verdict[0]
                self.desk.exit(bar.symbol, *verdict)
        elif (facts := entry_facts(lines)) is not None:
            seen["signal"] = "IBS entry"
            self.enter(bar.symbol, "IBS entry", facts)
        self.observe(bar.symbol, seen)

    def features(self, symbol: str) -> Facts:
        """Return IBS, both average true ranges and the pivots."""
        lines = self._lines[symbol]
        return {
            "ibs": lines.ibs,
            "stop_atr": lines.stop_atr.value,
            "target_atr": lines.target_atr.value,
            "pivot_highs": list(lines.pivots.highs),
            "pivot_lows": list(lines.pivots.lows),
        }


def _both(pivot: Any) -> tuple[float, ...]:
    found = (value_of(pivot.lines.previous), value_of(pivot.lines.last))
    return tuple(value for value in found if value is not None)


def _close_ns(feed: Any, ago: int) -> int:
    """Return when a bar of a feed closed, in ns; its line holds days as a float, which is exact to the second."""
    moment = bt.num2date(feed.lines.datetime[-ago], tz=bt.utils.date.UTC, naive=False)
    return round(from_datetime(moment) / NS_PER_SECOND) * NS_PER_SECOND
