"""The embedded server: what it acknowledged stays, and there is one of it, whatever is killed and whoever starts it."""

import fcntl
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest
from waiting import children

from pine.bus import embedded as embedded_module
from pine.bus import keys
from pine.bus.connection import assert_fit, client_for
from pine.bus.embedded import BINARY_VARIABLE, EmbeddedServer
from pine.bus.sockets import MAX_SOCKET_PATH
from pine.core.errors import BusError

from .servers import kill, server_pid


def lock_is_free(embedded: EmbeddedServer) -> bool:
    with (embedded.folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def write(embedded: EmbeddedServer, count: int) -> None:
    with client_for(embedded.url) as client:  # type: ignore[attr-defined]
        for n in range(1, count + 1):
            client.xadd(keys.CLOCK, {"prev": f"{n - 1}-0"}, id=f"{n}-0")


def held(embedded: EmbeddedServer) -> int:
    with client_for(embedded.url) as client:  # type: ignore[attr-defined]
        assert [key.decode() for key in client.keys("*") if not keys.is_declared(key.decode())] == []
        return int(client.xlen(keys.CLOCK))


def test_it_answers_once_ensured_and_not_before(idle: EmbeddedServer) -> None:
    assert not idle.is_running()
    assert idle.pid() is None
    idle.ensure()
    assert idle.is_running()
    assert idle.pid() == server_pid(idle)


def test_ensuring_a_running_server_leaves_it_alone(idle: EmbeddedServer) -> None:
    idle.ensure()
    pid = server_pid(idle)
    idle.ensure()
    assert server_pid(idle) == pid


def test_it_is_safe_by_its_settings(idle: EmbeddedServer) -> None:
    idle.ensure()
    with client_for(idle.url) as client:  # type: ignore[attr-defined]
        assert_fit(client)
        settings = client.config_get("appendfsync", "port", "unixsocketperm", "save")
    found = {_text(name): _text(value) for name, value in settings.items()}
    assert found == {"appendfsync": "always", "port": "0", "unixsocketperm": "700", "save": ""}


def test_stopping_says_whether_one_was_running_and_frees_the_folder(idle: EmbeddedServer) -> None:
    assert not idle.stop()
    idle.ensure()
    assert not lock_is_free(idle)
    assert idle.stop()
    assert lock_is_free(idle)
    assert not idle.is_running()
    assert not idle.stop()


def test_entries_are_there_again_after_a_stop(idle: EmbeddedServer) -> None:
    idle.ensure()
    write(idle, 500)
    idle.stop()
    idle.ensure()
    assert held(idle) == 500


def test_every_acknowledged_entry_is_there_again_after_kill_9(idle: EmbeddedServer) -> None:
    for count in (200, 400):
        idle.ensure()
        with client_for(idle.url) as client:  # type: ignore[attr-defined]
            for n in range(count - 199, count + 1):
                client.xadd(keys.CLOCK, {"prev": ""}, id=f"{n}-0")
        kill(idle)
        idle.ensure()
        assert held(idle) == count


def test_stale_pid_file_and_socket_do_no_harm(idle: EmbeddedServer) -> None:
    idle.ensure()
    old = kill(idle)
    assert idle.socket.exists()
    assert idle.pid() == old
    assert not idle.is_running()
    assert not idle.stop()
    idle.ensure()
    assert idle.pid() == server_pid(idle) != old


def test_a_stale_pid_that_is_somebody_else_now_is_not_signalled(idle: EmbeddedServer) -> None:
    idle.ensure()
    kill(idle)
    with children("print('up', flush=True); input(); print('well', flush=True)") as (innocent,):
        assert innocent.line() == "up"
        (idle.folder / "server.pid").write_text(f"{innocent.process.pid}\n")
        assert not idle.stop()
        innocent.go()
        assert innocent.line() == "well"


@pytest.mark.parametrize("content", ["", "junk\n", "-"])
def test_a_pid_file_that_says_nothing_is_no_pid(idle: EmbeddedServer, content: str) -> None:
    idle.folder.mkdir(parents=True)
    (idle.folder / "server.pid").write_text(content)
    assert idle.pid() is None
    idle.ensure()
    assert idle.pid() == server_pid(idle)


STARTER = """
import sys
from pathlib import Path
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
print("ready", flush=True)
input()
server.ensure()
print(client_for(server.url).info()["process_id"], server.pid(), flush=True)
input()
"""


def test_processes_that_start_it_at_once_end_with_one(idle: EmbeddedServer) -> None:
    with children(STARTER, str(idle.data_dir), count=4) as starters:
        assert [starter.line() for starter in starters] == ["ready"] * 4
        for starter in starters:
            starter.go()
        answers = {starter.line() for starter in starters}
        pid = server_pid(idle)
        assert answers == {f"{pid} {pid}"}
        assert not lock_is_free(idle)


def test_it_survives_the_kill_of_the_process_that_started_it(idle: EmbeddedServer) -> None:
    with children(STARTER, str(idle.data_dir)) as (starter,):
        starter.line()
        starter.go()
        pid = int(starter.line().split()[0])
        write(idle, 3)
        starter.kill()
    assert server_pid(idle) == pid
    assert held(idle) == 3
    assert not lock_is_free(idle)


def test_no_second_server_on_the_same_folder_even_if_the_first_cannot_be_reached(
    idle: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "START_TIMEOUT", 0.3)
    idle.ensure()
    pid = server_pid(idle)
    away = idle.socket.with_name("away.sock")
    idle.socket.rename(away)
    with pytest.raises(BusError, match=r"server\.log"):
        idle.ensure()
    assert idle.pid() == pid
    away.rename(idle.socket)
    assert server_pid(idle) == pid


def test_a_server_that_is_still_dying_is_replaced_once_it_is_gone(
    idle: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "START_TIMEOUT", 5)
    idle.folder.mkdir(parents=True)
    looks, answers = 0, EmbeddedServer._answers

    def look(server: EmbeddedServer, silence: float | None) -> bool:
        nonlocal looks
        looks += 1
        if looks == 3:  # by now the starter has found the lock taken and waits
            dying.close()
        return answers(server, silence)

    monkeypatch.setattr(EmbeddedServer, "_answers", look)
    with (idle.folder / "lock").open("w") as dying:
        fcntl.flock(dying, fcntl.LOCK_EX)
        idle.ensure()
    assert idle.is_running()


def test_waiting_for_a_server_that_does_not_come_ends_when_the_process_is_asked_to_end(idle: EmbeddedServer) -> None:
    """Somebody holds the data directory and answers nobody, such as a server that reads a large file."""
    idle.folder.mkdir(parents=True)
    answers = iter([False, False, True])
    with (idle.folder / "lock").open("w") as held_by_another:
        fcntl.flock(held_by_another, fcntl.LOCK_EX)
        with pytest.raises(BusError, match="asked to end"):
            idle.ensure(lambda: next(answers))
    assert list(answers) == []


def test_a_server_that_cannot_start_is_an_error_that_names_its_log(
    idle: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "START_TIMEOUT", 0.3)
    monkeypatch.setattr(embedded_module, "server_binary", lambda: "/bin/false")
    with pytest.raises(BusError, match=r"server\.log"):
        idle.ensure()


def test_the_environment_names_the_program_that_is_run(
    idle: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = embedded_module.server_binary()
    program = tmp_path / "own-server"
    program.write_text(f'#!/bin/sh\ntouch "{tmp_path}/was-run"\nexec "{real}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for name in (str(program), "./own-server"):
        monkeypatch.setenv(BINARY_VARIABLE, name)
        idle.ensure()
        idle.stop()
        (tmp_path / "was-run").unlink()


def test_a_program_that_goes_by_the_name_it_is_called_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's redis-server is a link to redis-check-rdb, and becomes that when it is followed."""
    (tmp_path / "redis-check-rdb").write_text("#!/bin/sh\n")
    (tmp_path / "redis-check-rdb").chmod(0o755)
    (tmp_path / "redis-server").symlink_to("redis-check-rdb")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(BINARY_VARIABLE, "redis-server")
    assert embedded_module.server_binary() == str(tmp_path / "redis-server")


@pytest.mark.parametrize("missing", ["/no/such/server", "no-such-server"])
def test_a_program_that_is_not_there_is_an_error_and_no_other_is_run(
    idle: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, missing)
    with pytest.raises(BusError, match=f"{BINARY_VARIABLE}: found '{missing}'"):
        idle.ensure()
    assert not idle.is_running()


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands here")
    with pytest.raises(BusError, match=str(tmp_path / "data")):
        EmbeddedServer(tmp_path / "data").ensure()


def test_a_long_path_gets_its_socket_elsewhere_for_this_user_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as short:  # short enough for a socket
        monkeypatch.setattr(tempfile, "tempdir", short)
        long = EmbeddedServer(tmp_path / ("deep" * 20) / ("er" * 30))
        twin = EmbeddedServer(tmp_path / ("deep" * 20) / ("er" * 29))
        assert len(str(long.folder / "server.sock")) > MAX_SOCKET_PATH >= len(str(long.socket))
        assert long.socket != twin.socket
        try:
            long.ensure()
            assert long.socket.parent.stat().st_mode & 0o777 == 0o700
            write(long, 2)
            kill(long)
            long.ensure()
            assert held(long) == 2
        finally:
            long.stop()


def test_a_long_path_spelled_another_way_is_the_same_server(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("er" * 30)
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder.parent)
    spellings = [folder, folder / ".." / folder.name, tmp_path / "link" / folder.name]
    first, *others = map(EmbeddedServer, spellings)
    try:
        first.ensure()
        assert [other.is_running() for other in others] == [True, True]
    finally:
        first.stop()


@pytest.mark.parametrize("name", ["my data", "ü", "100%25", "a#1", "what?", "it's", 'say "so"'])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    embedded = EmbeddedServer(tmp_path / name)
    try:
        embedded.ensure()
        write(embedded, 1)
        assert held(embedded) == 1
    finally:
        embedded.stop()


def test_asking_whether_it_runs_is_one_attempt(idle: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill the socket refuses; asking again and again by itself would only delay the start."""
    idle.folder.mkdir(parents=True)
    monkeypatch.chdir(idle.folder)
    attempts, done = [], threading.Event()

    def hang_up() -> None:
        while not done.is_set():
            client, _ = listener.accept()
            client.close()
            attempts.append(1)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("server.sock" if idle.socket.parent == idle.folder else str(idle.socket))
        listener.listen()
        thread = threading.Thread(target=hang_up)
        thread.start()
        assert not idle.is_running()
        made = len(attempts)
        done.set()
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(listener.getsockname())
        thread.join()
    idle.socket.unlink()
    assert made == 1


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
