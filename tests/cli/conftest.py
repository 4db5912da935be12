"""The command line as a person runs it: a process in a folder, judged by its exit code and what it prints."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from attrs import field, frozen
from click.testing import CliRunner

from pine.bus import keys, streams
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.writer import Writer
from pine.cli.main import cli
from pine.core.log import at_step
from pine.core.times import to_ms
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_data import HistoryData
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.sandbox.tape import Tape

from .written import BARS, HOUR

KEY: Final = "db-HIDDENKEY0123456789abcdefghij"
HOOK: Final = "https://hooks.example/trading/webhook/HIDDENHOOK-1/HIDDENTOKEN-2"
PASSWORD: Final = "HIDDENPASSWORD"
MARK: Final = "HIDDEN"
"""Part of every secret that the tests put anywhere; no output may hold it."""

CONFIG: Final = f"""\
data_dir: data

databento:
  api_key: ${{DATABENTO_API_KEY}}

instruments:
  ES: {{}}
  GC: {{}}
  6E: {{}}

strategies:
  ibs_a:
    type: ibs
    webhook: ${{IBS_A_WEBHOOK}}
    instruments: [ES, GC]
  asleep:
    type: ibs
    enabled: false
    webhook: {HOOK}
    instruments: [ES]
"""


@frozen
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str


@frozen
class Shell:
    """Runs ``pine`` in a folder; every run is searched for secrets and traces."""

    folder: Path
    environment: Mapping[str, str] = field(factory=dict)

    def __call__(self, *arguments: str | Path, **variables: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "pine", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
        )
        return _clean(Ran(done.returncode, done.stdout, done.stderr))

    def quick(self, *arguments: str | Path, **variables: str) -> Ran:
        """Run a command inside this process, which spares half a second and more; not for those that go on running."""
        environment = {**self.environment, **variables}
        hidden = dict.fromkeys(os.environ.keys() - environment.keys())
        with contextlib.chdir(self.folder), no_logging_yet():
            done = CliRunner().invoke(cli, [*map(str, arguments)], env={**hidden, **environment})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return _clean(Ran(done.exit_code, done.stdout, done.stderr))

    def config(self, text: str, name: str = "pine.yaml") -> Path:
        """Write a configuration."""
        path = self.folder / name
        path.write_text(text)
        return path


@contextlib.contextmanager
def no_logging_yet() -> Iterator[None]:
    """Let a command find logging as it is in a process of its own: nobody listens."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    hooks = sys.excepthook, threading.excepthook
    for logger in loggers:
        logger.handlers[:] = []
    at_step(0)  # a test before may have left an engine in the middle of one
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = hooks
        logging.captureWarnings(capture=False)
        for logger, handlers, level in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)


def _clean(ran: Ran) -> Ran:
    assert "Traceback" not in ran.err, ran.err
    assert MARK not in ran.out + ran.err
    assert ran.code in (0, 1, 2)
    return ran


@pytest.fixture
def pine(tmp_path: Path) -> Iterator[Shell]:
    """A folder with a configuration; a server that a command started is ended, its keys checked."""
    passed = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    shell = Shell(tmp_path, {**passed, "IBS_A_WEBHOOK": HOOK})
    shell.config(CONFIG)
    yield shell
    server = EmbeddedServer(tmp_path / "data")
    try:
        assert undeclared(server) == []
    finally:
        server.stop()


@pytest.fixture
def server(pine: Shell) -> EmbeddedServer:
    """The running server of that folder."""
    embedded = EmbeddedServer(pine.folder / "data")
    embedded.ensure()
    return embedded


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    """ES and GC over four sessions of March 2024."""
    return generate_market(["ES", "GC"], 4, seed=5, trades_per_day=300)


@pytest.fixture
def gateway(pine: Shell, tmp_path: Path, market: GeneratedMarket) -> Iterator[HistoryServer]:
    """Databento Historical over that market, which the folder's configuration names."""
    server = HistoryServer(HistoryData(Tape.of_trades(market.trades, market.symbols)), tmp_path / "ca")
    server.start()
    pine.environment["REQUESTS_CA_BUNDLE"] = str(server.ca)  # type: ignore[index]
    pine.config(
        CONFIG.replace("api_key: ${DATABENTO_API_KEY}", f"api_key: {KEY}\n  historical_gateway: {server.gateway}")
    )
    yield server
    server.stop()


def undeclared(server: EmbeddedServer) -> list[str]:
    """Return the keys of a server, if it runs, that no function of the key module makes."""
    if not server.folder.exists() or not server.is_running():
        return []
    client = client_for(server.url)
    found = [key.decode() for key in client.keys("*")]  # type: ignore[attr-defined]
    client.close()
    return [key for key in found if not keys.is_declared(key)]


@pytest.fixture
def written(server: EmbeddedServer) -> EmbeddedServer:
    """A server that holds five minutes and an hour of ES, and nothing of two other registered roots."""
    client = client_for(server.url)
    client.hset(keys.SYMBOLS, mapping=dict.fromkeys(("ES", "GC", "6E"), "{}"))
    writer = Writer(client, keys.HUB, 1)
    for bar in [*BARS, HOUR]:
        writer.append(keys.bars("ES", bar.timeframe), streams.entry_id(to_ms(bar.start)), {"bar": bar.to_json()})
    for n in range(1, 6):
        boundary = to_ms(BARS[0].start) + n * 60_000
        writer.append(
            keys.CLOCK, streams.entry_id(boundary), {"prev": streams.entry_id(boundary - 60_000) if n > 1 else ""}
        )
    writer.commit()
    client.close()
    return server
