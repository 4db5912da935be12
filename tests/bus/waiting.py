"""Waiting for a condition, and other processes to play against."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

DEADLINE_S: Final = 90.0
"""How long anything may take on a busy machine before a test gives up on it."""


def until(condition: Callable[[], object], what: str) -> None:
    """Return as soon as a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"did not happen in {DEADLINE_S:g} s: {what}"
        time.sleep(0.01)  # what is waited for happens in other processes, which tell nobody


def ended(pid: int) -> bool:
    """Tell whether a process is gone, or dead and not yet collected by its parent."""
    try:
        stat = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    except OSError:  # no ps on this machine
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].strip() if Path(f"/proc/{pid}").exists() else ""
    return not stat or stat.startswith("Z")


class Child:
    """A Python process that runs a script, prints lines and waits for lines on its input."""

    def __init__(self, script: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def line(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_S)
        assert ready, "the process printed nothing in time"
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        """Let it go on from its next ``input()``."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kill it and everything in its process group, as a closed terminal or an out-of-memory killer would."""
        os.killpg(self.process.pid, 9)
        self.process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def children(script: str, *arguments: str, count: int = 1) -> Iterator[list[Child]]:
    """Run a script in several processes at once; all are gone after the block."""
    running = [Child(script, *arguments) for _ in range(count)]
    try:
        yield running
    finally:
        for child in running:
            child.close()
