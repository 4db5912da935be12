"""A copy of everything that the embedded server has acknowledged, made while it runs."""

import contextlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

import redis

from pine.bus.connection import client_for
from pine.bus.durable import put, sync
from pine.bus.embedded import EmbeddedServer
from pine.core.errors import BusError
from pine.core.times import isoformat

AOF: Final = "appendonlydir"
MANIFEST: Final = "appendonly.aof.manifest"
RECORD: Final = "backup.json"
"""Written last: a folder with it is complete."""


def back_up(server: EmbeddedServer, folder: Path, now: int) -> int:
    """Copy the server's append-only files into a new folder; return the bytes.

    Everything that was acknowledged before the call is in the copy, and of what comes meanwhile a beginning. The files
    are opened before they are copied, so the server may rewrite them meanwhile. If it is not completed, however it
    ends short of a kill, nothing is left of it.

    Parameters
    ----------
    server, folder
        Of what, and into which folder, which must be new or empty.
    now
        Ns, for ``backup.json``.

    Raises
    ------
    BusError
        If the folder holds anything already, cannot be written, or the server's files cannot be read.
    """
    source = server.folder / AOF
    if not source.exists():
        raise BusError(f"{source}: is not there; nothing has run with this data_dir yet")
    try:
        with ExitStack() as stack:
            files = _opened(source, stack)
            with _new(folder) as target:
                copied = sum(_copy(file, target / name) for name, file in files.items())
                record = {"time": isoformat(now), "bytes": copied, "server": _version(server)}
                _write_last(folder, json.dumps(record) + "\n")
    except OSError as error:
        raise BusError(f"{error.filename or folder}: {error.strerror}") from None
    return copied


def _opened(source: Path, stack: ExitStack) -> dict[str, IO[bytes]]:
    """Open the files that belong together, the growing one last; open they can be read even once they are removed."""
    manifest = source / MANIFEST
    while True:
        before = manifest.read_bytes()
        files: dict[str, IO[bytes]] = {MANIFEST: stack.enter_context(manifest.open("rb"))}
        missing: OSError | None = None
        try:
            for name in _named(before.decode()):
                files[name] = stack.enter_context((source / name).open("rb"))
        except FileNotFoundError as error:
            missing = error
        if manifest.read_bytes() != before:  # the server has just begun or ended to rewrite them
            continue
        if missing is not None:
            raise missing
        return files


def _named(manifest: str) -> Iterator[str]:
    """Yield the files of a manifest, ``file NAME seq 1 type b``, but for those that only wait to be removed."""
    for line in manifest.splitlines():
        words = shlex.split(line)
        fields = dict(zip(words[::2], words[1::2], strict=False))
        if fields.get("type") != "h":
            yield fields["file"]


@contextlib.contextmanager
def _new(folder: Path) -> Iterator[Path]:
    """Make the folder and the one in it for the files; leave nothing of both behind if what follows fails."""
    if folder.exists() and any(folder.iterdir()):
        raise BusError(f"{folder}: is not empty; name a new folder")
    made, target = not folder.exists(), folder / AOF
    folder.mkdir(parents=True, exist_ok=True)
    try:
        target.mkdir()
    except FileExistsError:
        raise BusError(f"{folder}: another backup is being made there; name a new folder") from None
    try:
        yield target
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(OSError):
            _beside(folder).unlink(missing_ok=True)
            if made:
                folder.rmdir()
        raise


def _copy(there: IO[bytes], path: Path) -> int:
    """Copy a file as far as it has been written, and have it on disk; return its bytes."""
    with path.open("wb") as here:
        shutil.copyfileobj(there, here)
        here.flush()
        os.fsync(here.fileno())
        return here.tell()


def _write_last(folder: Path, text: str) -> None:
    """Say that the copy is complete, once all of it is on disk."""
    sync(folder / AOF)
    beside = _beside(folder)
    put(beside, text.encode())
    beside.replace(folder / RECORD)
    sync(folder)


def _beside(folder: Path) -> Path:
    return folder / f"{RECORD}.new"


def _version(server: EmbeddedServer) -> str | None:
    """Return which server writes the files, such as ``Valkey 9.0.0``; nothing if none runs or it does not answer."""
    if not server.is_running():
        return None
    client = client_for(server.url)
    try:
        info = client.info()
    except redis.RedisError:
        return None
    finally:
        client.close()
    valkey = info.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {info['redis_version']}"
