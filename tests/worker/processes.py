"""Workers as processes of their own, for a test to kill."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define
from waiting import until

from pine.core.config import Config

DEADLINE_S = 60.0


@define
class Process:
    """The worker of strategy ``one``."""

    folder: Path
    config: Config
    running: subprocess.Popen[bytes]

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def until(self, condition: Callable[[], object], what: str) -> None:
        def happened() -> object:
            assert self.running.poll() is None, self.said()
            return condition()

        until(happened, what)


@contextmanager
def started_in(folder: Path) -> Iterator[Callable[[Config], Process]]:
    """Start workers that write one log; none outlives the test."""
    begun: list[Process] = []

    def begin(config: Config) -> Process:
        with (folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "pine", "-c", str(config.path), "worker", "one"]
            running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ)
        begun.append(Process(folder, config, running))
        return begun[-1]

    try:
        yield begin
    finally:
        for process in begun:
            if process.running.poll() is None:
                process.running.kill()
            process.running.wait()
