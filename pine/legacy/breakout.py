"""The channel breakout for the reference: Backtrader's own highest, lowest and average true range."""

from typing import Any

import backtrader as bt

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.legacy.indicators import value_of
from pine.legacy.record import Facts
from pine.legacy.strategy import ReferenceStrategy
from pine.strategies.breakout_rules import BreakoutParams


class LegacyBreakout(ReferenceStrategy):
    """Buys closes above the channel of the hours before, sells below it or the stop."""

    timeframes = (Timeframe.HOUR,)

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, dict[str, Any]] = {}
        for symbol in self.traded:
            hour: Any = self.feeds[(symbol, Timeframe.HOUR)]
            params = self._params(symbol)
            self._lines[symbol] = {
                "upper": bt.indicators.Highest(hour.high(-1), period=params.lookback),
                "lower": bt.indicators.Lowest(hour.low(-1), period=params.lookback),
                "atr": bt.indicators.ATR(hour, period=params.atr_length),
            }

    def on_bar(self, bar: Bar) -> None:
        """Judge one symbol once per completed hour."""
        facts = {"close": bar.close, **self.features(bar.symbol)}
        upper, lower, atr = facts["upper"], facts["lower"], facts["atr"]
        self.observe(bar.symbol, facts)
        position = self.desk.account.positions.get(bar.symbol)
        if position is None:
            if upper is not None and atr is not None and bar.close > upper:
                self.enter(bar.symbol, "breakout", facts)
            return
        stop = None if atr is None else position.price - self._params(bar.symbol).atr_multiple * atr
        if stop is not None and bar.close <= stop:
            self.desk.exit(bar.symbol, "stop loss", {**facts, "entry_price": position.price, "stop": stop})
        elif lower is not None and bar.close < lower:
            self.desk.exit(bar.symbol, "channel exit", facts)

    def features(self, symbol: str) -> Facts:
        """Return the channel and the average true range."""
        return {name: value_of(line) for name, line in self._lines[symbol].items()}

    def _params(self, symbol: str) -> BreakoutParams:
        params: BreakoutParams = self.desk.account.traded[symbol].params
        return params
