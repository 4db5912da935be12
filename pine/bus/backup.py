"""A copy of everything that the embedded server has acknowledged, made while it runs."""

import os
import shutil
import time
from pathlib import Path
from typing import Any, Final

import redis

from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.errors import BusError

AOF: Final = "appendonlydir"
REWRITE: Final = "auto-aof-rewrite-percentage"
REWRITE_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 0.05


def back_up(server: EmbeddedServer, folder: Path) -> int:
    """Copy the server's append-only files into a new folder; return the bytes.

    Everything that was acknowledged before the call is in the copy, and of what comes meanwhile a beginning. While it
    is made the server does not rewrite its files, so that they belong together.

    Raises
    ------
    BusError
        If the folder is there already, cannot be written, or the server does not let go of its files.
    """
    source = server.folder / AOF
    if not source.exists():
        raise BusError(f"{source}: is not there; nothing has run with this data_dir yet")
    if folder.exists() and any(folder.iterdir()):
        raise BusError(f"{folder}: is not empty; name a new folder")
    client = client_for(server.url) if server.is_running() else None
    try:
        if client is None:
            return _copy(source, folder)
        before = client.config_get(REWRITE)[REWRITE]
        client.config_set(REWRITE, "0")
        try:
            _await_rewrite(client)
            return _copy(source, folder)
        finally:
            client.config_set(REWRITE, before)
    except redis.RedisError as error:
        raise BusError(f"the embedded server does not answer: {error}") from None
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BusError(f"{error.filename or folder}: {error.strerror}") from None
    finally:
        if client is not None:
            client.close()


def _await_rewrite(client: Any) -> None:
    """Wait until a rewrite that is under way has ended."""
    deadline = time.monotonic() + REWRITE_SECONDS
    while (info := client.info())["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]:
        if time.monotonic() > deadline:
            raise BusError(f"the embedded server rewrites its files for more than {REWRITE_SECONDS:.0f} s; try again")
        time.sleep(LOOK_SECONDS)  # a server that rewrites tells nobody when it has ended


def _copy(source: Path, folder: Path) -> int:
    """Copy every file, the growing one last, and have it all on disk."""
    target = folder / AOF
    target.mkdir(parents=True)
    copied = 0
    for path in sorted(source.iterdir(), key=lambda path: ".incr." in path.name):
        with path.open("rb") as there, (target / path.name).open("wb") as here:
            shutil.copyfileobj(there, here)
            here.flush()
            os.fsync(here.fileno())
            copied += here.tell()
    return copied
