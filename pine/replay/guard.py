"""A process that outlives a replay which is killed, and then ends what it has started: workers, server, folder.

It is told on its standard input, a line each, which processes were started and ended; when that closes before it was
told that all is over, the replay is gone. It removes nothing else than the folder it was given.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from attrs import frozen

STARTED: Final = "+"
ENDED: Final = "-"
OVER: Final = "over"


@frozen(eq=False)
class Guard:
    """Tells the guarding process; if that is gone, nothing is lost but what it is for."""

    _told: IO[bytes]

    def started(self, pid: int) -> None:
        """Say that a process is to be ended with the replay."""
        self._tell(f"{STARTED}{pid}")

    def ended(self, pid: int) -> None:
        """Say that a process is no more; its number may become another's."""
        self._tell(f"{ENDED}{pid}")

    def over(self) -> None:
        """Say that everything was ended and removed."""
        self._tell(OVER)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._told.write(f"{line}\n".encode())
            self._told.flush()


@contextlib.contextmanager
def guarded(folder: Path) -> Iterator[Guard]:
    """Provide a guard over a folder with a private server in its folder ``data``."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "pine.replay.guard", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    guard = Guard(process.stdin)
    try:
        yield guard
    finally:
        guard.over()
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()


def watch(lines: Iterable[str], folder: Path) -> bool:
    """Follow what a replay tells until it is over or gone; return whether it was gone, and everything was ended.

    Parameters
    ----------
    lines
        What it tells.
    folder
        What it must not leave behind.
    """
    pids: set[int] = set()
    for line in map(str.strip, lines):
        if line == OVER:
            return False
        if line.startswith(STARTED):
            pids.add(int(line.removeprefix(STARTED)))
        elif line.startswith(ENDED):
            pids.discard(int(line.removeprefix(ENDED)))
    for pid in pids:  # before the server, which they would start again
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    from pine.bus.embedded import EmbeddedServer

    EmbeddedServer(folder / "data").stop()
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # unless there are runs
    return True


if __name__ == "__main__":
    watch(sys.stdin, Path(sys.argv[1]))
