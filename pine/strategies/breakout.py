"""The channel breakout strategy on Backtrader."""

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.strategies.base import BaseStrategy
from pine.strategies.breakout_rules import BreakoutParams, Channel


class BreakoutStrategy(BaseStrategy):
    """Buys closes above the channel and sells closes below it or the stop."""

    Params = BreakoutParams
    timeframes = (Timeframe.HOUR,)

    def __init__(self) -> None:
        self._channels = {symbol: Channel(traded.params) for symbol, traded in self.surroundings.traded.items()}

    def on_bar(self, bar: Bar) -> None:
        """Judge one instrument once per completed hourly bar."""
        channel = self._channels[bar.symbol]
        channel.update(bar)
        facts = {"close": bar.close, "upper": channel.upper, "lower": channel.lower, "atr": channel.atr}
        self.surroundings.observe(bar.symbol, facts)
        position = self.surroundings.account.positions.get(bar.symbol)
        if position is None:  # without an average true range there is no stop, and without a stop no entry
            if channel.upper is not None and channel.atr is not None and bar.close > channel.upper:
                self.surroundings.enter(bar.symbol, "breakout", facts)
        elif (stop := channel.stop(position.price)) is not None and bar.close <= stop:
            self.surroundings.exit(bar.symbol, "stop loss", {**facts, "entry_price": position.price, "stop": stop})
        elif channel.lower is not None and bar.close < channel.lower:
            self.surroundings.exit(bar.symbol, "channel exit", facts)
