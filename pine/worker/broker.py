"""Backtrader's view of the account: positions and cash are the fold of the ledger."""

from typing import Any, Final

import backtrader as bt

from pine.core.errors import PineError
from pine.feeds.backtrader import symbol_of
from pine.orders.desk import Desk
from pine.strategies.base import Surroundings

_NOT_MARKET: Final = ("plimit", "valid", "oco", "parent", "trailamount", "trailpercent")


class LedgerBroker(bt.BrokerBase):  # type: ignore[misc]
    """Lets a strategy written for Backtrader see its cash and positions, and place market orders.

    Orders become intents as the strategy's own do; there is no other kind of order than market, and no price
    simulation in here: fills come from the desk, minute by minute.
    """

    def __init__(self, desk: Desk, surroundings: Surroundings) -> None:
        super().__init__()
        self._desk = desk
        self._surroundings = surroundings
        self.startingcash = desk.portfolio.cash

    def getcash(self) -> float:
        """Return the paper account's cash in dollars."""
        return self._desk.portfolio.cash

    def getvalue(self, datas: Any = None) -> float:  # noqa: ARG002  # Backtrader's signature
        """Return cash plus open profit in dollars."""
        return self._desk.value()

    def getposition(self, data: Any) -> Any:
        """Return the position in the symbol of a feed."""
        position = self._desk.portfolio.positions.get(symbol_of(data))
        return bt.Position(position.quantity, position.price) if position else bt.Position(0, 0.0)

    def get_notification(self) -> None:
        """Return nothing: fills are read from the account."""

    def buy(self, owner: Any, data: Any, size: float, exectype: Any = None, **kwargs: Any) -> Any:
        """Open a long, or close a short, at the market."""
        return self._order(bt.BuyOrder, owner, data, size, exectype, kwargs)

    def sell(self, owner: Any, data: Any, size: float, exectype: Any = None, **kwargs: Any) -> Any:
        """Close a long, or open a short, at the market."""
        return self._order(bt.SellOrder, owner, data, size, exectype, kwargs)

    def submit(self, order: Any) -> Any:
        """Refuse: orders are made by `buy` and `sell`."""
        raise PineError(f"order {order.ref}: the ledger's broker takes orders through buy and sell")

    def cancel(self, order: Any) -> None:
        """Refuse: an intent is a fact once it is in the ledger."""
        raise PineError(f"order {order.ref}: an intent cannot be cancelled")

    def _order(self, kind: Any, owner: Any, data: Any, size: float, exectype: Any, extra: dict[str, Any]) -> Any:
        symbol, short = symbol_of(data), kind is bt.SellOrder
        order = kind(owner=owner, data=data, size=size, exectype=bt.Order.Market, simulated=True)
        reason = extra.get("reason") or ("sell" if short else "buy")
        position = self._desk.portfolio.positions.get(symbol)
        self._check(symbol, size, exectype, extra)
        closes = position is not None and (position.quantity > 0) is short
        ask = self._surroundings
        intent = ask.exit(symbol, reason, {}) if closes else ask.enter(symbol, reason, {}, short=short)
        if intent is None:
            order.reject(self)
        else:
            order.addinfo(intent=intent)
            order.accept(self)
        return order

    def _check(self, symbol: str, size: float, exectype: Any, extra: dict[str, Any]) -> None:
        """Refuse what would be done otherwise than the strategy says."""
        if exectype not in (None, bt.Order.Market) or any(extra.get(name) is not None for name in _NOT_MARKET):
            raise PineError(f"order on {symbol}: only market orders are known")
        configured = self._desk.instrument(symbol, read=True).size
        position = self._desk.portfolio.positions.get(symbol)
        if size not in (1, configured, abs(position.quantity) if position else 1):  # 1 is Backtrader's "not said"
            raise PineError(f"order on {symbol}: found size {size}, expected none: the configuration says {configured}")
