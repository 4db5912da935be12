"""A server that comes back with an earlier state, as after a power cut or a failover to a replica that lagged."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import redis
from waiting import until

from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer


def _file(server: EmbeddedServer) -> Path:
    (file,) = (server.folder / "appendonlydir").glob("*.incr.aof")
    return file


def size_of(server: EmbeddedServer) -> int:
    """Return how long the server's append-only file is: everything acknowledged until now."""
    return _file(server).stat().st_size


def go_back(server: EmbeddedServer, size: int) -> None:
    """Let the server come back with its append-only file as it was at an earlier size."""
    os.kill(server.pid() or 0, signal.SIGKILL)
    until(lambda: not server._locked(), "the server dies")
    os.truncate(_file(server), size)
    server.ensure()


def reconnected(client: Client) -> None:
    """Let a client notice that its connection is gone."""
    with suppress(redis.ConnectionError):
        client.ping()
    client.ping()
