"""What an operator asks of a strategy: halt, resume, flatten, a position corrected. Booked between two steps.

A worker that lives books it, within half a second; where none does, this process takes the strategy's role for a
moment and books it itself. Hub and market data are not needed.
"""

import time
from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.timeframe import NS_PER_MS
from pine.core.times import isoformat
from pine.orders.entries import Asked, Intent, Order
from pine.orders.ledger import SETTLED, Deliveries, read_ledger, role
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
    return ask_all(config, client, [(strategy, order)], who=who, reason=reason, patience=patience)[0]


def ask_all(
    config: Config,
    client: Client,
    orders: Iterable[tuple[str, Order]],
    *,
    who: str,
    reason: str,
    patience: float = PATIENCE,
) -> list[Booked]:
    """Have orders booked, each of a strategy: all are asked for before any is waited for; the rest as in `ask`."""
    asked = [Request.put(config, client, name, order, ask_order(order, who, reason)) for name, order in orders]
    deadline = time.monotonic() + patience
    return [request.follow(deadline) for request in asked]


@frozen(eq=False)
class Request:
    """Something that was asked for.

    Attributes
    ----------
    identifier
        Its id in ``control:…``.
    after
        Id of the newest entry of the ledger before it was asked for; nothing before the strategy's life has begun.
    """

    config: Config
    client: Client
    strategy: str
    order: str
    identifier: str
    after: str | None

    @classmethod
    def put(cls, config: Config, client: Client, strategy: str, order: str, fields: dict[str, bytes]) -> "Request":
        """Ask for what `pine.orders.requests` wrote.

        Raises
        ------
        PineError
            If there is no such strategy.
        """
        from pine.worker.run import check_name

        check_name(config, strategy)
        after = streams.last_id(client, keys.ledger(strategy))
        identifier = client.xadd(keys.control(strategy), {**fields}).decode()
        return cls(config, client, strategy, order, identifier, after)

    def follow(self, deadline: float) -> Booked:
        """Have it booked and what follows from it posted; return what has become of it at the latest at a deadline."""
        from pine.worker.alone import book_alone, courier_of

        courier = courier_of(self.config, self.strategy, self.client)
        while (found := self._found()) is None:
            if not self._is_led() and book_alone(self.config, self.strategy, self.client):
                continue
            if time.monotonic() > deadline or self.after is None:
                return Booked(self.strategy, self.order, self.identifier, waits_for=self._waits_for())
            time.sleep(LOOK_SECONDS)  # a ledger tells nobody that it has grown
        while any(state not in _DONE for _, state in found.intents) and time.monotonic() < deadline:
            if not self.client.exists(keys.lease(role(self.strategy))):
                courier.look()
            time.sleep(LOOK_SECONDS)  # nor do deliveries
            found = self._found() or found
        return found

    def _is_led(self) -> bool:
        return bool(self.client.exists(keys.lease(f"worker:{self.strategy}")))

    def _found(self) -> Booked | None:
        """Return what the ledger holds of it and of what followed from it; nothing if it is not booked."""
        step: int | None = None
        exits: list[Intent] = []
        for identifier, entry in read_ledger(
            self.client, self.strategy, "-" if self.after is None else f"({self.after}"
        ):
            if isinstance(entry, Asked) and entry.request == self.identifier:
                step = streams.ms_of(identifier) * NS_PER_MS
            elif isinstance(entry, Intent) and entry.id.endswith(f"-flatten-{self.identifier}"):
                exits.append(entry)
        if step is None:
            return None
        states = self._states(exits)
        return Booked(self.strategy, self.order, self.identifier, step, tuple(zip(exits, states, strict=True)))

    def _states(self, exits: list[Intent]) -> list[str]:
        if not self.config.strategies[self.strategy].webhook:
            return ["paper only"] * len(exits)
        deliveries = Deliveries.read(self.client, self.strategy) if exits else Deliveries()
        return [deliveries.state(intent.id) or "owed" for intent in exits]

    def _waits_for(self) -> str:
        if self.after is None:
            return "its worker has never run; the first one books it before its first step"
        beat = self.client.hget(keys.heartbeat(f"worker:{self.strategy}"), "status")
        holder = self.client.get(keys.lease(f"worker:{self.strategy}"))
        if holder is None:
            return "nobody could book it; try again"
        status = beat.decode() if beat is not None else "without a sign of life"
        return f"its worker ({holder.decode().rsplit('#', 1)[0]}) is {status} and books it next"


_DONE: Final = SETTLED | {"unknown", "paper only"}


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
