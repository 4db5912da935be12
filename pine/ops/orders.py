"""Intents with the state of their posting, and what an operator knows better."""

import time
from collections.abc import Container, Iterable
from typing import Any, Final

from pine.bus import keys
from pine.bus.client import Client
from pine.core.errors import PineError
from pine.core.times import isoformat
from pine.orders.entries import Fill, Intent, Void
from pine.orders.ledger import Deliveries, Delivery, read_ledger
from pine.orders.requests import ask_void

PAPER_ONLY: Final = "paper only"
"""State of an intent that is never posted: its strategy has no webhook."""


def list_orders(client: Client, strategies: Iterable[str], posting: Container[str]) -> list[dict[str, Any]]:
    """Return every intent of some strategies, oldest first, with fill and delivery; ready for JSON.

    Parameters
    ----------
    client
        Connection to the server.
    strategies
        Whose.
    posting
        The strategies that have a webhook.
    """
    found = []
    for strategy in strategies:
        entries = [entry for _, entry in read_ledger(client, strategy)]
        fills = {entry.intent: entry for entry in entries if isinstance(entry, Fill)}
        voids = {entry.intent: entry for entry in entries if isinstance(entry, Void)}
        deliveries = Deliveries.read(client, strategy)
        for intent in entries:
            if isinstance(intent, Intent):
                fill, void = fills.get(intent.id), voids.get(intent.id)
                delivery = deliveries.by_intent.get(intent.id, Delivery())
                found.append(
                    {
                        "intent": intent.id,
                        "strategy": strategy,
                        "symbol": intent.symbol,
                        "time": isoformat(intent.step),
                        "action": intent.action,
                        "quantity": intent.quantity,
                        "contract": intent.contract,
                        "ticker": intent.ticker,
                        "price": intent.price,
                        "reason": intent.reason,
                        "state": delivery.state or ("owed" if strategy in posting else PAPER_ONLY),
                        "attempts": delivery.attempts,
                        "status": delivery.status,
                        "text": delivery.text,
                        "entry": intent.entry,
                        "filled": None if fill is None else isoformat(fill.time),
                        "fill": None if fill is None else fill.price,
                        "pnl": None if fill is None or fill.pnl is None else round(fill.pnl, 2),
                        "void": None if void is None else void.reason,
                    }
                )
    return sorted(found, key=lambda order: (order["time"], order["strategy"], order["intent"]))


def resolve(client: Client, strategy: str, intent: str, *, posted: bool, who: str) -> None:
    """Settle an intent whose outcome is unknown.

    Parameters
    ----------
    client
        Connection to the server.
    strategy, intent
        Whose, and which.
    posted
        Whether the broker took it. If not, an entry is voided: the worker takes the paper position back.
    who
        Name of the operator, for the record.

    Raises
    ------
    PineError
        If there is no such intent, or its outcome is not unknown.
    """
    known = {entry.id: entry for _, entry in read_ledger(client, strategy) if isinstance(entry, Intent)}
    if intent not in known:
        raise PineError(f"intent {intent!r}: {strategy} has none of that id; pine orders {strategy} lists them")
    state = Deliveries.read(client, strategy).state(intent)
    if state != "unknown":
        raise PineError(f"intent {intent}: is {state or 'owed'}, and only an unknown one can be resolved")
    record = {
        "intent": intent,
        "state": "posted" if posted else "not posted",
        "status": "",
        "text": f"resolved by {who}",
        "at": str(time.time_ns()),
    }
    both = client.pipeline(transaction=True)  # a void that is never asked for could not be asked for again
    both.xadd(keys.deliveries(strategy), record)
    if not posted and known[intent].is_entry:
        both.xadd(keys.control(strategy), {**ask_void(intent, f"not posted, said {who}")})
    both.execute()
