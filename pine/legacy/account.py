"""The reference's own paper account: positions, orders on their way, cash, and the session's profit."""

from collections.abc import Mapping

from attrs import define, field

from pine.core.config import TradedInstrument
from pine.core.errors import PineError
from pine.core.period import SessionRule, session
from pine.orders.entries import Fill, Intent
from pine.strategies.account import Position


@define
class PaperAccount:
    """One position a symbol, market orders only.

    Parameters
    ----------
    cash
        Dollars at the start.
    traded
        Point values and commissions, by symbol.
    day
        Sessions by which the day's profit counts; the next one starts from zero, traded or not.
    """

    cash: float
    traded: Mapping[str, TradedInstrument]
    day: SessionRule
    positions: dict[str, Position] = field(factory=dict)
    working: dict[str, Intent] = field(factory=dict)
    trades: int = 0
    realised: float = 0.0
    _today: tuple[int, float] = (0, 0.0)

    def busy(self) -> set[str]:
        """Return the symbols with a position open or an order on its way."""
        return set(self.positions) | set(self.working)

    def day_pnl(self, ts: int) -> float:
        """Return the dollars realised in the session that holds an instant, in ns."""
        start, dollars = self._today
        return dollars if start == session(ts, self.day).start else 0.0

    def order(self, intent: Intent) -> None:
        """Take an order; a symbol has one at a time.

        Raises
        ------
        PineError
            If there is one on its way already.
        """
        if intent.symbol in self.working:
            raise PineError(f"{intent.id}: {self.working[intent.symbol].id} is still on its way")
        self.working[intent.symbol] = intent

    def fill(self, symbol: str, price: float, time: int) -> Fill:
        """Fill a symbol's order at a price; `time` is the start (ns) of the minute it fills in."""
        intent = self.working.pop(symbol)
        cost = self.traded[symbol].commission * intent.quantity
        self.cash -= cost
        return self._opened(intent, price, time, cost) if intent.is_entry else self._closed(intent, price, time, cost)

    def _opened(self, intent: Intent, price: float, time: int, cost: float) -> Fill:
        side = 1 if intent.action == "buy" else -1
        quantity = side * intent.quantity
        judged = intent.facts.get("model")
        self.positions[intent.symbol] = Position(
            intent.symbol, intent.contract, quantity, price, time, intent.id, cost, judged
        )
        return Fill(intent.id, intent.symbol, intent.contract, side, intent.quantity, price, time, cost)

    def _closed(self, intent: Intent, price: float, time: int, cost: float) -> Fill:
        position = self.positions.pop(intent.symbol)
        points = (price - position.price) * position.quantity
        gross = points * self.traded[intent.symbol].point_value
        pnl = gross - cost - position.commission
        self.cash += gross
        self.realised += pnl
        self.trades += 1
        self._today = (session(time, self.day).start, self.day_pnl(time) + pnl)
        side = -1 if position.quantity > 0 else 1
        return Fill(intent.id, intent.symbol, intent.contract, side, intent.quantity, price, time, cost, pnl)
