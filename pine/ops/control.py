"""What an operator asks of a strategy: halt, resume, flatten, a position corrected. Booked between two steps.

A worker that lives books it, within half a second; where none does, this process takes the strategy's role for a
moment and books it itself. Hub and market data are not needed.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import redis
from attrs import evolve, frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import is_away, revive
from pine.core.config import Config
from pine.core.errors import BusError, PineError
from pine.core.timeframe import NS_PER_MS
from pine.core.times import isoformat, to_datetime
from pine.orders.courier import nothing_owed
from pine.orders.entries import Asked, Correction, Fill, Intent, Order
from pine.orders.ledger import Deliveries, read_ledger, role
from pine.orders.requests import ask_order
from pine.worker.alone import book_alone, courier_of
from pine.worker.booking import CONTROL_GROUP
from pine.worker.run import CourierAttendant, check_name

PATIENCE: Final = 10.0
"""Seconds that a worker is given to book a request, and a courier to post what follows from it."""

POST_PATIENCE: Final = 5.0
"""Seconds that a courier has at least, also after a request that was long in being booked."""

LOOK_SECONDS: Final = 0.05

REFUSED: Final = (
    "something has changed since it was asked for, an order is on its way or the contract no longer leads; look at "
    "pine positions and ask again"
)


@frozen
class Booked:
    """What became of a request.

    Attributes
    ----------
    request
        Its id in ``control:…``.
    step
        Ns of the step after which it holds; nothing while it is not booked.
    intents
        The exits that are on their way after a ``flatten``, with the state of each one's webhook; ``paper only``
        without one.
    waits_for
        Why it is not booked yet.
    refused
        Why it will never be.
    effect
        What holds now, in a few words.
    never_run
        Whether no worker of the strategy has ever run: the first one books it before its first step.
    """

    strategy: str
    order: str
    request: str
    step: int | None = None
    intents: tuple[tuple[Intent, str], ...] = ()
    waits_for: str = ""
    refused: str = ""
    effect: str = ""
    never_run: bool = False

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
            "refused": self.refused,
            "effect": self.effect,
        }


POSTED: Final = frozenset({"posted", "paper only", "skipped"})
"""States of an exit after which the broker holds nothing of it: one is skipped whose entry was never posted."""

_SETTLED: Final = POSTED | {"rejected", "unknown"}
_WORDS: Final = {
    **dict.fromkeys(("owed", "attempt", "retry"), "NOT posted yet, the courier goes on trying"),
    "unknown": "outcome unknown: pine orders resolve",
    "rejected": "REJECTED by the broker",
    "skipped": "its entry was never posted",
}


def sentence(booked: Booked) -> str:
    """Return what became of a request, for a person; whose it is stands elsewhere."""
    if booked.refused:
        return f"{booked.order} is refused: {booked.refused}"
    if booked.never_run:
        return f"has never run; {booked.order} is on record and booked before its first step"
    if booked.step is None:
        return f"{booked.order} is asked for and not booked yet: {booked.waits_for}"
    after = f" after step {to_datetime(booked.step):%Y-%m-%d %H:%M} UTC" if booked.step else ""
    if booked.order != "flatten":
        return f"{booked.order} booked{after}" + (f": {booked.effect}" if booked.effect else "")
    closed = [f"exit {i.quantity} {i.contract} near {i.price:.10g} ({_words(state)})" for i, state in booked.intents]
    return f"flatten booked{after}: {', '.join(closed) or 'nothing to close'}"


def _words(state: str) -> str:
    return _WORDS.get(state, state)


def is_wrong(booked: Booked) -> bool:
    """Tell whether somebody must look: it is not booked, or the broker may still hold what was to be closed."""
    if booked.step is None:
        return not booked.never_run
    return any(state not in POSTED for _, state in booked.intents)


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
    BusError
        If the server goes away before it is known whether it took the request.
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
    """Have orders booked, each of a strategy; the rest as in `ask`.

    All are asked for before any is waited for, and every courier is started before any post is waited for.
    """
    asked = [Request.put(config, client, name, order, ask_order(order, who, reason)) for name, order in orders]
    deadline = time.monotonic() + patience
    booked = [request.book(deadline) for request in asked]
    for request in asked:
        request.engage()
    deadline = max(deadline, time.monotonic() + POST_PATIENCE)
    return [request.settle(found, deadline) for request, found in zip(asked, booked, strict=True)]


@frozen(eq=False)
class Request:
    """Something that was asked for.

    Attributes
    ----------
    identifier
        Its id in ``control:…``.
    after
        Id of the newest entry of the ledger before it was asked for; nothing before the strategy's life has begun.
    courier
        Starts a courier where nobody else does.
    """

    config: Config
    client: Client
    strategy: str
    order: str
    identifier: str
    after: str | None
    courier: CourierAttendant

    @classmethod
    def put(cls, config: Config, client: Client, strategy: str, order: str, fields: dict[str, bytes]) -> "Request":
        """Ask for what `pine.orders.requests` wrote.

        Raises
        ------
        PineError
            If there is no such strategy.
        BusError
            If it is not known whether the server took it.
        """
        check_name(config, strategy)
        try:
            after = streams.last_id(client, keys.ledger(strategy))
            identifier = client.xadd(keys.control(strategy), {**fields}).decode()
        except redis.RedisError as error:
            if isinstance(error, redis.ResponseError) or not is_away(error):
                raise  # it has answered: nothing was taken
            raise BusError(
                f"{strategy}: the server does not take the {order}: {error}. Look at pine status before you ask again; "
                "POLICY_KILLSWITCH=1 in .env blocks entries without a server"
            ) from None
        return cls(config, client, strategy, order, identifier, after, courier_of(config, strategy, client))

    def book(self, deadline: float) -> Booked:
        """Have it booked; return what has become of it at the latest at a deadline."""
        while True:
            try:
                answer = self._try_book()
            except redis.RedisError as error:
                if not is_away(error):
                    raise
                revive(self.config)
                answer = None
            if answer is not None:
                return answer
            if time.monotonic() > deadline:
                return Booked(self.strategy, self.order, self.identifier, waits_for=self._waits_for())
            time.sleep(LOOK_SECONDS)  # a ledger tells nobody that it has grown

    def engage(self) -> None:
        """See that a courier runs if anything is to be posted, whoever asked for it."""
        if not self.config.strategies[self.strategy].webhook:
            return
        with suppress(redis.RedisError):  # whoever waits for the outcome tries again
            if not self.client.exists(keys.lease(role(self.strategy))) and not nothing_owed(self.client, self.strategy):
                self.courier.look()

    def settle(self, found: Booked, deadline: float) -> Booked:
        """Return it with what the webhook said of each exit, at the latest at a deadline."""
        if found.step is None:
            return found
        while True:
            with suppress(redis.RedisError):
                found = evolve(found, intents=self._exits())
            if all(state in _SETTLED for _, state in found.intents) or time.monotonic() > deadline:
                return found
            self.engage()
            time.sleep(LOOK_SECONDS)  # nor do deliveries

    def _try_book(self) -> Booked | None:
        """Return what has become of it, having it booked where no worker lives; nothing if that is not known yet."""
        dealt_with = self._is_dealt_with()  # first: both are one write
        step = self._booked_at()
        if step is not None:
            return Booked(self.strategy, self.order, self.identifier, step)
        if dealt_with:
            return Booked(self.strategy, self.order, self.identifier, refused=REFUSED)
        if self.after is None and not self._is_led():
            return Booked(self.strategy, self.order, self.identifier, never_run=True)
        if not self._is_led():
            book_alone(self.config, self.strategy, self.client)
        return None

    def _is_led(self) -> bool:
        return bool(self.client.exists(keys.lease(f"worker:{self.strategy}")))

    def _is_dealt_with(self) -> bool:
        """Tell whether a worker, or who stands in for it, has read and acknowledged the request."""
        stream = keys.control(self.strategy)
        for group in self.client.xinfo_groups(stream):
            if group["name"].decode() == CONTROL_GROUP:
                pending = self.client.xpending(stream, CONTROL_GROUP)["min"]
                mine = streams.id_pair(self.identifier)
                waits = pending is not None and streams.id_pair(pending) <= mine
                return streams.id_pair(group["last-delivered-id"]) >= mine and not waits
        return False

    def _booked_at(self) -> int | None:
        for identifier, entry in read_ledger(self.client, self.strategy, f"({self.after or '0-0'}"):
            if isinstance(entry, Asked) and entry.request == self.identifier:
                return streams.ms_of(identifier) * NS_PER_MS
        return None

    def _exits(self) -> tuple[tuple[Intent, str], ...]:
        """Return the exits that are on their way, and those of this request, with the state of each one's webhook."""
        if self.order != "flatten":
            return ()
        exits: dict[str, Intent] = {}
        for _, entry in read_ledger(self.client, self.strategy):
            if isinstance(entry, Intent) and not entry.is_entry:
                exits[entry.id] = entry
            elif isinstance(entry, Fill) and not entry.intent.endswith(self.identifier):
                exits.pop(entry.intent, None)
            elif isinstance(entry, Correction):
                exits = {name: exit_ for name, exit_ in exits.items() if exit_.symbol != entry.symbol}
        if not self.config.strategies[self.strategy].webhook:
            return tuple((exit_, "paper only") for exit_ in exits.values())
        deliveries = Deliveries.read(self.client, self.strategy)
        return tuple((exit_, deliveries.state(exit_.id) or "owed") for exit_ in exits.values())

    def _waits_for(self) -> str:
        try:
            beat = self.client.hget(keys.heartbeat(f"worker:{self.strategy}"), "status")
            holder = self.client.get(keys.lease(f"worker:{self.strategy}"))
        except redis.RedisError as error:
            return f"the server is away ({error}); it holds the request, if it took it: look at pine status"
        if holder is None:
            return "nobody could book it; try again"
        status = beat.decode() if beat is not None else "without a sign of life"
        name = holder.decode().rsplit("#", 1)[0]
        return f"its worker ({name}) is {status} and books it next; POLICY_KILLSWITCH=1 in .env needs no worker"


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
