"""Where a unix socket lies: in its folder, or elsewhere when the folder's path is too long for one."""

import hashlib
import os
from pathlib import Path
from typing import Final

from pine.core.errors import BusError

MAX_SOCKET_PATH: Final = 100


def socket_path(folder: Path, name: str) -> Path:
    """Return the path of a folder's socket; however the folder is spelled, it is one."""
    folder = folder.resolve()
    direct = folder / name
    if len(str(direct)) <= MAX_SOCKET_PATH:
        return direct
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path("/tmp") / f"pine-{os.getuid()}-{digest}" / name  # noqa: S108  # short on purpose; its owner is checked


def make_room(socket: Path) -> None:
    """Make the folder of a socket.

    Raises
    ------
    BusError
        If it belongs to another user.
    OSError
        If it cannot be made.
    """
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise BusError(f"{socket.parent}: belongs to another user; no socket can lie there")
