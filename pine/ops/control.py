"""What an operator asks of a strategy: halt, resume, flatten, a position corrected. Booked between two steps.

A worker that lives books it, within half a second; where none does, this process takes the strategy's role for a
moment and books it itself. Hub and market data are not needed.
"""

import time
from typing import Any, Final

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.timeframe import NS_PER_MS
from pine.core.times import isoformat
from pine.orders.courier import SETTLED, role
from pine.orders.entries import Asked, Intent, Order
from pine.orders.ledger import Deliveries, read_ledger
from pine.orders.requests import ask_order

PATIENCE: Final = 10.0
"""Seconds that a worker is given to book a request, and a courier to post what follows from it."""

LOOK_SECONDS: Final = 0.05


@frozen
class Booked:
    """What became of a request.

    Attributes
    ----------
    request
        Its id in ``control:…``.
    step
        Ns of the step after which it holds; nothing while it is not booked yet.
    intents
        The exits that it led to, with the state of each one's webhook; ``paper only`` without one.
    waits_for
        Why it is not booked yet.
    """

    strategy: str
    order: str
    request: str
    step: int | None = None
    intents: tuple[tuple[Intent, str], ...] = ()
    waits_for: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "strategy": self.strategy,
            "order": self.order,
            "request": self.request,
            "step": None if self.step is None else isoformat(self.step),
            "exits": [
                {"intent": i.id, "contract": i.contract, "quantity": i.quantity, "price": i.price, "state": state}
                for i, state in self.intents
            ],
            "waits_for": self.waits_for,
        }


def ask(
    config: Config, client: Client, strategy: str, order: Order, *, who: str, reason: str, patience: float = PATIENCE
) -> Booked:
    """Have an order booked, by the strategy's worker or, where none lives, by this process.

    Parameters
    ----------
    config, client
        The configuration, and a connection to its server.
    strategy, order
        Of whom, and what.
    who, reason
        For the record.
    patience
        Seconds after which an answer without `Booked.step` is returned: the request stays and will be booked.

    Raises
    ------
    PineError
        If there is no such strategy.
    """
    return book(config, client, strategy, order, ask_order(order, who, reason), patience)


def book(
    config: Config,
    client: Client,
    strategy: str,
    order: str,
    fields: dict[str, bytes],
    patience: float = PATIENCE,
) -> Booked:
    """Have a request booked that `pine.orders.requests` wrote; the rest as in `ask`."""
    from pine.worker.alone import book_alone, courier_of
    from pine.worker.run import check_name

    check_name(config, strategy)
    courier = courier_of(config, strategy, client)
    before = _newest(client, strategy)
    request = client.xadd(keys.control(strategy), {**fields}).decode()
    deadline = time.monotonic() + patience
    while (found := _found(config, client, strategy, order, request, before)) is None:
        if not client.exists(keys.lease(f"worker:{strategy}")) and book_alone(config, strategy, client):
            continue
        if time.monotonic() > deadline or before is None:
            return Booked(strategy, order, request, waits_for=_waits_for(client, strategy, begun=before is not None))
        time.sleep(LOOK_SECONDS)  # a ledger tells nobody that it has grown
    while any(state not in _DONE for _, state in found.intents) and time.monotonic() < deadline:
        if not client.exists(keys.lease(role(strategy))):
            courier.look()
        time.sleep(LOOK_SECONDS)  # nor do deliveries
        found = _found(config, client, strategy, order, request, before) or found
    return found


_DONE: Final = SETTLED | {"unknown", "paper only"}


def _newest(client: Client, strategy: str) -> str | None:
    """Return the id of the newest entry of a ledger; nothing before the strategy's life has begun."""
    return streams.last_id(client, keys.ledger(strategy))


def _found(config: Config, client: Client, strategy: str, order: str, request: str, after: str | None) -> Booked | None:
    """Return what the ledger holds of a request and of what followed from it; nothing if it is not booked."""
    step: int | None = None
    exits: list[Intent] = []
    for identifier, entry in read_ledger(client, strategy, "-" if after is None else f"({after}"):
        if isinstance(entry, Asked) and entry.request == request:
            step = streams.ms_of(identifier) * NS_PER_MS
        elif isinstance(entry, Intent) and entry.id.endswith(f"-flatten-{request}"):
            exits.append(entry)
    if step is None:
        return None
    if not config.strategies[strategy].webhook:
        return Booked(strategy, order, request, step, tuple((intent, "paper only") for intent in exits))
    deliveries = Deliveries.read(client, strategy) if exits else Deliveries()
    return Booked(strategy, order, request, step, tuple((i, deliveries.state(i.id) or "owed") for i in exits))


def _waits_for(client: Client, strategy: str, *, begun: bool) -> str:
    if not begun:
        return "its worker has never run; the first one books it before its first step"
    beat = client.hget(keys.heartbeat(f"worker:{strategy}"), "status")
    holder = client.get(keys.lease(f"worker:{strategy}"))
    if holder is None:
        return "nobody could book it; try again"
    status = beat.decode() if beat is not None else "without a sign of life"
    return f"its worker ({holder.decode().rsplit('#', 1)[0]}) is {status} and books it next"


def known_strategies(config: Config, name: str | None, *, everybody: bool) -> list[str]:
    """Return the strategies that an order is for.

    Raises
    ------
    PineError
        If neither one nor all are named, or both.
    """
    if everybody == (name is not None):
        raise PineError(
            "name a strategy, or all with --all; configured are: " + (", ".join(config.strategies) or "none")
        )
    return list(config.strategies) if name is None else [name]
