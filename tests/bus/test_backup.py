"""A backup that is made while the server is written to holds everything that was acknowledged before it began."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pine.bus.backup import AOF, MANIFEST, RECORD, back_up
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.errors import BusError

from .waiting import until

NOW = 1_709_650_800_000_000_000


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
        size = back_up(server, tmp_path / "copy", NOW)
    finally:
        ended.set()
        writer.join()
    found = restored(tmp_path / "copy", tmp_path / "elsewhere")
    assert found == list(range(len(found)))
    assert len(found) >= 500
    assert size == sum(path.stat().st_size for path in (tmp_path / "copy" / AOF).iterdir())
    record = json.loads((tmp_path / "copy" / RECORD).read_text())
    assert (record["time"], record["bytes"]) == ("2024-03-05T15:00:00+00:00", size)
    assert record["server"].split()[0] in ("Valkey", "Redis")


def test_files_that_are_rewritten_while_they_are_copied_still_belong_together(
    server: EmbeddedServer, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(100):
        client.xadd("log:hub", {"n": n})
    copy, base = shutil.copyfileobj, next(server.folder.glob(f"{AOF}/*.base.*"))

    def rewritten_first(*arguments: Any) -> None:
        if base.exists():
            client.bgrewriteaof()  # type: ignore[attr-defined]
            until(lambda: not base.exists(), "the server has removed what it rewrote")
            client.xadd("log:hub", {"n": 100})
        copy(*arguments)

    monkeypatch.setattr(shutil, "copyfileobj", rewritten_first)
    back_up(server, tmp_path / "copy", NOW)
    monkeypatch.undo()
    assert restored(tmp_path / "copy", tmp_path / "elsewhere") == list(range(100))


def test_nothing_is_left_of_a_backup_that_is_interrupted(tmp_path: Path) -> None:
    source = tmp_path / "data" / "bus" / AOF
    source.mkdir(parents=True)
    (source / MANIFEST).write_text("file endless seq 1 type i\n")
    os.mkfifo(source / "endless")
    (tmp_path / "pine.yaml").write_text("data_dir: data\ninstruments: {ES: {}}\n")
    command = [sys.executable, "-m", "pine", "server", "backup", "made/copy"]
    with subprocess.Popen(command, cwd=tmp_path) as backup, (source / "endless").open("wb"):
        until((tmp_path / "made" / "copy" / AOF / "endless").exists, "the backup has begun to copy")
        backup.send_signal(signal.SIGTERM)
        assert backup.wait() == 1
    assert not (tmp_path / "made" / "copy").exists()


def test_a_server_that_does_not_run_is_copied_and_stays_so(server: EmbeddedServer, tmp_path: Path) -> None:
    client = client_for(server.url)
    client.xadd("log:hub", {"n": 0})
    client.close()
    server.stop()
    back_up(server, tmp_path / "copy", NOW)
    assert not server.is_running()
    assert restored(tmp_path / "copy", tmp_path / "elsewhere") == [0]


def test_nothing_is_written_over_and_nothing_made_of_nothing(server: EmbeddedServer, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(BusError, match="is not empty"):
        back_up(server, tmp_path / "full", NOW)
    with pytest.raises(BusError, match="nothing has run"):
        back_up(EmbeddedServer(tmp_path / "never"), tmp_path / "copy", NOW)
