"""The file that tells an operator how a run is doing, whole at any moment."""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from pine.bus.heartbeat import put, read_file
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.times import isoformat

INTERVAL_S: Final = 2.0


def heartbeat_path(config: Config, strategy: str) -> Path:
    """Return where a strategy's heartbeat file is."""
    return config.data_dir / "legacy" / f"{strategy}.heartbeat.json"


def holds_live(said: dict[str, Any]) -> bool:
    """Tell whether a run that posted said last that something was open or on its way."""
    return bool(said.get("live") and (said.get("ordered") or said.get("positions")))


def own_path(config: Config, strategy: str, *, live: bool) -> Path:
    """Return where a run writes: one on paper leaves what a run that posted said of open positions as it is."""
    path = heartbeat_path(config, strategy)
    return path if live or not holds_live(read_file(path)) else path.with_name(f"{strategy}.paper.heartbeat.json")


@contextlib.contextmanager
def posting_alone(config: Config, strategy: str) -> Iterator[None]:
    """Be the only run that posts for a strategy: two would post every order twice.

    Raises
    ------
    PineError
        If another one posts for it, or no file can be made to tell.
    """
    path = heartbeat_path(config, strategy).with_name(f"{strategy}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a")
    except OSError as error:
        raise PineError(f"{path}: cannot be made: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PineError(f"{strategy}: another pine legacy --live posts for it, and holds {path}") from None
        yield


@define(eq=False)
class Heartbeat:
    """Writes facts into a file, every two seconds and when something changes.

    Parameters
    ----------
    path
        The file; its folder is made.
    facts
        Asked at each writing.
    """

    path: Path
    facts: Callable[[], dict[str, Any]]
    status: str = "starting"
    _began: float = field(factory=time.monotonic)
    _lock: threading.Lock = field(factory=threading.Lock)
    _ended: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write.

        Raises
        ------
        PineError
            If the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._write()
        except OSError as error:
            raise PineError(f"{self.path}: cannot be written: {error.strerror}") from None
        self._thread = threading.Thread(target=self._beat, name="legacy-heartbeat", daemon=True)
        self._thread.start()

    def say(self, status: str) -> None:
        """Change the status, and write it at once."""
        self.status = status
        self.note()

    def note(self) -> None:
        """Write at once; a full disk must not end trading, the file's age tells of it."""
        with contextlib.suppress(OSError):
            self._write()

    def end(self, status: str) -> None:
        """Write the last status; nothing is written after it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self.say(status)

    def _beat(self) -> None:
        while not self._ended.wait(INTERVAL_S):
            self.note()

    def _write(self) -> None:
        with self._lock:
            document = {
                "status": self.status,
                "updated_at": isoformat(time.time_ns() // 1000 * 1000),
                "pid": os.getpid(),
                "uptime_s": round(time.monotonic() - self._began, 1),
                **self.facts(),
            }
            put(self.path, document, durable=True)
