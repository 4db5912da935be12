"""What the tests of the embedded server and of connecting to one share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pine.bus.embedded import EmbeddedServer


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that nobody has started yet."""
    embedded = EmbeddedServer(tmp_path / "data")
    yield embedded
    embedded.stop()
