"""Reading a strategy's ledger and deliveries."""

from collections.abc import Iterator

from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.orders.entries import Entry, decode


def read_ledger(client: Client, strategy: str, first: str = "-") -> Iterator[tuple[str, Entry]]:
    """Yield id and content of every entry of a ledger from an id on, oldest first."""
    for identifier, fields in streams.read_range(client, keys.ledger(strategy), first):
        yield identifier, decode(streams.field_of(keys.ledger(strategy), fields, "entry"))


@define
class Delivery:
    """How far the posting of one intent has come.

    Attributes
    ----------
    state
        ``attempt`` (on its way), ``posted``, ``rejected``, ``expired``, ``blocked`` (by the kill switch), ``skipped``,
        ``unknown``, ``retry``, or ``not posted`` when an operator found out.
    attempts
        Posts tried so far.
    status
        Last HTTP status, if there was an answer.
    """

    state: str = ""
    attempts: int = 0
    status: int | None = None


@define
class Deliveries:
    """The fold of a strategy's deliveries, by intent; also when posts were tried, in ns."""

    by_intent: dict[str, Delivery] = field(factory=dict)
    attempts_at: list[int] = field(factory=list)

    last_id: str = "0-0"

    @classmethod
    def read(cls, client: Client, strategy: str) -> "Deliveries":
        """Fold everything recorded so far."""
        deliveries = cls()
        deliveries.refresh(client, strategy)
        return deliveries

    def refresh(self, client: Client, strategy: str) -> None:
        """Fold what was recorded since the last look, by whomever."""
        for identifier, fields in streams.read_range(client, keys.deliveries(strategy), f"({self.last_id}"):
            self.apply({name.decode(): value.decode() for name, value in fields.items()})
            self.last_id = identifier

    def apply(self, fields: dict[str, str]) -> None:
        """Fold one record."""
        delivery = self.by_intent.setdefault(fields["intent"], Delivery())
        delivery.state = fields["state"]
        if delivery.state == "attempt":
            delivery.attempts += 1
            self.attempts_at.append(int(fields["at"]))
        if fields.get("status"):
            delivery.status = int(fields["status"])

    def attempts(self, intent: str) -> int:
        """Return how often posting an intent was tried."""
        known = self.by_intent.get(intent)
        return known.attempts if known else 0

    def state(self, intent: str) -> str:
        """Return the state of an intent, empty if nothing was tried."""
        known = self.by_intent.get(intent)
        return known.state if known else ""
