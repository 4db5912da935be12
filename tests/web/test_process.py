"""``pine dashboard`` as a process: what it serves, whom it refuses, what it leaves, and how it ends."""

import base64
import http.client
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from attrs import frozen
from market import configure
from waiting import until

from pine.bus.embedded import EmbeddedServer

from .conftest import TEXT, Dashboard, dashboard, served

TOKEN = "HIDDEN-correct-horse"
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport="
SECONDS = 60


@frozen
class Answer:
    status: int
    text: str
    headers: dict[str, str]


def ask(port: int, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        found = connection.getresponse()
        return Answer(found.status, found.read().decode(), {name.lower(): value for name, value in found.getheaders()})
    finally:
        connection.close()


def websocket(port: int, **headers: str) -> int:
    """Return the status with which a websocket is answered."""
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    asked = {"Host": f"127.0.0.1:{port}", **upgrade, **headers}
    lines = [f"GET {SOCKET}websocket HTTP/1.1", *(f"{name}: {value}" for name, value in asked.items())]
    with socket.create_connection(("127.0.0.1", port), SECONDS) as plain:
        plain.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(plain.recv(4096).split(b" ")[1])


@pytest.fixture(scope="module")
def house(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a configuration and a filled server."""
    folder = tmp_path_factory.mktemp("house")
    configure(folder, TEXT)
    with served(filled, folder):
        yield folder


@pytest.fixture(scope="module")
def plain(house: Path) -> Iterator[Dashboard]:
    with dashboard(house) as running:
        yield running


@pytest.fixture(scope="module")
def locked(house: Path) -> Iterator[Dashboard]:
    (house / "locked.yaml").write_text(f"{TEXT}\ndashboard: {{host: 0.0.0.0, token: {TOKEN}}}\n")
    with dashboard(house, "-c", str(house / "locked.yaml")) as running:
        yield running
        assert TOKEN not in running.said


def test_the_page_comes_with_what_there_is_to_see(plain: Dashboard) -> None:
    found = ask(plain.port, "/")
    assert found.status == 200
    for text in ("worker one is not running: pine worker one", "last refusal", "Halt all", "paper only"):
        assert text in found.text
    assert "HIDDENHOOK" not in found.text
    assert "http://" not in found.text.replace("http://www.w3.org", "")
    assert "https://" not in found.text


def test_health_is_told_and_nothing_else(plain: Dashboard) -> None:
    found = ask(plain.port, "/healthz")
    assert (found.status, json.loads(found.text)) == (200, {"status": "ok"})


def test_pages_of_others_get_neither_page_nor_websocket(plain: Dashboard) -> None:
    assert websocket(plain.port, Origin=f"http://127.0.0.1:{plain.port}") == 101
    assert websocket(plain.port, Origin="http://evil.example") == 403
    assert websocket(plain.port, Host="evil.example", Origin="http://evil.example") == 403
    assert ask(plain.port, SOCKET + "polling", origin="http://evil.example").status == 403
    assert ask(plain.port, "/", host="evil.example").status == 403


def test_the_token_guards_page_routes_and_websocket(locked: Dashboard) -> None:
    port = locked.port
    login = ask(port, "/")
    assert ("password" in login.text, "worker" in login.text) == (True, False)
    assert ask(port, SOCKET + "polling").status == 401
    assert websocket(port, Origin=f"http://127.0.0.1:{port}") == 403
    wrong = ask(port, "/login", method="POST", body=urlencode({"token": "wrong"}))
    assert (wrong.status, "set-cookie" in wrong.headers) == (401, False)
    right = ask(port, "/login", method="POST", body=urlencode({"token": TOKEN}))
    cookie = right.headers["set-cookie"].split(";")[0]
    page = ask(port, "/", cookie=cookie)
    assert "worker one is not running" in page.text
    assert TOKEN not in page.text
    assert websocket(port, Origin=f"http://127.0.0.1:{port}", Cookie=cookie) == 101


def test_what_is_kept_is_in_the_data_folder_and_nobody_elses_to_read(house: Path, plain: Dashboard) -> None:
    secret = house / "data" / "dashboard" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert not (house / ".nicegui").exists()


def test_a_port_that_somebody_has_is_one_line_and_exit_code_2(house: Path, plain: Dashboard) -> None:
    code, said = refused(house, "--port", str(plain.port))
    assert code == 2
    assert f"127.0.0.1:{plain.port}: somebody listens there already" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # refused
def test_others_are_not_let_in_without_a_token(host: str, house: Path) -> None:
    code, said = refused(house, "--host", host)
    assert code == 2
    assert f"found {host}, which others can reach, and no token; set dashboard.token" in said


def refused(folder: Path, *arguments: str) -> tuple[int, str]:
    from click.testing import CliRunner

    from pine.cli.main import cli

    done = CliRunner().invoke(cli, ["-c", str(folder / "pine.yaml"), "dashboard", *arguments])
    return done.exit_code, done.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_it_lives_without_a_server_sees_one_that_comes_and_ends_when_asked(
    number: signal.Signals, tmp_path: Path
) -> None:
    configure(tmp_path, TEXT)
    server = EmbeddedServer(tmp_path / "data")
    with dashboard(tmp_path) as running:
        assert ask(running.port, "/healthz").status == 503
        assert "no server runs" in ask(running.port, "/").text
        server.ensure()
        until(lambda: ask(running.port, "/healthz").status == 200, "the server is seen")
        with socket.create_connection(("127.0.0.1", running.port)) as open_still:
            open_still.sendall(b"GET / HTTP/1.1\r\n")
            running.process.send_signal(number)
            assert running.process.wait(SECONDS) == 0
        assert "Traceback" not in running.said
    server.stop()
