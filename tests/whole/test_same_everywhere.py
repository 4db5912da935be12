"""The same tape leads to the same streams: at any speed, and with processes killed on the way."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from stagecraft import Performance

from pine.bus import keys, streams
from pine.bus.embedded import EmbeddedServer
from pine.sandbox.demo.perform import perform, problems
from pine.sandbox.demo.record import Record, read_record
from pine.sandbox.demo.stage import Stage
from pine.sandbox.market import write_market

FIRST, LAST = 1709510400000, 1709683200000
"""First and last session's start of the tape, in ms."""


def play(
    tape: Path,
    folder: Path,
    speed: float | None = None,
    look: Callable[[Stage], None] = lambda _: None,
    until: int | None = None,
    may_be_unknown: bool = False,
) -> Record:
    """Run the system on a tape and return its streams, to a time in ns or to the end of the tape."""
    kept: Record = {}

    def keep(stage: Stage) -> None:
        kept.update(read_record(stage.client, stage.config, until or stage.tape_end))

    facts = perform(folder, [tape], speed, look, at_end=keep)
    wrong = problems(facts)
    if may_be_unknown:  # killed between attempt and answer: held and reported, as promised
        wrong = [problem for problem in wrong if "deliveries" not in problem and "webhooks" not in problem]
        for strategy in facts["strategies"].values():
            assert set(strategy["deliveries"]) <= {"posted", "unknown"}
            assert sum(strategy["deliveries"].values()) == strategy["entries"] + strategy["exits"]
    assert wrong == []
    return kept


def reached(stage: Stage, victim: str) -> int:
    """Return the step, in ms, that a process has come to."""
    if victim.startswith("worker"):
        cursor = streams.group_info(stage.client, keys.CLOCK, victim.split()[1])
        return streams.ms_of(cursor["last-delivered-id"])
    return streams.ms_of(streams.last_id(stage.client, keys.CLOCK) or "0")


@pytest.mark.parametrize("victim", ["hub", "worker ibs_a", "server"])
def test_a_process_killed_and_started_again_leaves_the_same_streams(
    victim: str, performance: Performance, tape: Path, tmp_path: Path
) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
    chance = random.Random(seed)
    at = sorted(FIRST + chance.uniform(0.05, 0.85) * (LAST - FIRST) for _ in range(2))
    killed: list[float] = []

    def look(stage: Stage) -> None:
        if len(killed) == len(at) or reached(stage, victim) < at[len(killed)]:
            return
        killed.append(at[len(killed)])
        if victim == "server":
            server = EmbeddedServer(stage.config.data_dir)
            os.kill(server.pid() or 0, signal.SIGKILL)
            server.ensure()
        else:
            stage.kill(victim)

    assert play(tape, tmp_path, look=look, may_be_unknown=victim == "server") == performance.record()
    assert len(killed) == 2


def test_two_speeds_give_the_same_streams(tmp_path: Path) -> None:
    tape = tmp_path / "short.dbn.zst"
    write_market(tape, ["ES", "GC"], 1, 3, trades_per_day=2000)
    (tmp_path / "max").mkdir()
    (tmp_path / "paced").mkdir()
    day_after = 1709676000_000_000_000  # an hour before the tail of heartbeats ends
    paced = play(tape, tmp_path / "paced", speed=15_000, until=day_after)
    assert play(tape, tmp_path / "max", until=day_after) == paced
    assert len(paced["market:ES:1min"]) > 500
