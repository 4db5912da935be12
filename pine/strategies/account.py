"""What a strategy may know of its account."""

from collections.abc import Mapping
from typing import Any, Protocol

from attrs import frozen


@frozen
class Position:
    """An open position in one contract.

    Attributes
    ----------
    quantity
        Contracts, negative when short.
    price
        Fill price of the entry, in points.
    entered
        Start in ns of the minute that filled it.
    entry
        Id of the intent that opened it.
    commission
        Dollars that the entry cost.
    model
        What the entry's intent says of the model that let it pass; nothing without one. Its exit says it again.
    """

    symbol: str
    contract: str
    quantity: int
    price: float
    entered: int
    entry: str
    commission: float = 0.0
    model: Mapping[str, Any] | None = None


class Account(Protocol):
    """Positions, orders on their way, and the day's profit."""

    @property
    def positions(self) -> Mapping[str, Position]:
        """Open positions by symbol."""
        ...

    def busy(self) -> set[str]:
        """Return the symbols with a position open or an order on its way."""
        ...

    def day_pnl(self, ts: int) -> float:
        """Return the dollars realised in the session that holds an instant, in ns."""
        ...
