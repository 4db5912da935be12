"""What the broker should hold by what was posted: the fold of intents whose webhook was taken, and of corrections."""

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import define, field

from pine.bus.client import Client
from pine.orders.entries import Correction, Entry, Intent
from pine.orders.ledger import Deliveries, read_ledger

UNDER_WAY: Final = frozenset({"", "attempt", "retry"})
"""States of a delivery that will still become another."""


@define
class Sent:
    """Positions as they were sent.

    Attributes
    ----------
    quantities
        Contracts by symbol and contract, negative when short; none is 0.
    unsettled
        By symbol the newest intent that is still to be posted, or whose outcome is not known.
    """

    quantities: dict[tuple[str, str], int] = field(factory=dict)
    unsettled: dict[str, str] = field(factory=dict)

    def of(self, symbol: str) -> dict[str, int]:
        """Return the contracts of a symbol."""
        return {contract: quantity for (root, contract), quantity in self.quantities.items() if root == symbol}


def sent_positions(entries: Iterable[Entry], state: Mapping[str, str]) -> Sent:
    """Return what was sent.

    Parameters
    ----------
    entries
        A ledger, in order.
    state
        The state of each delivery by intent; one that is not there was not tried yet.
    """
    sent = Sent()
    for entry in entries:
        if isinstance(entry, Correction):
            for contract in sent.of(entry.symbol):
                del sent.quantities[(entry.symbol, contract)]
            sent.unsettled.pop(entry.symbol, None)  # whoever said it has looked
            if entry.quantity:
                sent.quantities[(entry.symbol, entry.contract)] = entry.quantity
        elif isinstance(entry, Intent):
            _send(sent, entry, state.get(entry.id, ""))
    return sent


def sent_by(client: Client, strategy: str) -> Sent:
    """Return what a strategy has sent, by what is on the server."""
    known = Deliveries.read(client, strategy).by_intent
    states = {intent: delivery.state for intent, delivery in known.items()}
    return sent_positions((entry for _, entry in read_ledger(client, strategy)), states)


def _send(sent: Sent, intent: Intent, state: str) -> None:
    if state in UNDER_WAY or state == "unknown":
        sent.unsettled[intent.symbol] = intent.id
    if state != "posted":
        return
    key = (intent.symbol, intent.contract)
    if intent.is_entry:
        signed = intent.quantity if intent.action == "buy" else -intent.quantity
        sent.quantities[key] = sent.quantities.get(key, 0) + signed
    else:
        sent.quantities.pop(key, None)  # an exit closes whatever is open
    if not sent.quantities.get(key, 0):
        sent.quantities.pop(key, None)
