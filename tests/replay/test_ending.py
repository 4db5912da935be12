"""Ctrl-C ends replays of several strategies in order: nothing half written, no process left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from files import configured, made_market, write

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


def test_ctrl_c_leaves_no_record_and_no_process(tmp_path: Path) -> None:
    market = made_market("2024-01-08")
    begin = int(market.trades["ts_recv"][0]) // NS_PER_HOUR * NS_PER_HOUR
    config = configured(tmp_path / "desk", TEXT)
    file = write(tmp_path / "a.dbn.zst", market.trades, market.symbols, begin, begin + 3 * NS_PER_DAY)
    import_files(config, [file])
    command = [sys.executable, "-m", "pine", "-c", str(config.path), "replay", "--speed", "60"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(_group(process.pid)) < 3 and time.monotonic() < deadline:  # the command and a process for each strategy
        assert process.poll() is None, process.stderr.read()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "stopped before the end; no record is kept" in err
    assert "Traceback" not in err
    assert not (config.data_dir / "runs").exists()
    while _group(process.pid) and time.monotonic() < deadline:
        pass
    assert _group(process.pid) == []


def _group(leader: int) -> list[int]:
    """Return the processes of a group that live; resource trackers of Python count too, and end with it."""
    listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, group, stat in rows if int(group) == leader and not stat.startswith("Z")]
