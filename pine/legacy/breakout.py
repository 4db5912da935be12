"""The channel breakout for the reference: Backtrader's own highest and lowest."""

from typing import Any

import backtrader as bt

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.legacy.indicators import value_of
from pine.legacy.record import Facts
from pine.legacy.strategy import ReferenceStrategy
from pine.strategies.breakout_rules import BreakoutParams


class LegacyBreakout(ReferenceStrategy):
    """Buys closes above the channel of the hours before, sells below the shorter one or the stop."""

    timeframes = (Timeframe.HOUR,)

    def __init__(self) -> None:
        super().__init__()
        self._upper: dict[str, Any] = {}
        self._lower: dict[str, Any] = {}
        for symbol in self.traded:
            hour: Any = self.feeds[(symbol, Timeframe.HOUR)]
            params = self._params(symbol)
            self._upper[symbol] = bt.indicators.Highest(hour.high(-1), period=params.entry_hours)
            self._lower[symbol] = bt.indicators.Lowest(hour.low(-1), period=params.exit_hours)

    def on_bar(self, bar: Bar) -> None:
        """Judge one symbol once per completed hour."""
        facts = {"close": bar.close, **self.features(bar.symbol)}
        upper, lower = facts["upper"], facts["lower"]
        self.observe(bar.symbol, facts)
        position = self.desk.account.positions.get(bar.symbol)
        if position is None:
            if upper is not None and bar.close > upper:
                self.enter(bar.symbol, "breakout", facts)
        elif bar.close <= position.price * (1 - self._params(bar.symbol).stop_percent / 100):
            self.desk.exit(bar.symbol, "stop loss", facts)
        elif lower is not None and bar.close < lower:
            self.desk.exit(bar.symbol, "channel exit", facts)

    def features(self, symbol: str) -> Facts:
        """Return the channel."""
        return {"upper": value_of(self._upper[symbol]), "lower": value_of(self._lower[symbol])}

    def _params(self, symbol: str) -> BreakoutParams:
        params: BreakoutParams = self.desk.account.traded[symbol].params
        return params
