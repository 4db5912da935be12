"""One process that is supervised: its output is read, its end is told, and it ends when we do."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import IO, Final

from attrs import frozen

from pine.bus.ending import WITH_INPUT
from pine.ops.process import pine_command
from pine.ops.supervisor.output import LONGEST_LINE

READ_SECONDS: Final = 2.0
"""How long what a process has printed is read after its end; somebody else may hold its pipe."""

OURS: Final = frozenset(["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"])


@frozen(eq=False)
class Child:
    """A running process.

    It leads a session of its own, so that a terminal's Ctrl-C does not reach it, and its standard input is a pipe
    that nobody writes to: when this process is gone, however that came, the child finds it closed and ends in order.
    """

    process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls, arguments: Sequence[str], on_line: Callable[[bytes], None], on_end: Callable[[int], None]
    ) -> "Child":
        """Start ``pine`` with arguments.

        Parameters
        ----------
        arguments
            Of the command line.
        on_line
            Told each line of its output and of its errors, from threads of their own.
        on_end
            Told its exit code, after its last line; minus the number of the signal that killed it.

        Raises
        ------
        OSError
            If the system has no room for another process.
        """
        process = subprocess.Popen(
            pine_command(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**_environment(), WITH_INPUT: "1", "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        assert process.stderr is not None
        child = cls(process)
        readers = [
            threading.Thread(target=_read, args=(pipe, on_line), name=f"read {process.pid}", daemon=True)
            for pipe in (process.stdout, process.stderr)
        ]
        waiter = threading.Thread(target=child._wait, args=(readers, on_end), name=f"wait {process.pid}", daemon=True)
        for thread in (*readers, waiter):
            thread.start()
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def ask_to_end(self) -> None:
        """Have it end in order."""
        self.process.terminate()

    def kill(self) -> None:
        """End it at once, with whatever it has started in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.process.returncode is None:
                os.killpg(self.pid, signal.SIGKILL)

    def _wait(self, readers: Sequence[threading.Thread], on_end: Callable[[int], None]) -> None:
        if hasattr(os, "waitid"):  # not on macOS
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self.kill()  # what it has started and left, before its number may become another's
        code = self.process.wait()
        for reader in readers:
            reader.join(READ_SECONDS)
        assert self.process.stdin is not None
        self.process.stdin.close()
        on_end(code)


def _environment() -> dict[str, str]:
    """Return ours without what a service manager says to us alone."""
    return {name: value for name, value in os.environ.items() if name not in OURS}


def _read(pipe: IO[bytes], on_line: Callable[[bytes], None]) -> None:
    with pipe:
        while line := pipe.readline(LONGEST_LINE):
            on_line(line.rstrip(b"\r\n"))
