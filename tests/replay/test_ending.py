"""Ctrl-C ends replays of several strategies in order: nothing half written, no process left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from files import configured, made_market, write

from pine.bus import keys
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR
from pine.hub.imports import import_files

TEXT = """\
data_dir: data
warm_up: off
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, instruments: [ES, GC]}
  two: {type: breakout, instruments: [GC]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A desk with an archive of three sessions."""
    market = made_market("2024-01-08")
    begin = int(market.trades["ts_recv"][0]) // NS_PER_HOUR * NS_PER_HOUR
    made = configured(tmp_path / "desk", TEXT)
    file = write(tmp_path / "a.dbn.zst", market.trades, market.symbols, begin, begin + 3 * NS_PER_DAY)
    import_files(made, [file])
    return made


def test_ctrl_c_leaves_no_record_and_no_process(config: Config) -> None:
    process = started(config)
    deadline = time.monotonic() + 60
    while len(_group(process.pid)) < 3 and time.monotonic() < deadline:  # the command and a process for each strategy
        assert process.poll() is None, process.stderr.read()
    assert_ends_in_order(process, config)
    while _group(process.pid) and time.monotonic() < deadline:
        pass
    assert _group(process.pid) == []


def test_ctrl_c_ends_workers_and_their_server(config: Config) -> None:
    process = started(config, "--via", "bus")
    pids = under_way(process, config)
    assert_ends_in_order(process, config)
    assert [pid for pid in pids if is_alive(pid)] == []


def test_a_replay_that_is_killed_leaves_no_worker_and_no_server(config: Config) -> None:
    process = started(config, "--via", "bus")
    pids = under_way(process, config)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while (config.data_dir / "runs").exists() and time.monotonic() < deadline:
        pass
    assert not (config.data_dir / "runs").exists()
    assert [pid for pid in pids if is_alive(pid)] == []


def test_processes_of_a_replay_that_is_killed_end_and_leave_no_record(config: Config) -> None:
    process = started(config)
    deadline = time.monotonic() + 60
    while len(_group(process.pid)) < 4 and time.monotonic() < deadline:  # and Python's resource tracker
        assert process.poll() is None, process.stderr.read()
    process.kill()
    process.communicate(timeout=60)
    while _group(process.pid) and time.monotonic() < deadline:
        pass
    assert _group(process.pid) == []
    assert not (config.data_dir / "runs").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_ended_while_it_reads_trades_it_leaves_no_spool(config: Config, tmp_path: Path, how: signal.Signals) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    command = [sys.executable, "-m", "pine", "-c", str(config.path), "replay", "--speed", "60", "--source"]
    process = subprocess.Popen([*command, str(tmp_path / "a.dbn.zst")], env={**os.environ, "TMPDIR": str(spools)})
    while not list(spools.glob("pine-replay-*")):
        assert process.poll() is None
    process.send_signal(how)
    assert process.wait(60) == 1
    assert list(spools.glob("pine-replay-*")) == []


def started(config: Config, *more: str) -> subprocess.Popen[str]:
    """Start a replay that takes long, in a process group of its own."""
    command = [sys.executable, "-m", "pine", "-c", str(config.path), "replay", "--speed", "60", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def assert_ends_in_order(process: subprocess.Popen[str], config: Config) -> None:
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "stopped before the end; no record is kept" in err
    assert "Traceback" not in err
    assert not (config.data_dir / "runs").exists()


def under_way(process: subprocess.Popen[str], config: Config) -> list[int]:
    """Wait until both workers have done a step over a private server; return their process ids and the server's."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        for folder in (config.data_dir / "runs").glob(".bus-*"):
            server = EmbeddedServer(folder / "data")
            if server.is_running():
                client = client_for(server.url)
                beats = [client.hgetall(keys.heartbeat(f"worker:{name}")) for name in ("one", "two")]
                client.close()
                if all(int(beat.get(b"steps", 0)) for beat in beats):
                    return [*(int(beat[b"pid"]) for beat in beats), server.pid() or 0]
    raise AssertionError("found no two workers in a minute")


def is_alive(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(listed.stdout.strip()) and not listed.stdout.startswith("Z")


def _group(leader: int) -> list[int]:
    """Return the processes of a group that live; resource trackers of Python count too, and end with it."""
    listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, group, stat in rows if int(group) == leader and not stat.startswith("Z")]
