"""A small market with trades of a strategy on a real server, and dashboards over it as processes of their own."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen
from market import begin, closed_bars, configure, publish
from waiting import until

from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config

TEXT = """
data_dir: data
warm_up: off
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, instruments: [ES, GC], params: {entry_setting: none, stop_percent: 0.3}}
  idle: {type: ibs, instruments: [ES], webhook: "https://hooks.example/HIDDENHOOK"}
hub: {clock: tape}
"""
STEPS = 1500


def fill(client: Client, config: Config) -> None:
    """Publish a market, and let strategy ``one`` trade it; ``idle`` has never begun."""
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[:STEPS])
    run.until_caught_up()


@contextmanager
def working(config: Config, name: str) -> Iterator[None]:
    """Let a worker of a strategy live in this process."""
    client = client_for(EmbeddedServer(config.data_dir).url)
    run = begin(client, config, name)
    thread = threading.Thread(target=run.until, args=(lambda step: False,))
    thread.start()
    try:
        yield
    finally:
        run.stop.set()
        thread.join()
        client.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data of a server on which ``one`` has traded; nobody runs there."""
    folder = tmp_path_factory.mktemp("filled")
    server = EmbeddedServer(folder / "data")
    server.ensure()
    client = client_for(server.url)
    fill(client, configure(folder, TEXT))
    client.close()
    server.stop()
    return folder / "data"


@pytest.fixture
def server(filled: Path, tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of one's own on a copy of that data."""
    with served(filled, tmp_path) as server:
        yield server


@contextmanager
def served(filled: Path, folder: Path) -> Iterator[EmbeddedServer]:
    shutil.copytree(filled, folder / "data")
    server = EmbeddedServer(folder / "data")
    server.ensure()
    yield server
    server.stop()


@pytest.fixture
def config(server: EmbeddedServer, tmp_path: Path) -> Config:
    """Its configuration."""
    return configure(tmp_path, TEXT)


@frozen
class Dashboard:
    """A running ``pine dashboard``.

    Attributes
    ----------
    folder
        Where it was started; its log is there.
    """

    folder: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def said(self) -> str:
        return (self.folder / f"{self.port}.log").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dashboard(folder: Path, *arguments: str) -> Iterator[Dashboard]:
    """Start one in a folder, and wait until it listens."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "pine",
        "-c",
        str(folder / "pine.yaml"),
        "dashboard",
        "--port",
        str(port),
        *arguments,
    ]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment()
        )
    started = Dashboard(folder, port, process)
    try:
        until(lambda: answers(port) or process.poll() is not None, "the dashboard answers")
        assert process.poll() is None, started.said
        yield started
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _environment() -> dict[str, str]:
    """Return ours without what tells NiceGUI that it is under test."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NICEGUI_"))}


def answers(port: int) -> bool:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True
