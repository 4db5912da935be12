"""Killing an embedded server, and asking it who it is."""

import os
import signal

from waiting import ended, until

from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer


def kill(embedded: EmbeddedServer) -> int:
    """Kill the server as a power cut would, and return the process id it had."""
    pid = server_pid(embedded)
    os.kill(pid, signal.SIGKILL)
    until(lambda: ended(pid), "the server dies")
    return pid


def server_pid(embedded: EmbeddedServer) -> int:
    """Ask the server itself for its process id."""
    with client_for(embedded.url) as client:  # type: ignore[attr-defined]
        return int(client.info()["process_id"])
