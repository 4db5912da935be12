"""Connecting: a server that is away is waited for or started, one that would lose data is refused."""

import fcntl
import math
import threading
from pathlib import Path

import pytest
from attrs import validators
from redis import Redis
from waiting import DEADLINE_S

from pine.bus import embedded as embedded_module
from pine.bus import keys
from pine.bus.connection import assert_fit, connect, patiently, revive
from pine.bus.embedded import EmbeddedServer
from pine.core.config import BusConfig, Config
from pine.core.errors import BusError, ServerUnfit

from .servers import kill


def test_without_a_server_and_without_leave_to_start_one_connecting_is_an_error(idle: EmbeddedServer) -> None:
    config = Config(path=idle.data_dir / "pine.yaml", data_dir=idle.data_dir)
    with pytest.raises(BusError, match=str(idle.data_dir)):
        connect(config, start=False)
    assert not idle.is_running()
    connect(config).close()
    connect(config, start=False).close()


def test_a_server_elsewhere_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    config = Config(path=tmp_path / "x", data_dir=tmp_path, bus=BusConfig(f"unix://{tmp_path}/nobody.sock"))
    with pytest.raises(BusError, match=r"bus\.url"):
        connect(config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["redis://u:hidden@127.0.0.1:port/0", "redis://u:hidden@127.0.0.1:99999/0", "redis://u:hidden/x@127.0.0.1:1/0"],
)
def test_a_url_that_cannot_be_read_is_an_error_that_keeps_the_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="expected a URL such as") as refused:
        BusConfig(url)
    with validators.disabled():
        config = Config(path=tmp_path / "x", data_dir=tmp_path, bus=BusConfig(url))
    with pytest.raises(BusError, match=r"bus\.url") as caught:
        connect(config)
    assert "hidden" not in str(refused.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "unfit"),
    [("appendonly", "no"), ("maxmemory-policy", "allkeys-lru"), ("maxmemory-policy", "volatile-ttl")],
)
def test_a_server_that_would_lose_data_is_refused_with_the_setting(
    server: EmbeddedServer, client: Redis, setting: str, unfit: str
) -> None:
    assert_fit(client)
    client.config_set(setting, unfit)
    with pytest.raises(ServerUnfit, match=rf"{setting}: found {unfit}, expected .*CONFIG SET {setting} "):
        assert_fit(client)
    config = Config(path=server.data_dir / "x", data_dir=server.data_dir, bus=BusConfig(server.url))
    with pytest.raises(ServerUnfit, match=setting):
        connect(config)


class Described:
    """A server of another version, as far as it describes itself."""

    def __init__(self, **info: object) -> None:
        self._info = {"aof_enabled": 1, "maxmemory_policy": "noeviction", **info}

    def info(self) -> dict[str, object]:
        return self._info


@pytest.mark.parametrize(
    ("info", "name"),
    [
        ({"redis_version": "6.2.14"}, "Redis 6.2.14"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, "Valkey 7.2.5"),
    ],
)
def test_an_old_server_is_refused(info: dict[str, object], name: str) -> None:
    with pytest.raises(ServerUnfit, match=name):
        assert_fit(Described(**info))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "info",
    [{"redis_version": "7.0.0"}, {"redis_version": "8.2.1"}, {"redis_version": "7.2.4", "valkey_version": "8.0.0"}],
)
def test_a_recent_server_is_accepted(info: dict[str, object]) -> None:
    assert_fit(Described(**info))  # type: ignore[arg-type]


def test_killed_server_is_started_again_by_those_who_need_it(idle: EmbeddedServer) -> None:
    config = Config(path=idle.data_dir / "pine.yaml", data_dir=idle.data_dir)
    client = connect(config)
    client.xadd(keys.CLOCK, {"prev": ""}, id="1-0")
    kill(idle)
    revive(config)
    assert client.xlen(keys.CLOCK) == 1
    client.close()


def test_a_request_to_end_ends_the_wait_for_a_server_that_is_away(
    idle: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(path=idle.data_dir / "pine.yaml", data_dir=idle.data_dir)
    client = connect(config)
    idle.stop()
    stop, waits = threading.Event(), threading.Event()

    def looks(_: EmbeddedServer, silence: float | None) -> bool:
        waits.set()
        return False

    monkeypatch.setattr(embedded_module, "START_TIMEOUT", math.inf)
    monkeypatch.setattr(EmbeddedServer, "_answers", looks)
    with (idle.folder / "lock").open("w") as held_by_another:
        fcntl.flock(held_by_another, fcntl.LOCK_EX)
        patient = threading.Thread(target=patiently, args=(client.ping, config, stop), daemon=True)
        patient.start()
        assert waits.wait(DEADLINE_S)
        stop.set()
        patient.join(DEADLINE_S)
        assert not patient.is_alive()
    client.close()


def test_a_server_killed_while_somebody_connects_is_started_again(
    idle: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = EmbeddedServer.ensure
    killed: list[int] = []

    def ensure(self: EmbeddedServer, silence: float | None = None) -> None:
        real(self, silence=silence)
        if len(killed) < 2:
            killed.append(kill(self))

    monkeypatch.setattr(EmbeddedServer, "ensure", ensure)
    client = connect(Config(path=idle.data_dir / "pine.yaml", data_dir=idle.data_dir))
    assert client.ping()
    client.close()
    assert len(killed) == 2
