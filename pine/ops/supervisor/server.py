"""The stream server, as far as a supervisor has to do with it."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final

import redis
from attrs import define

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import client_for, connect
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config
from pine.core.errors import BusError

LOOK_SECONDS: Final = 0.2


@define(eq=False)
class Server:
    """Starts the embedded server if it does not run, and stops it if nobody else uses it.

    Attributes
    ----------
    ours
        Whether it was started here.
    """

    config: Config
    ours: bool = False

    @property
    def _embedded(self) -> EmbeddedServer | None:
        bus = self.config.bus
        return EmbeddedServer(self.config.data_dir, bus.fsync) if bus.url == "embedded" else None

    def start(self, ending: Callable[[], bool]) -> None:
        """Start it unless it runs, or is somebody else's to start.

        Raises
        ------
        BusError
            If it does not come up, or `ending` says that it need not.
        """
        server = self._embedded
        if server is not None and not server.is_running():
            self.ours = True
            server.ensure(ending)

    def stop(self) -> str:
        """Stop it if it was started here and nobody else uses it; return what became of it."""
        server = self._embedded
        if server is None or not self.ours:
            return "left as it was found"
        with contextlib.suppress(redis.RedisError):
            client = client_for(server.url)
            others = len(client.client_list()) - 1
            client.close()
            if others:
                return f"left running, {others} connections use it"
        return "stopped" if server.stop() else "was not running"


def await_server(
    config: Config, condition: Callable[[Client], bool], patience: float, ending: Callable[[], bool]
) -> bool:
    """Wait until a condition holds on the server; return whether it does.

    Parameters
    ----------
    config
        Names the server, which is not started for this.
    condition
        Asked again and again; a server that is away is waited for.
    patience
        Seconds to wait at most.
    ending
        Whether not to wait any longer.
    """
    deadline = time.monotonic() + patience
    client: Client | None = None
    never = threading.Event()
    while not ending() and time.monotonic() < deadline:
        with contextlib.suppress(redis.RedisError, BusError):
            client = client or connect(config, start=False)
            if condition(client):
                client.close()
                return True
        never.wait(LOOK_SECONDS)  # leases and ledgers tell nobody that they have changed
    if client is not None:
        client.close()
    return False


def hub_is_ready(config: Config) -> Callable[[Client], bool]:
    """Return the condition that a hub holds its lease and has registered every instrument."""

    def ready(client: Client) -> bool:
        registered = {name.decode() for name in client.hkeys(keys.SYMBOLS)}
        return bool(client.exists(keys.lease(keys.HUB))) and config.instruments.keys() <= registered

    return ready
