"""Running the whole system, and reading what it left."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

from attrs import frozen
from click.testing import CliRunner

from pine.bus.connection import connect
from pine.bus.embedded import EmbeddedServer
from pine.cli.main import cli
from pine.core.config import Config, load_config
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.sandbox.demo.record import Record, read_record
from pine.strategies.catalog import PARAMS


@frozen
class Performance:
    """What ``pine demo --json --keep`` left.

    Attributes
    ----------
    record
        Everything that must be the same in every run, to the end of the tape.
    early
        The same to an hour before, when the tail of heartbeats has not ended at any speed.
    bars
        What ``pine bars`` prints with the server running, by root and timeframe.
    """

    folder: Path
    facts: dict[str, Any]
    record: Record
    early: Record
    bars: dict[tuple[str, str], dict[str, Any]]

    @property
    def until(self) -> int:
        """The end of `early` in ns."""
        return int(self.facts["tape"]["end"]) - NS_PER_HOUR


def performed(folder: Path, tape: Path) -> Performance:
    """Run the command as a user would."""
    done = run("demo", "--dbn", str(tape), "--json", "--keep", str(folder))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    config = load_config(folder / "pine.yaml", PARAMS, {})
    end = facts["tape"]["end"]
    server = EmbeddedServer(config.data_dir)
    client = connect(config)
    try:
        full, early = (read_record(client, config, until) for until in (end, end - NS_PER_HOUR))
        return Performance(folder, facts, full, early, _bars(config))
    finally:
        client.close()
        server.stop()


def _bars(config: Config) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for asked in product(config.instruments, (timeframe.value for timeframe in Timeframe)):
        arguments = ["bars", asked[0], "--timeframe", asked[1], "--json", "-c", str(config.path)]
        shown = CliRunner().invoke(cli, arguments)
        assert shown.exit_code == 0, shown.output
        found[asked] = json.loads(shown.stdout)
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a pine command."""
    return subprocess.run([sys.executable, "-m", "pine", *arguments], capture_output=True, text=True, timeout=300)
