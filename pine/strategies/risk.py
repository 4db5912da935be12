"""Limits of a strategy, judged on its account alone."""

from typing import Any

from attrs import frozen

from pine.strategies.account import Account


@frozen
class RiskRules:
    """How many positions, and how much loss a session may bring.

    Attributes
    ----------
    max_positions
        Most symbols that may be busy at once; an order on its way holds its place.
    daily_stop_loss
        Dollars of realised loss in the present session from which nothing new is entered. The next session
        starts from zero, traded or not.
    """

    max_positions: int
    daily_stop_loss: float

    def facts(self, account: Account, step: int) -> dict[str, Any]:
        """Return how far the limits are used at `step` (ns), for an entry's record."""
        return {
            "busy": len(account.busy()),
            "max_positions": self.max_positions,
            "day_pnl": account.day_pnl(step),
            "daily_stop_loss": self.daily_stop_loss,
        }

    def refusal(self, account: Account, symbol: str, step: int) -> str | None:
        """Return why `symbol` must not be entered at `step` (ns), or nothing if it may."""
        busy = account.busy()
        if symbol in busy:
            return "already open or on its way"
        if account.day_pnl(step) <= -self.daily_stop_loss:
            return f"daily stop: {account.day_pnl(step):.2f} of -{self.daily_stop_loss:.2f} dollars"
        if len(busy) >= self.max_positions:
            return f"max positions: {len(busy)} of {self.max_positions}"
        return None
