"""Running the whole system, and reading what it left."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from attrs import frozen

from pine.bus.connection import connect
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config
from pine.sandbox.demo.record import Record, read_record


@frozen
class Performance:
    """What ``pine demo --json --keep`` left."""

    folder: Path
    facts: dict[str, Any]
    config: Config

    def record(self) -> Record:
        """Return everything that must be the same in every run."""
        server = EmbeddedServer(self.config.data_dir)
        client = connect(self.config)
        try:
            return read_record(client, self.config, self.facts["tape"]["end"])
        finally:
            client.close()
            server.stop()

    def bars(self, symbol: str, timeframe: str) -> dict[str, Any]:
        """Return what ``pine bars`` prints, with the server running."""
        server = EmbeddedServer(self.config.data_dir)
        server.ensure()
        try:
            path = str(self.folder / "pine.yaml")
            return json.loads(run("bars", symbol, "--timeframe", timeframe, "--json", "-c", path).stdout)
        finally:
            server.stop()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a pine command."""
    return subprocess.run([sys.executable, "-m", "pine", *arguments], capture_output=True, text=True, timeout=300)
