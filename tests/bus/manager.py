"""The socket of a service manager, for a test to read what it is told."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def service_manager(folder: Path) -> Iterator[Callable[[], list[str]]]:
    """Be one; yields what returns the lines that came since the last look."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, pytest.MonkeyPatch.context() as patch:
        listener.bind(str(folder / "notify"))
        listener.setblocking(False)
        patch.setenv("NOTIFY_SOCKET", str(folder / "notify"))

        def told() -> list[str]:
            lines: list[str] = []
            while True:
                try:
                    lines += listener.recv(4096).decode().split("\n")
                except BlockingIOError:
                    return lines

        yield told
