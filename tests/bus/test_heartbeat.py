"""Signs of life: one set of facts in the key, in the file, and for the service manager."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from manager import service_manager

from pine.bus import heartbeat, keys
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.heartbeat import Heartbeat, folder_of, path_of, read, read_file
from pine.bus.notify import notify
from pine.core.config import Config, load_config
from pine.strategies.catalog import PARAMS

FACTS = {"lag": 2, "cash": 10.5, "positions": {"ES": 1}, "fresh": True, "data_age_s": None, "halted": ""}


def configured(folder: Path, more: str = "", data: str = "data") -> Config:
    folder.mkdir(exist_ok=True)
    (folder / "pine.yaml").write_text(f"data_dir: {data}\n{more}")
    return load_config(folder / "pine.yaml", PARAMS, {})


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    with service_manager(tmp_path) as told:
        yield told


def test_key_and_file_say_the_same(client: Client, tmp_path: Path) -> None:
    config = configured(tmp_path)
    Heartbeat(client, config, "worker:one", 7).write("running", FACTS)
    said = read_file(tmp_path / "data" / "heartbeats" / "worker-one.json")
    key = read(client, "worker:one")
    assert said.keys() == key.keys()
    assert (said["positions"], said["fresh"], said["data_age_s"]) == ({"ES": 1}, True, None)
    assert (key["positions"], key["fresh"], key["data_age_s"], key["cash"]) == ('{"ES":1}', 1, None, 10.5)
    assert (said["role"], said["token"], said["status"], said["uptime_s"]) == ("worker:one", 7, "running", 0)
    assert said["updated_at"] == key["updated_at"]
    assert 0 < int(client.pttl(keys.heartbeat("worker:one"))) <= 15_000


def test_the_file_goes_on_while_the_server_is_away_and_says_so(
    server: EmbeddedServer, tmp_path: Path, manager: Callable[[], list[str]]
) -> None:
    config, client = configured(tmp_path), client_for(server.url)
    beat = Heartbeat(client, config, keys.HUB, 1)
    beat.write("running", FACTS)
    manager()
    server.stop()
    with pytest.raises(redis.RedisError):
        beat.write("running", FACTS, well=False)
    said = read_file(path_of(config, keys.HUB))
    assert (said["status"], said["cash"]) == ("server away", 10.5)
    assert "WATCHDOG=1" in manager()  # killing who waits for a server helps nobody


def test_a_full_disk_stops_nobody_and_what_was_written_before_stays(client: Client, tmp_path: Path) -> None:
    config = configured(tmp_path, "heartbeats: full\n")
    beat = Heartbeat(client, config, keys.HUB, 1)
    beat.write("running", FACTS)
    (tmp_path / "full" / "hub.tmp").symlink_to("/dev/full")
    beat.write("stopped", FACTS)
    assert read(client, keys.HUB)["status"] == "stopped"
    assert read_file(tmp_path / "full" / "hub.json")["status"] == "running"
    beat.write("stopped", FACTS)
    assert read_file(tmp_path / "full" / "hub.json")["status"] == "stopped"


def test_two_desks_on_one_machine_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = configured(tmp_path / "one"), configured(tmp_path / "two")
    assert folder_of(one) == tmp_path / "one" / "data" / "heartbeats"
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(heartbeat, "RUN", run)
    assert folder_of(one) != folder_of(two)
    assert folder_of(one).parent == folder_of(two).parent == run
    assert folder_of(configured(tmp_path / "one", "heartbeats: own\n")) == tmp_path / "one" / "own"


def test_the_service_manager_is_told_once_that_all_is_ready_and_fed_while_all_is_well(
    client: Client, tmp_path: Path, manager: Callable[[], list[str]]
) -> None:
    beat = Heartbeat(client, configured(tmp_path), "worker:one", 1)
    beat.write("warming up", {"lag": None})
    assert manager() == ["WATCHDOG=1", "STATUS=warming up"]
    beat.write("running", {"lag": 3})
    assert manager() == ["WATCHDOG=1", "READY=1", "STATUS=running, 3 steps behind"]
    beat.write("running", {"lag": 3}, well=False)
    assert manager() == ["STATUS=running, 3 steps behind"]
    beat.write("stopped", {"lag": 0})
    assert manager() == ["STOPPING=1", "STATUS=stopped"]


def test_without_a_service_manager_nothing_happens(tmp_path: Path) -> None:
    assert not notify("READY=1", environ={})
    assert not notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert not notify("READY=1", environ={"NOTIFY_SOCKET": "junk"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"pine-{tmp_path.name}-{id(listener)}"
        listener.bind(f"\0{name}")
        assert notify("READY=1", status="two\nlines", environ={"NOTIFY_SOCKET": f"@{name}"})
        assert listener.recv(100) == b"READY=1\nSTATUS=two lines"
