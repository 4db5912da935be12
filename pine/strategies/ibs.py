"""The IBS strategy on Backtrader."""

from typing import Any

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.strategies.base import BaseStrategy
from pine.strategies.ibs_rules import IbsParams, IbsState, entry_facts, exit_reason


class IbsStrategy(BaseStrategy):
    """Buys weak hourly closes and sells on strength, in every instrument of the strategy."""

    Params = IbsParams
    timeframes = (Timeframe.HOUR, Timeframe.DAY)

    def __init__(self) -> None:
        self._states = {symbol: IbsState(traded.params) for symbol, traded in self.surroundings.traded.items()}

    def on_bar(self, bar: Bar) -> None:
        """Judge one instrument once per completed hourly bar."""
        if bar.timeframe is not Timeframe.HOUR:
            return
        state = self._states[bar.symbol]
        state.update(bar)
        seen: dict[str, Any] = {"ibs": state.ibs}
        position = self.surroundings.account.positions.get(bar.symbol)
        if position is not None:
            verdict = exit_reason(state, position)
            if verdict is not None:
                seen["signal"] = verdict[0]
                self.surroundings.exit(bar.symbol, *verdict)
        elif (facts := entry_facts(state)) is not None:
            seen["signal"] = "IBS entry"
            self.surroundings.enter(bar.symbol, "IBS entry", facts)
        self.surroundings.observe(bar.symbol, seen)
