"""What the service manager is told: that a process works, what it does, that it is well. Without one, nothing.

systemd names a socket in ``NOTIFY_SOCKET`` and takes datagrams there (sd_notify).
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"
READY: Final = "READY=1"
WELL: Final = "WATCHDOG=1"
STOPPING: Final = "STOPPING=1"


def notify(*words: str, status: str = "", environ: Mapping[str, str] = os.environ) -> bool:
    """Tell the service manager, if there is one; return whether it was told. Never waits, never fails.

    Parameters
    ----------
    words
        Such as `READY`, `WELL`, `STOPPING`.
    status
        What the process does, for people.
    environ
        The environment.
    """
    address = environ.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return False
    lines = [*words, *([f"STATUS={' '.join(status.split())}"] if status else [])]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.setblocking(False)
        told.sendto("\n".join(lines).encode(), f"\0{address[1:]}" if address[0] == "@" else address)
        return True
    return False
