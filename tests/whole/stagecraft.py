"""Running the whole system, and reading what it left."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import connect
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config

DECIDED = ("ledger", "flight")


@frozen
class Performance:
    """What ``pine demo --json --keep`` left."""

    folder: Path
    facts: dict[str, Any]
    config: Config

    def streams(self) -> dict[str, list]:
        """Return everything that must be the same in every run, without the writers' tokens."""
        server = EmbeddedServer(self.config.data_dir)
        client = connect(self.config)
        try:
            return recorded(client, self.config, self.facts["tape_end"])
        finally:
            client.close()
            server.stop()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a pine command."""
    return subprocess.run([sys.executable, "-m", "pine", *arguments], capture_output=True, text=True, timeout=300)


def recorded(client: Client, config: Config, tape_end: int) -> dict[str, list]:
    """Return bars, volumes, clock, events, leads, ledgers and flights of a run, until the tape ended.

    Afterwards time goes on with heartbeats for as long as the processes happen to live.
    """
    names = [keys.CLOCK, keys.EVENTS]
    for symbol in config.instruments:
        names += [f"market:{symbol}:{kind}" for kind in ("1min", "hourly", "daily", "volume")]
    names += [f"{kind}:{strategy}" for kind in DECIDED for strategy in config.strategies]
    last = str(tape_end // 60_000_000_000 * 60_000 - 60_000)
    found: dict[str, list] = {name: _entries(client, name, last) for name in names}
    found |= {keys.lead(symbol): sorted(client.hgetall(keys.lead(symbol)).items()) for symbol in config.instruments}
    left = [key.decode() for key in client.keys("*")]  # type: ignore[attr-defined]
    assert [key for key in left if not keys.is_declared(key)] == []
    return found


def _entries(client: Client, name: str, last: str) -> list:
    entries = streams.read_range(client, name, last=last)
    return [(identifier, {k: v for k, v in fields.items() if k != b"fence"}) for identifier, fields in entries]
