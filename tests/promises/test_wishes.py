"""What is asked of a running ``pine up`` and of its workers: wishes that come at once, mistakes made meanwhile."""

import threading
from pathlib import Path
from typing import Any

import pytest
from house import House, house, log
from waiting import until

from pine.bus import keys
from pine.core.errors import PineError
from pine.ops.supervisor.door import ask
from pine.orders.entries import Control
from pine.sandbox.demo.stage import Child
from pine.sandbox.tape import Tape


def shown(desk: House) -> dict[str, Any]:
    return ask(desk.config.data_dir, {"do": "show"})


def states(desk: House) -> dict[str, str]:
    """Return how each process is, by name; nothing while nobody says so."""
    try:
        return {one["name"]: one["state"] for one in shown(desk)["processes"]}
    except PineError:
        return {}


def begun(desk: House) -> Child:
    up = desk.start("up --only two")
    until(lambda: desk.running(up) and states(desk).get("worker two") == "running", "the worker runs")
    until(lambda: "worker ready" in log(up) or "waiting" in log(up), "the worker is ready")
    return up


@pytest.mark.long
def test_the_last_of_many_wishes_holds_and_a_halt_needs_no_flawless_configuration(tape: Tape, tmp_path: Path) -> None:
    with house(tmp_path, tape) as desk:
        desk.hub()
        begun(desk)
        told: dict[int, object] = {}

        def wish(number: int, do: str) -> None:
            told[number] = ask(desk.config.data_dir, {"do": do, "name": "two"})["processes"][0]["state"]

        wishes = ["stop", "start", "stop", "restart", "stop", "start"]
        threads = [threading.Thread(target=wish, args=each) for each in enumerate(wishes)]
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda number=number: shown(desk)["wishes"] == number + 1, "it has its place among them")
        for thread in threads:
            thread.join()
        assert list(dict(sorted(told.items())).values()) == [
            "stopped",
            "running",
            "stopped",
            "running",
            "stopped",
            "running",
        ]
        assert states(desk)["worker two"] == "running"

        until(lambda: desk.client.exists(keys.lease("worker:two")), "the worker leads")
        desk.configure("hub: {", "hub: {no: such, ")
        halted = desk.run("halt", "two", "--reason", "whatever is wrong")
        assert (halted.returncode, "halt booked" in halted.stdout) == (0, True), halted.stdout + halted.stderr
        assert [entry.order for entry in desk.ledger("two") if isinstance(entry, Control)] == ["halt"]
        refused = desk.run("up", "--restart", "two")
        assert (refused.returncode, "the configuration has mistakes" in refused.stderr) == (2, True), refused.stderr
        stopped = desk.run("up", "--stop", "two")
        assert (stopped.returncode, states(desk)["worker two"]) == (0, "stopped"), stopped.stderr
