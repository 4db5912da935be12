"""Requests of operators and couriers, booked in a ledger at its last step, so that a replay books them there too."""

import time
from typing import Any, Final

from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.log import get_logger
from pine.orders.desk import Desk
from pine.orders.entries import Asked, Control, Correction, Entry, Void
from pine.orders.ledger import NEVER_POSTED, Deliveries
from pine.orders.requests import read_request
from pine.orders.sent import sent_by
from pine.worker.pen import Pen, tell

CONTROL_GROUP: Final = "worker"
CONTROL_SECONDS: Final = 0.25

log = get_logger(__name__)


@define
class Booking:
    """What was asked of a strategy, and what of it is booked.

    Parameters
    ----------
    config, strategy, client
        Of whom something is asked, and where.
    consumer
        As whom the requests are read.
    desk
        The account to which they happen.
    pen
        Writes the ledger.
    """

    config: Config
    strategy: str
    client: Client
    consumer: str
    desk: Desk
    pen: Pen
    _booked: set[str] = field(factory=set)
    _looked_at: float = 0.0

    def open(self) -> None:
        """Make sure that requests can be read, and forget who read them before."""
        stream = keys.control(self.strategy)
        streams.ensure_group(self.client, stream, CONTROL_GROUP)
        streams.forget_predecessors(self.client, stream, CONTROL_GROUP, self.consumer)

    def restore(self, entry: Entry) -> None:
        """Know of an entry of the ledger that it was asked for."""
        if isinstance(entry, Asked):
            self._booked.add(entry.request)

    def look(self, ms: int) -> None:
        """Book what is asked, at the last step (ms); not more often than four times a second."""
        if time.monotonic() - self._looked_at >= CONTROL_SECONDS:
            self._looked_at = time.monotonic()
            self.book_all(ms)

    def book_all(self, ms: int) -> None:
        """Book everything that is asked, at the last step (ms)."""
        stream = keys.control(self.strategy)
        entries = streams.claim_predecessors(self.client, stream, CONTROL_GROUP, self.consumer)
        entries += streams.read_group(self.client, stream, CONTROL_GROUP, self.consumer, count=100)
        for identifier, fields in entries:
            asked = self._allowed(read_request(identifier, fields))
            if asked is not None and identifier not in self._booked:
                self._book(ms, identifier, asked)
            self.pen.writer.acknowledge(stream, CONTROL_GROUP, identifier)
            self.pen.commit()

    def _book(self, ms: int, identifier: str, asked: Asked) -> None:
        """Add what a request means to the present write, after what the last step left in the ledger."""
        entries = self.desk.book(asked)
        self.pen.add(ms, entries)
        self._booked.add(identifier)
        log.info("booked", request=identifier, entry=type(asked).__name__, **_named(asked))
        tell(entries)

    def _allowed(self, asked: Asked | None) -> Asked | None:
        """Return a request unless it would void what may have been posted, or correct what is not traded."""
        if isinstance(asked, Void):
            state = Deliveries.read(self.client, self.strategy).state(asked.intent)
            if state not in NEVER_POSTED:
                fields = {"request": asked.request, "intent": asked.intent, "delivery": state or "none"}
                log.error("void refused: nothing on record says that it was not posted", **fields)
                return None
        if isinstance(asked, Correction) and (wrong := self._wrong(asked)):
            log.error("correction refused", request=asked.request, symbol=asked.symbol, reason=wrong)
            return None
        return asked

    def _wrong(self, asked: Correction) -> str | None:
        """Return why a position cannot be taken over, or nothing."""
        if asked.symbol not in self.desk.traded:
            return "the symbol is not traded"
        leads = self.desk.leading(asked.symbol)
        if asked.quantity and asked.contract != leads:
            return f"found contract {asked.contract}, expected the one that leads now: {leads or 'none yet'}"
        if not asked.force and (order := self._on_its_way(asked.symbol)):
            return f"{order} is on its way"
        return None

    def _on_its_way(self, symbol: str) -> str | None:
        """Return an order of a symbol that is not filled, or not posted for good; nothing if there is none."""
        pending = self.desk.portfolio.pending(symbol)
        if pending or not self.config.strategies[self.strategy].webhook:
            return pending[0].id if pending else None
        return sent_by(self.client, self.strategy).unsettled.get(symbol)


def _named(asked: Asked) -> dict[str, Any]:
    """Return what a log should say of a request."""
    if isinstance(asked, Void):
        return {"intent": asked.intent}
    if isinstance(asked, Control):
        return {"order": asked.order, "who": asked.who, "why": asked.reason}
    return {"position": f"{asked.quantity:+d} {asked.contract or asked.symbol}", "who": asked.who}
