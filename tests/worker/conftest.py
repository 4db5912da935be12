"""What the tests of restarts, of a server that went back and of first starts compare with, and worker processes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sessions
from market import begin, closed_bars, configure, publish, written
from once import once
from processes import Process, started_in

from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """What hub and one worker that never ends write over a server that never fails."""
    return once(tmp_path_factory, "worker", lambda: undisturbed(tmp_path_factory.mktemp("unbroken")))


@pytest.fixture(scope="session")
def warmed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """What a strategy decides that began at START with its history on the streams."""
    return once(tmp_path_factory, "cold-start", lambda: first_start(tmp_path_factory.mktemp("warmed")))


def undisturbed(folder: Path) -> dict[str, list]:
    """Run hub and worker."""
    with served(folder) as client:
        config = configure(folder)
        run = begin(client, config, "one")
        publish(client, config, closed_bars())
        run.until_caught_up()
        return written(client)


def first_start(folder: Path) -> dict[str, list]:
    """Run a new strategy."""
    with served(folder) as client:
        config = sessions.config_of(folder, sessions.NOT_BUYING)
        sessions.publish_until(client, config)
        run = sessions.start(client, config)
        publish(client, config, sessions.after())
        run.until_caught_up()
        return sessions.life(client)


@contextmanager
def served(folder: Path) -> Iterator[Client]:
    """Connect to a server that nobody else has."""
    server = EmbeddedServer(folder / "data")
    server.ensure()
    client = client_for(server.url)
    yield client
    client.close()
    server.stop()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[[Config], Process]]:
    """Start workers in the test's folder."""
    with started_in(tmp_path) as begin_one:
        yield begin_one
