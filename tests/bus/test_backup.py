"""A backup that is made while the server is written to holds everything that was acknowledged before it began."""

import shutil
import threading
from pathlib import Path

import pytest

from pine.bus.backup import AOF, REWRITE, back_up
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.errors import BusError


def restored(folder: Path, place: Path) -> list[int]:
    """Return the numbers that a server on a copy of the files holds."""
    server = EmbeddedServer(place)
    server.folder.mkdir(parents=True)
    shutil.copytree(folder / AOF, server.folder / AOF)
    server.ensure()
    client = client_for(server.url)
    try:
        return [int(fields[b"n"]) for _, fields in client.xrange("log:hub")]
    finally:
        client.close()
        server.stop()


def test_what_was_acknowledged_before_is_there_in_order_while_writing_and_rewriting_go_on(
    server: EmbeddedServer, client: Client, tmp_path: Path
) -> None:
    for n in range(500):
        client.xadd("log:hub", {"n": n})
    client.bgrewriteaof()  # type: ignore[attr-defined]
    ended, begun = threading.Event(), threading.Event()

    def write() -> None:
        other, n = client_for(server.url), 500
        while not ended.is_set():
            other.xadd("log:hub", {"n": n})
            n += 1
            begun.set()
        other.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        begun.wait()
        size = back_up(server, tmp_path / "copy")
    finally:
        ended.set()
        writer.join()
    found = restored(tmp_path / "copy", tmp_path / "elsewhere")
    assert found == list(range(len(found)))
    assert len(found) >= 500
    assert size == sum(path.stat().st_size for path in (tmp_path / "copy" / AOF).iterdir())
    assert client.config_get(REWRITE)[REWRITE] == "100"


def test_a_server_that_does_not_run_is_copied_and_stays_so(server: EmbeddedServer, tmp_path: Path) -> None:
    client = client_for(server.url)
    client.xadd("log:hub", {"n": 0})
    client.close()
    server.stop()
    back_up(server, tmp_path / "copy")
    assert not server.is_running()
    assert restored(tmp_path / "copy", tmp_path / "elsewhere") == [0]


def test_nothing_is_written_over_and_nothing_made_of_nothing(server: EmbeddedServer, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(BusError, match="is not empty"):
        back_up(server, tmp_path / "full")
    with pytest.raises(BusError, match="nothing has run"):
        back_up(EmbeddedServer(tmp_path / "never"), tmp_path / "copy")
