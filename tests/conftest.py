"""What rooms share: a server, a check for undeclared keys, how many examples, no disk to wait for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer

settings.register_profile("pine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
settings.load_profile("pine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let a test marked ``examples`` try few examples, and with ``-m long`` as many as it names for that."""
    thorough = config.option.markexpr == "long"
    told: dict[Callable[..., None], int] = {}
    for item in items:
        marker = item.get_closest_marker("examples")
        if marker is not None and isinstance(item, pytest.Function):
            told[item.obj] = marker.kwargs["long"] if thorough else marker.args[0]
            if thorough:
                item.add_marker(pytest.mark.long)
    for test, count in told.items():
        settings(max_examples=count)(test)


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """No test cuts the power, so this process does not wait for its disk; those that a test starts do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A private server on a folder of its own."""
    embedded = EmbeddedServer(tmp_path / "data")
    embedded.ensure()
    yield embedded
    embedded.stop()


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[Client]:
    """A connection to it; every key it ends with must be one that the key module declares."""
    connection = client_for(server.url)
    yield connection
    left = [key.decode() for key in connection.keys("*")]  # type: ignore[attr-defined]
    connection.close()
    assert [key for key in left if not keys.is_declared(key)] == []
