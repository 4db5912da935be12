"""Running the whole system, and reading what it left."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

from attrs import field, frozen
from click.testing import CliRunner

from pine.bus.connection import connect
from pine.bus.embedded import EmbeddedServer
from pine.cli.main import cli
from pine.core.config import Config
from pine.core.timeframe import Timeframe
from pine.sandbox.demo.record import Record, read_record


@frozen
class Performance:
    """What ``pine demo --json --keep`` left."""

    folder: Path
    facts: dict[str, Any]
    config: Config
    _bars: dict[tuple[str, str], dict[str, Any]] = field(factory=dict)

    def record(self, until: int | None = None) -> Record:
        """Return everything that must be the same in every run, to a time in ns or to the end of the tape."""
        server = EmbeddedServer(self.config.data_dir)
        client = connect(self.config)
        try:
            return read_record(client, self.config, until or self.facts["tape"]["end"])
        finally:
            client.close()
            server.stop()

    def bars(self, symbol: str, timeframe: str) -> dict[str, Any]:
        """Return what ``pine bars`` prints, with the server running."""
        if not self._bars:
            server = EmbeddedServer(self.config.data_dir)
            server.ensure()
            try:
                for asked in product(self.config.instruments, (timeframe.value for timeframe in Timeframe)):
                    arguments = ["bars", asked[0], "--timeframe", asked[1], "--json", "-c", self.folder / "pine.yaml"]
                    shown = CliRunner().invoke(cli, [*map(str, arguments)])
                    assert shown.exit_code == 0, shown.output
                    self._bars[asked] = json.loads(shown.stdout)
            finally:
                server.stop()
        return self._bars[symbol, timeframe]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a pine command."""
    return subprocess.run([sys.executable, "-m", "pine", *arguments], capture_output=True, text=True, timeout=300)
