"""Two strategies of one's own; pine.yaml beside this file runs them."""

import backtrader as bt
from attrs import frozen

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.strategies.base import BacktraderStrategy, BaseStrategy


class Crossing(BacktraderStrategy):
    """Holds an instrument while its fast average is above its slow one: a Backtrader strategy as any other."""

    @frozen
    class Params:
        """Hours of each average."""

        fast: int = 5
        slow: int = 20

    timeframes = (Timeframe.HOUR,)

    def __init__(self) -> None:
        self.above = {}
        for data in self.datas:
            p = self.params_of(data)
            self.above[data] = bt.indicators.SMA(data, period=p.fast) - bt.indicators.SMA(data, period=p.slow)

    def next(self) -> None:
        """Decide; Backtrader calls it when every average has its hours."""
        for data in self.datas:
            if not self.getposition(data) and self.above[data][0] > 0:
                self.buy(data=data)
            elif self.getposition(data) and self.above[data][0] < 0:
                self.close(data=data)


class Bounce(BaseStrategy):
    """Buys an hour that closes above its open after two that did not; sells the next that does not."""

    def __init__(self) -> None:
        self.falls = dict.fromkeys(self.surroundings.traded, 0)

    def on_bar(self, bar: Bar) -> None:
        """Decide on one completed hour."""
        rises, falls = bar.close > bar.open, self.falls[bar.symbol]
        self.falls[bar.symbol] = 0 if rises else falls + 1
        if rises and falls >= 2:
            self.surroundings.enter(bar.symbol, "bounce", {"falls": falls})
        elif not rises:
            self.surroundings.exit(bar.symbol, "fall", {})
