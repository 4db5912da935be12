"""The stream server, as far as a supervisor has to do with it."""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
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
NOTICE_SECONDS: Final = 2.0


@define(eq=False)
class Server:
    """Starts the embedded server if it does not run, and stops it if nobody else uses it.

    Attributes
    ----------
    ours
        Whether it was started here, or by a supervisor before this one that was killed: a file names its process.
    """

    config: Config
    ours: bool = False
    _written: int | None = None

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
        if server is None:
            return
        if server.is_running():
            self.ours = self._noted() == str(server.pid())
            return
        self.ours = True
        server.ensure(ending)
        self.note()

    def note(self) -> None:
        """Write down which process is ours; another since whoever found it gone has started it again."""
        server = self._embedded
        pid = None if server is None or not self.ours else server.pid()
        if pid is not None and pid != self._written:
            with contextlib.suppress(OSError):  # a full disk
                self._note.write_text(str(pid))
                self._written = pid

    def stop(self) -> str:
        """Stop it if it was started here and nobody else uses it; return what became of it."""
        server = self._embedded
        if server is None or not self.ours:
            return "left as it was found"
        if others := _others(server):
            return f"left running, {others} connections use it"
        self._note.unlink(missing_ok=True)
        return "stopped" if server.stop() else "was not running"

    @property
    def _note(self) -> Path:
        return self.config.data_dir / "up.server"

    def _noted(self) -> str:
        try:
            return self._note.read_text()
        except OSError:
            return ""


def _others(server: EmbeddedServer) -> int:
    """Return how many connections besides this one a server has, once it has noticed the end of those that ended."""
    others = 0
    client = client_for(server.url)
    deadline = time.monotonic() + NOTICE_SECONDS
    with contextlib.suppress(redis.RedisError):
        while (others := len(client.client_list()) - 1) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)  # it tells nobody when it notices
    client.close()
    return others


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
