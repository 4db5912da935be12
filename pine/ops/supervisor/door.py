"""How one ``pine up`` is found by another: a locked file that says who runs, and a socket that takes requests."""

import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from pine.bus.sockets import make_room, socket_path
from pine.core.errors import PineError

READ_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 120.0
"""Seconds that a request is given: a worker may have a long step to finish, a courier something to post."""

KNOCK_SECONDS: Final = 1.0
LONGEST_REQUEST: Final = 65_536

Answering = Callable[[dict[str, Any]], dict[str, Any]]


def door_of(data_dir: Path) -> Path:
    """Return the path of the socket."""
    return socket_path(data_dir, "up.sock")


@contextlib.contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Be the only supervisor of a data directory; the lock is gone with this process, however it ends.

    Raises
    ------
    PineError
        If there is another, and the message says which; or if the folder cannot be used.
    """
    path = data_dir / "up.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    except OSError as error:
        raise PineError(f"data_dir {data_dir}: cannot be used: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().strip() or "another process"
            raise PineError(
                f"pine up runs already in {data_dir}: process {who}. See how it is with pine up --show, start and "
                "stop one strategy with --start NAME and --stop NAME"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def is_supervised(data_dir: Path) -> bool:
    """Tell whether a supervisor of a data directory runs: its door opens, which a killed one's does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(KNOCK_SECONDS)
        try:
            connection.connect(str(door_of(data_dir)))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def open_door(data_dir: Path, answer: Answering) -> Iterator[None]:
    """Take requests of this user, a thread each, for as long as the block lasts.

    Parameters
    ----------
    data_dir
        Whose supervisor this is; its lock is held.
    answer
        Returns what to say to a request; may take its time.
    """
    path = door_of(data_dir)
    try:
        make_room(path)
        path.unlink(missing_ok=True)  # of one that was killed
        listening = _listen(path)
    except OSError as error:
        raise PineError(f"{path}: cannot be made: {error.strerror}") from None
    with listening:
        threading.Thread(target=_serve, args=(listening, answer), name="door", daemon=True).start()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # nobody else's, not for a moment
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    listening.listen()
    return listening


def _serve(listening: socket.socket, answer: Answering) -> None:
    with contextlib.suppress(OSError):  # the door is closed
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_attend, args=(connection, answer), name="request", daemon=True).start()


def _attend(connection: socket.socket, answer: Answering) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(READ_SECONDS)
        with connection.makefile("rb") as asked:
            line = asked.readline(LONGEST_REQUEST)
        try:
            said = answer(orjson.loads(line))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            said = {"error": "this is no request"}
        except PineError as error:
            said = {"error": str(error)}
        connection.sendall(orjson.dumps(said) + b"\n")


def ask(data_dir: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the running supervisor of a data directory and return its answer.

    Raises
    ------
    PineError
        If none runs, it does not answer, or it refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(door_of(data_dir)))
            connection.sendall(orjson.dumps(request) + b"\n")
            with connection.makefile("rb") as said:
                line = said.readline()
            answer: dict[str, Any] = orjson.loads(line)
        except (FileNotFoundError, ConnectionRefusedError):
            raise PineError(f"no pine up runs in {data_dir}") from None
        except (OSError, orjson.JSONDecodeError):
            raise PineError(f"pine up in {data_dir} does not answer") from None
    if "error" in answer:
        raise PineError(str(answer["error"]))
    return answer
