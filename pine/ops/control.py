"""What an operator asks of a strategy: halt, resume, flatten. Booked in its ledger between two steps."""

import time
from typing import Final

import orjson
from attrs import frozen

from pine.bus import keys
from pine.bus.client import Client
from pine.core.config import Config
from pine.orders.entries import Control, Order
from pine.orders.ledger import read_ledger

PATIENCE: Final = 10.0
"""Seconds that a worker is given to book a request."""

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
        Ids of the exits that it led to.
    """

    strategy: str
    order: Order
    request: str
    step: int | None = None
    intents: tuple[str, ...] = ()


def ask(
    config: Config,  # noqa: ARG001  # used next
    client: Client,
    strategy: str,
    order: Order,
    *,
    who: str,
    reason: str,
    patience: float = PATIENCE,
) -> Booked:
    """Have a request booked, by the strategy's worker or, where none lives, by this process.

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
    """
    raw = {"order": order, "who": who, "reason": reason}
    request = client.xadd(keys.control(strategy), {"request": orjson.dumps(raw)}).decode()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for _, entry in read_ledger(client, strategy):
            if isinstance(entry, Control) and entry.request == request:
                return Booked(strategy, order, request)
        time.sleep(LOOK_SECONDS)  # a ledger tells nobody that it has grown
    return Booked(strategy, order, request)
