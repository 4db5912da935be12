"""A halt with a configuration that has mistakes: asked of the workers that run, which read theirs before."""

import time
from typing import Final

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.timeframe import NS_PER_MS
from pine.ops.control import LOOK_SECONDS, PATIENCE, Booked
from pine.orders.entries import Asked
from pine.orders.ledger import read_ledger
from pine.orders.requests import ask_order

NOBODY: Final = "no worker runs; the next one books it before its first step"


def halt_running(parts: Config, client: Client, name: str | None, *, who: str, reason: str) -> list[Booked]:
    """Ask the workers of one strategy, or of all that can be read, to halt; return what became of it.

    Raises
    ------
    PineError
        If there is no such strategy, neither in what can be read nor on the server.
    """
    chosen = list(parts.strategies) if name is None else [name]
    known = [each for each in chosen if each in parts.strategies or client.exists(keys.ledger(each))]
    if not known or known != chosen:
        raise PineError(f"no strategy {name or ''} can be read in the configuration, nor has one run on the server")
    fields = ask_order("halt", who, reason)
    after = {each: streams.last_id(client, keys.ledger(each)) for each in known}
    asked = {each: client.xadd(keys.control(each), {**fields}).decode() for each in known}
    deadline = time.monotonic() + PATIENCE
    return [_follow(client, each, request, after[each], deadline) for each, request in asked.items()]


def _follow(client: Client, strategy: str, request: str, after: str | None, deadline: float) -> Booked:
    while True:
        for identifier, entry in read_ledger(client, strategy, "-" if after is None else f"({after}"):
            if isinstance(entry, Asked) and entry.request == request:
                return Booked(strategy, "halt", request, streams.ms_of(identifier) * NS_PER_MS)
        lives = client.exists(keys.lease(f"worker:{strategy}"))
        if not lives or time.monotonic() > deadline:
            return Booked(
                strategy, "halt", request, waits_for="its worker is busy and books it next" if lives else NOBODY
            )
        time.sleep(LOOK_SECONDS)  # a ledger tells nobody that it has grown
