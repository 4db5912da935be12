"""One strategy's account, orders and halts, folded from its ledger and deliveries as far as they have come."""

from typing import Any, Final

from attrs import define, field

from pine.bus import streams
from pine.bus.client import Client
from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND
from pine.orders.entries import NO_REASON, Control, Correction, Entry, Intent
from pine.orders.ledger import SETTLED, Deliveries, Delivery, read_ledger
from pine.orders.portfolio import Portfolio
from pine.orders.sent import Sent, sent_positions

OVERDUE_S: Final = 30
"""An exit that has been owed for longer is not posted, whatever the courier does about it."""


@define
class Book:
    """One strategy's account, intents and deliveries; a second look reads only what is new."""

    strategy: str
    portfolio: Portfolio
    deliveries: Deliveries = field(factory=Deliveries)
    intents: dict[str, Intent] = field(factory=dict)
    sendings: list[Entry] = field(factory=list)
    halt: tuple[int, Control] | None = None
    last_id: str = "0-0"
    _owed_since: dict[str, int] = field(factory=dict)

    def refresh(self, client: Client) -> None:
        """Fold what was added since the last look."""
        for identifier, entry in read_ledger(client, self.strategy, f"({self.last_id}"):
            self.last_id = identifier
            self.portfolio.apply(entry)
            if isinstance(entry, Intent):
                self.intents[entry.id] = entry
            if isinstance(entry, Intent | Correction):
                self.sendings.append(entry)
            if isinstance(entry, Control):
                self._control(streams.ms_of(identifier) * NS_PER_MS, entry)
        self.deliveries.refresh(client, self.strategy)

    def _control(self, step: int, entry: Control) -> None:
        """Remember who halted; one who halts again and says nothing leaves the reason that is known."""
        if entry.order == "resume":
            self.halt = None
        elif entry.order == "halt" and (self.halt is None or entry.reason != NO_REASON):
            self.halt = (step, entry)

    def sent(self) -> Sent:
        """Return the positions that the broker should hold by what was posted."""
        known = {intent: delivery.state for intent, delivery in self.deliveries.by_intent.items()}
        return sent_positions(self.sendings, known)

    def owed(self) -> list[Intent]:
        """Return the intents that are still to be posted."""
        states = {intent: self.deliveries.state(intent) for intent in self.intents}
        return [self.intents[i] for i, state in states.items() if state not in SETTLED and state != "unknown"]

    def overdue(self, now: int, *, wall: bool) -> list[dict[str, Any]]:
        """Return the exits that have been owed for too long at a wall time in ns.

        An exit counts from its first attempt, and one that was never tried from the first look that saw it; the
        latter not on a tape, unless `wall`: what is owed from a day long past is only waited for.
        """
        exits = [intent for intent in self.owed() if not intent.is_entry]
        self._owed_since = {intent.id: self._owed_since.get(intent.id, now) for intent in exits}
        found = []
        for intent in exits:
            delivery = self.deliveries.by_intent.get(intent.id, Delivery())
            since = delivery.tried_at or (self._owed_since[intent.id] if wall else now)
            if now - since > OVERDUE_S * NS_PER_SECOND:
                found.append(
                    {
                        "intent": intent.id,
                        "quantity": intent.quantity,
                        "contract": intent.contract,
                        "owed_s": (now - since) // NS_PER_SECOND,
                        "attempts": delivery.attempts,
                        "text": delivery.text or ("no answer yet" if delivery.attempts else "not tried yet"),
                    }
                )
        return found
