"""Start: commands that a person waits for, against Python importing what they cannot do without."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Final

from pine.bench.house import publishing, server
from pine.bench.market import closed_market, configure
from pine.bench.measure import timed
from pine.bench.row import Aim, Bench, BenchError, Row, Sides, Taken
from pine.ops.process import pine_command

CONFIG: Final = """\
data_dir: data
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, instruments: [ES, GC]}
  two: {type: breakout, instruments: [GC]}
"""
IMPORTING: Final = [sys.executable, "-P", "-c", "import click, redis"]


def _spent(command: Sequence[str], codes: tuple[int, ...] = (0,), says: bytes = b"") -> Taken:
    # What is installed is compiled once; a shell that forbids that would have only ours compiled at each start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done, spent = timed(lambda: subprocess.run(command, capture_output=True, check=False, env=environment))
    if done.returncode not in codes:
        raise BenchError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.decode()[-300:]}")
    if says not in done.stdout:
        raise BenchError(f"{' '.join(command)}: found {done.stdout[:100]!r}, expected it to say {says!r}")
    return Taken(*spent.cost(1, 1e3))


def _sides(size: str, command: Sequence[str], codes: tuple[int, ...], says: bytes) -> Sides:
    theirs, ours = partial(_spent, IMPORTING), partial(_spent, command, codes, says)

    def same() -> str:
        theirs()
        ours()
        return "both start and end, and pine says what it was asked for"

    return Sides(size, theirs, ours, same)


@contextmanager
def ready_help(_: Bench) -> Iterator[Sides]:
    """Prepare nothing."""
    yield _sides("pine --help as a process", pine_command(["--help"]), (0,), b"Exit codes")


@contextmanager
def ready_status(bench: Bench) -> Iterator[Sides]:
    """Run a server with a session of two roots on it, and nobody else."""
    config = configure(bench.folder, CONFIG)
    with server(config) as client:
        with publishing(config, client) as publisher:
            publisher.publish(list(closed_market(("ES", "GC"), 1, 1_500)))
        command = pine_command(["-c", str(config.path), "status", "--json"])
        yield _sides(
            "pine status --json as a process, server running, hub and workers not",
            command,
            (0, 1),
            b"the hub is not running",
        )


def _row(name: str, path: str, ready: Callable[[Bench], AbstractContextManager[Sides]]) -> Row:
    against = 'python -c "import click, redis"'
    return Row(name, path, against, Aim(at_most=2.0), "ms", ready, clock="cpu", repeat=15)


HELP: Final = _row("help", "pine --help", ready_help)
STATUS: Final = _row("status", "pine status", ready_status)
