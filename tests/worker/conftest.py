"""What the tests of restarts and of a server that went back compare with."""

from pathlib import Path

import pytest
from market import begin, closed_bars, configure, publish, written
from once import once

from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """What hub and one worker that never ends write over a server that never fails."""
    return once(tmp_path_factory, "worker", lambda: undisturbed(tmp_path_factory.mktemp("unbroken")))


def undisturbed(folder: Path) -> dict[str, list]:
    """Run them."""
    server = EmbeddedServer(folder / "data")
    server.ensure()
    client = client_for(server.url)
    config = configure(folder)
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    run.until_caught_up()
    found = written(client)
    client.close()
    server.stop()
    return found
