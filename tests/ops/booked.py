"""A ledger of strategy ``a`` with one trade, and what became of its webhooks."""

from pine.bus import keys
from pine.bus.client import Client
from pine.orders.entries import Fill, Intent

STEP = 1_709_654_400_000_000_000
BUY = Intent("a-1", STEP, "ES", "buy", "ESH4", "ESH2024", 1, 5100.0, "IBS entry")
FILL = Fill("a-1", "ES", "ESH4", 1, 1, 5100.25, STEP, 1.25)
SELL = Intent("a-2", STEP + 1, "ES", "exit", "ESH4", "ESH2024", 1, 5110.0, "IBS exit", {}, "a-1")


def record(client: Client, intent: str, state: str, text: str = "") -> None:
    client.xadd(keys.deliveries("a"), {"intent": intent, "state": state, "status": "", "text": text, "at": "1"})
