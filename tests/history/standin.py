"""Stand-ins for Databento Historical in the test's own process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pine.sandbox.history import HistoryServer
from pine.sandbox.history_data import HistoryData
from pine.sandbox.history_faults import HistoryFault


@contextmanager
def stand_ins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., HistoryServer]]:
    """Start servers that sell some data, with faults by name; each is trusted from then on, and stopped at the end."""
    running: list[HistoryServer] = []

    def start(data: HistoryData, *faults: str, **options: Any) -> HistoryServer:
        server = HistoryServer(data, folder, faults=[HistoryFault.parse(text) for text in faults], **options)
        server.start()
        running.append(server)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca))
        return server

    try:
        yield start
    finally:
        for server in running:
            server.stop()
