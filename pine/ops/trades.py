"""The blotter: what each strategy traded, ready for JSON."""

from collections.abc import Iterable
from typing import Any, Final

from pine.bus.client import Client
from pine.core.times import isoformat
from pine.orders.ledger import Deliveries, read_ledger
from pine.orders.trades import Blotter, Trade

COLUMNS: Final = (
    "strategy",
    "symbol",
    "contract",
    "side",
    "quantity",
    "entered",
    "entry_price",
    "left",
    "exit_price",
    "commission",
    "pnl",
    "entry_reason",
    "exit_reason",
    "entry",
    "entry_state",
    "exit",
    "exit_state",
)
"""What is told of a trade."""


def list_trades(client: Client, strategies: Iterable[str], begin: int = 0, end: int = 1 << 62) -> list[dict[str, Any]]:
    """Return the finished trades of some strategies that were left from `begin` on and before `end` (ns), in order."""
    found = []
    for strategy in strategies:
        blotter = Blotter.of(entry for _, entry in read_ledger(client, strategy))
        deliveries = Deliveries.read(client, strategy)
        found += [
            (trade.left, _shown(strategy, trade, deliveries)) for trade in blotter.trades if begin <= trade.left < end
        ]
    return [shown for _, shown in sorted(found, key=lambda one: (one[0], one[1]["strategy"], one[1]["symbol"]))]


def _shown(strategy: str, trade: Trade, deliveries: Deliveries) -> dict[str, Any]:
    return {
        "strategy": strategy,
        "symbol": trade.symbol,
        "contract": trade.contract,
        "side": "long" if trade.side > 0 else "short",
        "quantity": trade.quantity,
        "entered": isoformat(trade.entered),
        "entry_price": trade.entry_price,
        "left": isoformat(trade.left),
        "exit_price": trade.exit_price,
        "commission": trade.commission,
        "pnl": round(trade.pnl, 2),
        "entry_reason": trade.entry_reason,
        "exit_reason": trade.exit_reason,
        "entry": trade.entry,
        "entry_state": deliveries.state(trade.entry),
        "exit": trade.exit,
        "exit_state": deliveries.state(trade.exit),
    }


def sums(trades: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each strategy how many trades there were, how many won, and what they brought in dollars."""
    found: dict[str, dict[str, Any]] = {}
    for trade in trades:
        total = found.setdefault(trade["strategy"], {"trades": 0, "won": 0, "pnl": 0.0, "commission": 0.0})
        total["trades"] += 1
        total["won"] += trade["pnl"] > 0
        total["pnl"] = round(total["pnl"] + trade["pnl"], 2)
        total["commission"] = round(total["commission"] + trade["commission"], 2)
    return found
