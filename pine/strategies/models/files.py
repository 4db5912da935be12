"""Reading and replacing a model's files, with errors that name them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pine.bus.durable import sync
from pine.core.errors import ModelError

_LFS: Final = b"version https://git-lfs"


def read_file(path: Path) -> bytes | None:
    """Return the content of a file, or nothing if there is none.

    Raises
    ------
    ModelError
        If it cannot be read, or stands for a file that git keeps elsewhere.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    if content.startswith(_LFS):
        raise ModelError(f"{path}: found a pointer of Git LFS, expected the file itself; fetch it with git lfs pull")
    return content


def replace_file(path: Path, content: bytes) -> None:
    """Write a file under another name, on disk, then rename it; folders above it are made.

    Raises
    ------
    ModelError
        If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _removed_on_error(temporary):
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _removed_on_error(temporary: Path) -> Iterator[None]:
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
