"""Reading a strategy's ledger and deliveries."""

from collections.abc import Iterator
from typing import Final

from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.errors import WentBack
from pine.core.log import get_logger
from pine.orders.entries import Entry, decode

NOTHING: Final = "0-0"
NEVER_POSTED: Final = frozenset({"rejected", "expired", "blocked", "not posted"})
"""States of a delivery that nothing came of: an entry's paper position may be voided."""
SETTLED: Final = NEVER_POSTED | {"posted", "skipped"}
"""States after which a courier has nothing left to do."""
_FINAL: Final = ("posted", "rejected", "expired", "blocked", "skipped", "not posted")
_FINALITY: Final = {"": 0, "attempt": 1, "retry": 1, "unknown": 2, **dict.fromkeys(_FINAL, 3)}
"""How much a state settles."""

log = get_logger(__name__)


def role(strategy: str) -> str:
    """Return the role of a strategy's courier."""
    return f"courier:{strategy}"


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
    text
        What came of the newest try, in words; an attempt on its way has none yet.
    tried_at
        Wall time of the first attempt in ns, if there was one.
    """

    state: str = ""
    attempts: int = 0
    status: int | None = None
    text: str = ""
    tried_at: int | None = None


@define
class Deliveries:
    """The fold of a strategy's deliveries, by intent; also when posts were tried, in ns."""

    by_intent: dict[str, Delivery] = field(factory=dict)
    attempts_at: list[int] = field(factory=list)
    unreadable: int = 0

    last_id: str = NOTHING

    @classmethod
    def read(cls, client: Client, strategy: str) -> "Deliveries":
        """Fold everything recorded so far."""
        deliveries = cls()
        deliveries.refresh(client, strategy)
        return deliveries

    def refresh(self, client: Client, strategy: str) -> None:
        """Fold what was recorded since the last look, by whomever.

        Raises
        ------
        WentBack
            If the record that was read last is gone; deliveries are never trimmed.
        """
        stream, known = keys.deliveries(strategy), self.last_id
        entries = streams.read_range(client, stream, known)
        if known != NOTHING and next(entries, ("nothing", {}))[0] != known:
            raise WentBack(f"{stream}: expected {known}, which was there before")
        for identifier, fields in entries:
            self.last_id = identifier
            wrong = self._try(fields)
            if wrong:
                # Somebody wrote it by hand. It must not keep the courier from posting what it owes.
                self.unreadable += 1
                place = {"stream": stream, "id": identifier, "reason": wrong}
                log.error("delivery record left out, it cannot be read", **place)

    def _try(self, fields: dict[bytes, bytes]) -> str:
        """Fold one record if it can be read; return why not."""
        try:
            self.apply({name.decode(): value.decode() for name, value in fields.items()})
        except (KeyError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def lacks(self, intent: str, delivery: Delivery) -> bool:
        """Tell whether somebody who knows of a delivery knows more of it than is recorded here."""
        return _FINALITY[delivery.state] > _FINALITY[self.state(intent)]

    def apply(self, fields: dict[str, str]) -> None:
        """Fold one record; raises KeyError or ValueError, and changes nothing, if it is none."""
        intent, state = fields["intent"], fields["state"]
        if state not in _FINALITY:
            raise ValueError(f"state: found {state!r}, expected one of {', '.join(filter(None, _FINALITY))}")
        status = int(fields["status"]) if fields.get("status") else None
        tried_at = [int(fields["at"])] if state == "attempt" else []
        delivery = self.by_intent.setdefault(intent, Delivery())
        delivery.state = state
        delivery.attempts += len(tried_at)
        self.attempts_at += tried_at
        if tried_at and delivery.tried_at is None:
            delivery.tried_at = tried_at[0]
        if state != "attempt":
            delivery.text = fields.get("text", "")
        if status is not None:
            delivery.status = status

    def attempts(self, intent: str) -> int:
        """Return how often posting an intent was tried."""
        known = self.by_intent.get(intent)
        return known.attempts if known else 0

    def state(self, intent: str) -> str:
        """Return the state of an intent, empty if nothing was tried."""
        known = self.by_intent.get(intent)
        return known.state if known else ""
