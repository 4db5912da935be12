"""Writing what replicas must have before it counts."""

from collections.abc import Sequence
from typing import Any, Final

import redis

from pine.bus.client import Client, Value

WAIT_MS: Final = 1000
"""How long replicas are waited for before what was written is taken for not written."""


def run(client: Client, source: str, names: Sequence[str], args: Sequence[Value]) -> tuple[Any, int]:
    """Run a script; return its reply, and how many replicas have what it wrote, as far as anybody asks.

    A server counts from what this connection wrote last: a script that wrote nothing says nothing of what others wrote.
    """
    script = client.register_script(source)
    if not client.replicas:
        return script(keys=names, args=args), 0
    pipeline = client.pipeline(transaction=False)
    script(keys=names, args=args, client=pipeline)
    pipeline.wait(client.replicas, WAIT_MS)
    reply, reached = pipeline.execute()
    return reply, reached


def insist(client: Client, reached: int) -> None:
    """Raise as for a server that is away unless enough replicas have what was written."""
    if reached < client.replicas:
        raise redis.TimeoutError(f"written, but {reached} of {client.replicas} replicas have it")
