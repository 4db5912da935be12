"""``pine up``: a worker that crashes at once, a hub that is killed, a request to end in any phase, its own end."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from house import END, House, at, ended, house, log
from waiting import ended as gone
from waiting import until

from pine.bus import keys
from pine.bus.connection import connect
from pine.core.errors import PineError
from pine.ops.supervisor.door import ask, door_of
from pine.orders.courier import nothing_owed
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.demo.stage import Child
from pine.sandbox.tape import Tape

NOON = at("2024-03-04T12:00")
AFTERNOON = at("2024-03-04T17:00")
STRATEGIES = "\nstrategies:\n"
CRASHING = """\
import os, signal, sys
from pine.core.timeframe import Timeframe
from pine.strategies.base import BacktraderStrategy

if sys.argv[3:5] == ["worker", "bad"]:
    print("no longer", flush=True)
    {crash}


class Bad(BacktraderStrategy):
    timeframes = (Timeframe.HOUR,)

    def next(self) -> None: ...
"""


def facts(desk: House) -> dict[str, Any]:
    """Return how each process is, by name; nothing while nobody says so."""
    try:
        return {one["name"]: one for one in ask(desk.config.data_dir, {"do": "show"})["processes"]}
    except PineError:
        return {}


def pid(desk: House, name: str) -> int | None:
    found = facts(desk).get(name)
    return None if found is None else found["pid"]


def processes(desk: House) -> dict[int, str]:
    """Return everything on this machine that works on the test's folder, the test's own process apart."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True).stdout.splitlines()
    split = (line.split(None, 1) for line in listed if str(desk.folder) in line)
    return {int(number): args for number, args in split if int(number) != os.getpid()}


@contextmanager
def household(tape: Tape, folder: Path) -> Iterator[tuple[House, Child]]:
    """Provide a desk on which ``pine up`` was asked to start everything, the server too."""
    with house(folder, tape) as desk:
        desk.server.stop()
        yield desk, desk.start("up")


def ready(desk: House, up: Child) -> None:
    """Wait until everything runs and the workers have their cursors."""
    everything = {"hub", "archive", "courier one", "worker one", "worker two"}
    until(lambda: desk.running(up) and {n for n, one in facts(desk).items() if one["pid"]} >= everything, "all run")
    until(lambda: log(up).count("worker ready") >= 2, "the workers are ready")


def left_behind(desk: House) -> None:
    """Assert that every lease is free and nothing is pending, as whoever comes next finds it."""
    client = connect(desk.config)
    held = [key.decode() for key in client.keys(keys.lease("*"))]  # type: ignore[attr-defined]
    pending = {
        name: client.xpending(keys.CLOCK, name)["pending"] for name in ("one", "two") if client.exists(keys.CLOCK)
    }
    client.close()
    assert held == []
    assert set(pending.values()) <= {0}


def test_a_worker_that_crashes_at_once_and_a_hub_that_is_killed_cost_no_bar_and_nobody_else(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    with house(tmp_path, tape) as desk:
        (tmp_path / "bad.py").write_text(CRASHING.format(crash="os.kill(os.getpid(), signal.SIGKILL)"))
        desk.configure(STRATEGIES, f"{STRATEGIES}  bad: {{type: 'bad:Bad', instruments: [GC]}}\n")
        up = desk.start("up")
        ready(desk, up)
        before = facts(desk)
        desk.play(NOON)
        desk.published(NOON)

        os.kill(before["hub"]["pid"], signal.SIGKILL)
        until(lambda: pid(desk, "hub") not in (None, before["hub"]["pid"]), "the hub is started again")
        until(lambda: facts(desk)["worker bad"]["state"] == "failing", "the crashing worker is shown as failing")
        second = desk.run("up")
        shown = desk.run("up", "--show")
        stopped = ask(desk.config.data_dir, {"do": "stop", "name": "two"})["processes"]
        desk.play(AFTERNOON)
        desk.decided("one", AFTERNOON)
        started = ask(desk.config.data_dir, {"do": "start", "name": "two"})["processes"]
        desk.play(END)
        for strategy in ("one", "two"):
            desk.decided(strategy, END)
        desk.delivered("one")
        found, after = desk.record(), facts(desk)
        up.process.send_signal(signal.SIGINT)

        assert ended(up) == 1
        assert differences(found, {name: unbroken[name] for name in found}) == []
        assert [(one["name"], one["state"], one["code"]) for one in stopped] == [("worker two", "stopped", 0)]
        assert after["worker two"]["pid"] == started[0]["pid"] != before["worker two"]["pid"]
        untouched = ("archive", "courier one", "worker one")
        assert [after[name]["pid"] for name in untouched] == [before[name]["pid"] for name in untouched]
        assert after["worker bad"]["last_lines"][-1] == "no longer"
        assert after["worker bad"]["restarts"] >= 3
        assert (second.returncode, f"process {up.process.pid}" in second.stderr) == (2, True)
        assert (shown.returncode, "no longer" in shown.stdout) == (1, True)
        assert "worker bad | no longer" in log(up)
        assert (desk.config.data_dir / "logs" / "worker-bad.log").read_text().startswith("no longer\n")
        assert not any(gone(one["pid"]) is False for one in after.values() if one["pid"])
        assert [args for args in processes(desk).values() if "-m pine" in args] == []
        assert desk.server.is_running()  # it was there before
        left_behind(desk)


@pytest.mark.long
def test_one_strategy_is_stopped_and_started_and_a_new_one_begun_and_nobody_else_notices(
    tape: Tape, tmp_path: Path
) -> None:
    with house(tmp_path, tape) as desk:
        up = desk.start("up --only one,hub")
        until(lambda: desk.running(up) and pid(desk, "worker one"), "the worker runs")
        assert door_of(desk.config.data_dir).stat().st_mode & 0o777 == 0o600
        until(lambda: "worker ready" in log(up), "the worker is ready")
        before = facts(desk)
        assert list(before) == ["hub", "courier one", "worker one"]

        begun = desk.run("up", "--start", "two")
        assert begun.returncode == 0, begun.stderr
        until(lambda: log(up).count("worker ready") == 2, "the new worker is ready")
        stopped = ask(desk.config.data_dir, {"do": "stop", "name": "one"})["processes"]
        assert [(one["name"], one["state"], one["code"]) for one in stopped] == [
            ("courier one", "stopped", 0),
            ("worker one", "stopped", 0),
        ]
        again = ask(desk.config.data_dir, {"do": "restart", "name": "one"})["processes"]
        assert all(one["pid"] and one["pid"] != before[one["name"]]["pid"] for one in again)
        assert pid(desk, "hub") == before["hub"]["pid"]
        wrong = desk.run("up", "--stop", "twoo")
        assert (wrong.returncode, "did you mean two?" in wrong.stderr) == (2, True)
        up.process.send_signal(signal.SIGTERM)
        assert ended(up) == 0
        assert [args for args in processes(desk).values() if "-m pine" in args] == []


def hub_runs(desk: House, up: Child) -> None:
    """Come to where the hub was started, and the workers were not."""
    until(lambda: desk.running(up) and pid(desk, "hub"), "the hub runs")


def all_run(desk: House, up: Child) -> None:
    """Come to where the desk works, with more to decide and to post."""
    ready(desk, up)
    desk.play(NOON)
    until(lambda: desk.broker.requests, "something is posted")


def locked(desk: House, up: Child) -> None:
    """Come to where nothing but a lock is there."""
    until(lambda: desk.running(up) and door_of(desk.config.data_dir).exists(), "it has begun")


def hub_is_awaited(desk: House, up: Child) -> None:
    """Come to where a killed hub waits to be started again."""
    ready(desk, up)
    os.kill(pid(desk, "hub") or 0, signal.SIGKILL)
    until(lambda: facts(desk)["hub"]["again_in_s"], "the hub waits")


def is_stopping(desk: House, up: Child) -> None:
    """Come to where it ends already, and a courier has something left to post."""
    all_run(desk, up)
    up.process.send_signal(signal.SIGINT)
    until(lambda: "stopping" in log(up), "it stops")


Phase = Callable[[House, Child], None]


@pytest.mark.parametrize(
    ("phase", "asked", "code"),
    [
        (hub_runs, signal.SIGINT, 0),
        (all_run, signal.SIGINT, 0),
        pytest.param(locked, signal.SIGINT, 0, marks=pytest.mark.long),
        pytest.param(locked, signal.SIGTERM, 0, marks=pytest.mark.long),
        pytest.param(hub_runs, signal.SIGHUP, 0, marks=pytest.mark.long),
        pytest.param(all_run, signal.SIGTERM, 0, marks=pytest.mark.long),
        pytest.param(all_run, signal.SIGHUP, 0, marks=pytest.mark.long),
        pytest.param(hub_is_awaited, signal.SIGINT, 1, marks=pytest.mark.long),
        pytest.param(is_stopping, signal.SIGINT, 0, marks=pytest.mark.long),
        pytest.param(is_stopping, signal.SIGTERM, 0, marks=pytest.mark.long),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_request_to_end_in_any_phase_leaves_no_process_lease_or_step_behind(
    phase: Phase, asked: signal.Signals, code: int, tape: Tape, tmp_path: Path
) -> None:
    with household(tape, tmp_path) as (desk, up):
        phase(desk, up)
        known = [one["pid"] for one in facts(desk).values() if one["pid"]]
        up.process.send_signal(asked)
        assert ended(up) == code, log(up)
        assert [number for number in known if not gone(number)] == []
        assert processes(desk) == {}
        desk.server.ensure()
        if phase is hub_is_awaited:
            desk.client.delete(keys.lease(keys.HUB))  # of the killed one; it would run out
        left_behind(desk)


def test_when_it_is_killed_everything_it_has_started_ends_in_order(tape: Tape, tmp_path: Path) -> None:
    with household(tape, tmp_path) as (desk, up):
        all_run(desk, up)
        known = {name: one["pid"] for name, one in facts(desk).items()}
        up.process.kill()
        ended(up)
        until(lambda: all(map(gone, known.values())), "everything it has started is gone")
        assert [args for args in processes(desk).values() if "-m pine" in args] == []
        left_behind(desk)
        assert desk.server.is_running()  # as after any process that is killed; the next pine up takes it for its own
        following = desk.start("up hub")
        hub_runs(desk, following)
        desk.client.close()
        following.process.send_signal(signal.SIGINT)
        assert ended(following) == 0, log(following)
        assert processes(desk) == {}
        logs = desk.config.data_dir / "logs"
        assert {path.stem for path in logs.iterdir()} >= {"up", "hub", "archive", "worker-one"}


@pytest.mark.long
@pytest.mark.parametrize(
    "crash",
    [
        "raise SystemError('broken')",
        "sys.exit(5)",
        "os._exit(1)",
        "import subprocess; subprocess.Popen([sys.executable, '-c', 'input()', __file__], stdin=0); os._exit(1)",
    ],
    ids=["raises", "exits", "vanishes", "leaves a process"],
)
def test_a_worker_that_crashes_in_another_way_is_failing_too(crash: str, tape: Tape, tmp_path: Path) -> None:
    with house(tmp_path, tape) as desk:
        (tmp_path / "bad.py").write_text(CRASHING.format(crash=crash))
        desk.configure(STRATEGIES, f"{STRATEGIES}  bad: {{type: 'bad:Bad', instruments: [GC]}}\n")
        up = desk.start("up")
        ready(desk, up)
        until(lambda: facts(desk)["worker bad"]["failing"], "the crashing worker is shown as failing")
        desk.play(NOON)
        desk.decided("one", NOON)
        desk.decided("two", NOON)
        up.process.send_signal(signal.SIGINT)
        assert ended(up) == 1
        assert [args for args in processes(desk).values() if "server.sock" not in args] == []


@pytest.mark.long
@pytest.mark.parametrize("times", [2, 3])
def test_a_process_that_does_not_end_is_killed_and_that_is_told(times: int, tape: Tape, tmp_path: Path) -> None:
    with household(tape, tmp_path) as (desk, up):
        ready(desk, up)
        os.kill(pid(desk, "worker two") or 0, signal.SIGSTOP)
        for n in range(times):
            up.process.send_signal(signal.SIGINT)
            until(lambda n=n: "stopping at once" in log(up) or (n == 0 and "stopping" in log(up)), "it was heard")
        assert ended(up) == 1
        assert "it did not end in time" in log(up)
        assert processes(desk) == {}


@pytest.mark.long
def test_what_a_courier_owes_is_posted_before_the_end_or_stays_in_the_ledger(tape: Tape, tmp_path: Path) -> None:
    with household(tape, tmp_path) as (desk, up):
        all_run(desk, up)
        desk.decided("one", NOON)
        up.process.send_signal(signal.SIGINT)
        assert ended(up) == 0, log(up)
        desk.server.ensure()
        assert nothing_owed(desk.client, "one")
        assert sorted(desk.posted()) == sorted(intent.id for intent in desk.intents("one"))
