"""Strategies that only the rows use."""

import time
from typing import ClassVar

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.strategies.base import BaseStrategy
from pine.strategies.ibs_rules import internal_bar_strength

WEAK, STRONG = 0.1, 0.9
"""Internal bar strength at or below which `MinuteIbs` buys, and at or above which it sells."""


class MinuteIbs(BaseStrategy):
    """Decides at every minute: buys a weak close, sells a strong one."""

    timeframes: ClassVar[tuple[Timeframe, ...]] = (Timeframe.MINUTE,)

    def on_bar(self, bar: Bar) -> None:
        """Judge a minute."""
        strength = internal_bar_strength(bar.high, bar.low, bar.close)
        self.surroundings.observe(bar.symbol, {"ibs": strength})
        if bar.symbol in self.surroundings.account.positions:
            if strength >= STRONG:
                self.surroundings.exit(bar.symbol, "strong", {"ibs": strength})
        elif strength <= WEAK:
            self.surroundings.enter(bar.symbol, "weak", {"ibs": strength})


class Stamping(BaseStrategy):
    """Decides at every minute, and writes into its flight record when, by the monotonic clock, in ns."""

    timeframes: ClassVar[tuple[Timeframe, ...]] = (Timeframe.MINUTE,)

    def on_bar(self, bar: Bar) -> None:
        """Ask for a position or for its end, then look at the clock: no decision depends on that."""
        if bar.symbol in self.surroundings.account.positions:
            self.surroundings.exit(bar.symbol, "open", {"close": bar.close})
        else:
            self.surroundings.enter(bar.symbol, "flat", {"close": bar.close})
        self.surroundings.observe(bar.symbol, {"decided": time.monotonic_ns()})
