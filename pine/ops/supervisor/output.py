"""What processes print: every line whole, in a file of each, and shown in one view.

A file takes everything. The view takes it as fast as whoever looks can read: a process that prints more has to wait
for it, alone. If the view stands still (a terminal that was stopped), nobody waits: lines go to the files only.
"""

import contextlib
import threading
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import define, field

MAX_BYTES: Final = 10_000_000
KEPT: Final = 5
ROOM: Final = 2_000
"""Lines of one process that wait for the view at most."""

STILL_SECONDS: Final = 2.0
"""How long a process waits for room in the view before it stands still for everybody."""

LONGEST_LINE: Final = 65_536
"""Bytes after which a line that does not end is taken in pieces."""


@define(eq=False)
class LogFile:
    """A file that is set aside when it has grown: ``hub.log``, ``hub.log.1``, …, the newest first.

    Parameters
    ----------
    path
        Where it lies.
    max_bytes, kept
        When it is set aside, and how many of those are kept.
    """

    path: Path
    max_bytes: int = MAX_BYTES
    kept: int = KEPT
    _lock: threading.Lock = field(factory=threading.Lock)

    def write(self, line: bytes) -> None:
        """Append a line; a disk that cannot take it must not stop anybody."""
        with self._lock, contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size + len(line) > self.max_bytes:
                self._set_aside()
            with self.path.open("ab") as file:
                file.write(line + b"\n")

    def _set_aside(self) -> None:
        for n in range(self.kept - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._aside(n).rename(self._aside(n + 1))
        self.path.rename(self._aside(1))

    def _aside(self, n: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{n}")


class Screen(Protocol):
    """Whatever shows lines and states."""

    def write(self, lines: Sequence[tuple[str, str]]) -> None:
        """Show lines, each with the name of who printed it."""

    def draw(self, facts: dict[str, Any]) -> None:
        """Show how everybody is."""

    def close(self) -> None:
        """Leave the screen as it shall stay."""


@define(eq=False)
class Relay:
    """Takes lines from many processes to one screen, in a thread of its own.

    Parameters
    ----------
    screen
        Where they go.
    folder
        Of the log files.
    """

    screen: Screen
    folder: Path
    _changed: threading.Condition = field(factory=threading.Condition)
    _lines: deque[tuple[str, str]] = field(factory=deque)
    _waiting: Counter[str] = field(factory=Counter)
    _left_out: Counter[str] = field(factory=Counter)
    _facts: dict[str, Any] | None = None
    _still: bool = False
    _over: bool = False
    _files: dict[str, LogFile] = field(factory=dict)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to show what comes."""
        self._thread = threading.Thread(target=self._show, name="screen", daemon=True)
        self._thread.start()

    def file(self, name: str) -> LogFile:
        """Return the log file of a process."""
        with self._changed:
            return self._files.setdefault(name, LogFile(self.folder / f"{name.replace(' ', '-')}.log"))

    def take(self, name: str, line: bytes) -> str:
        """Keep a line of a process in its file and offer it to the view; return it as text."""
        self.file(name).write(line)
        text = line.decode(errors="replace")
        with self._changed:
            if self._waiting[name] >= ROOM and not self._still:
                self._still = not self._changed.wait_for(lambda: self._waiting[name] < ROOM, STILL_SECONDS)
            if self._waiting[name] >= ROOM:
                self._left_out[name] += 1
            else:
                self._lines.append((name, text))
                self._waiting[name] += 1
                self._changed.notify_all()
        return text

    def draw(self, facts: dict[str, Any]) -> None:
        """Show how everybody is, soon."""
        with self._changed:
            self._facts = facts
            self._changed.notify_all()

    def close(self) -> None:
        """Show what is left, unless the view stands still."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(STILL_SECONDS)

    def _show(self) -> None:
        try:
            while True:
                lines, facts, over = self._next()
                if lines:
                    self.screen.write(lines)
                if facts is not None:
                    self.screen.draw(facts)
                if over and not lines:
                    break
            self.screen.close()
        except (OSError, ValueError):  # nobody looks any more: a closed terminal, a pipe whose reader has ended
            self._discard()

    def _next(self) -> tuple[list[tuple[str, str]], dict[str, Any] | None, bool]:
        """Return what there is to show, as soon as there is something."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._facts or self._over)
            lines = list(self._lines)
            lines += [(name, self._told_left_out(name, count)) for name, count in self._left_out.items()]
            self._clear()
            facts, self._facts = self._facts, None
            return lines, facts, self._over

    def _told_left_out(self, name: str, count: int) -> str:
        return f"… {count} lines are not shown here; see {self._files[name].path}"

    def _clear(self) -> None:
        self._lines.clear()
        self._waiting.clear()
        self._left_out.clear()
        self._still = False
        self._changed.notify_all()

    def _discard(self) -> None:
        while not self._next()[2]:
            pass
