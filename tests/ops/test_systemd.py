"""Units for systemd: they start commands that exist, name places that the guide explains, and processes answer them."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from waiting import DEADLINE_S, until

import pine
from pine.bus import keys
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.heartbeat import path_of, read_file
from pine.cli.main import cli
from pine.core.config import load_config
from pine.strategies.catalog import PARAMS

ROOT = Path(pine.__file__).parents[1]
UNITS = ROOT / "tools" / "systemd"
GUIDE = (ROOT / "docs" / "systemd.md").read_text()
SERVICES = sorted(UNITS.glob("*.service"))
ELSEWHERE = {"alerts", "metrics", "dashboard"}
"""Commands of rooms above this one, which have tests of their own."""


def settings(path: Path) -> list[tuple[str, str]]:
    """Return the settings of a unit file, in order; a line that is none is a mistake."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith(("#", "["))]
    found = [re.fullmatch(r"([A-Z]\w*)=(.*)", line) for line in lines]
    assert None not in found, path
    return [(match[1], match[2]) for match in found if match]


def value(path: Path, name: str) -> str:
    (found,) = [text for setting, text in settings(path) if setting == name]
    return found


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_exists_with_options_that_exist(path: Path) -> None:
    program, *words = value(path, "ExecStart").replace("%i", "NAME").split()
    assert program == "/opt/pine/.venv/bin/pine"
    if words[0] in ELSEWHERE:
        return
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        inner = command.get_command(click.Context(command), words[0])
        if inner is None:
            break
        command, words = inner, words[1:]
    with command.make_context("pine", words, resilient_parsing=False) as context:
        assert context.command is command


def test_every_path_and_every_unit_is_in_the_guide() -> None:
    files = [path for path in UNITS.rglob("*") if path.is_file()]
    text = "\n".join(path.read_text() for path in files)
    paths = set(re.findall(r"(?<![\w.:])/(?:opt|etc|var|run)/[\w./-]*\w", text))
    assert {path for path in paths if path not in GUIDE} == set()
    assert [path.name for path in files if path.name not in GUIDE] == []


def test_what_has_a_watchdog_tells_when_it_is_ready() -> None:
    watched = {path.name for path in SERVICES if "WatchdogSec" in dict(settings(path))}
    assert watched == {path.name for path in SERVICES if value(path, "Type") == "notify"}
    assert "pine-hub.service" in watched


def test_no_unit_stops_another_strategy() -> None:
    bound = {"Requires", "BindsTo", "PartOf", "Requisite", "Conflicts"}
    assert [(p.name, name) for p in SERVICES for name, _ in settings(p) if name in bound] == []
    common = dict(settings(UNITS / "pine-.service.d" / "10-pine.conf"))
    assert {name: common[name] for name in bound & common.keys()} == {"PartOf": "pine.target"}


def test_under_a_service_manager_the_server_is_its_own_and_processes_tell_how_they_are(tmp_path: Path) -> None:
    (tmp_path / "pine.yaml").write_text("data_dir: data\ninstruments: {ES: }\n")
    config = load_config(tmp_path / "pine.yaml", PARAMS, {})
    server = EmbeddedServer(config.data_dir)
    environment = {**os.environ, "PINE_STARTS_SERVER": "no", "NOTIFY_SOCKET": str(tmp_path / "notify")}

    def begin(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pine", "-c", str(config.path), *words]
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(environment["NOTIFY_SOCKET"])
        listener.settimeout(DEADLINE_S)
        processes = [begin("server", "run")]
        try:
            until(server.is_running, "the server answers")
            assert server.pid() == processes[0].pid
            again = begin("server", "run")
            assert again.wait(DEADLINE_S) == 2
            processes.append(begin("archive"))
            assert "READY=1" in listener.recv(4096).decode().split("\n")
            with client_for(server.url) as client:  # type: ignore[attr-defined]
                assert client.exists(keys.lease(keys.ARCHIVE))
            processes[0].send_signal(signal.SIGTERM)
            assert processes[0].wait(DEADLINE_S) == 0
            until(lambda: read_file(path_of(config, keys.ARCHIVE))["status"] == "server away", "the archive waits")
            assert not server.is_running()
            processes.append(begin("server", "run"))
            until(lambda: read_file(path_of(config, keys.ARCHIVE))["status"] == "running", "it goes on")
            processes[1].send_signal(signal.SIGTERM)
            assert processes[1].wait(DEADLINE_S) == 0
            told = ""
            while "STOPPING=1" not in told:
                told = listener.recv(4096).decode()
        finally:
            for process in processes:
                process.kill()
                process.wait()
