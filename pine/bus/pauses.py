"""Named points between two things that must not be torn apart, where a test may hold a process and kill it.

A process whose environment has ``PINE_PAUSES`` looks, at each point, for a file in that folder. The file's name is
role and point, such as ``hub.facts-written`` or ``worker:ibs_a.decided``. If it is there, one process takes it by
renaming it to ``….held``, writes its process id into it, and waits until that file is gone. Without the variable a
point costs one comparison and does nothing; it never changes what is written or decided.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Final

VARIABLE: Final = "PINE_PAUSES"

POINTS: Final = {
    "hub": {
        "facts-written": "bars, volumes, leads and events are on the streams, the clock entries are not: for a "
        "test that asks, what fits in one write goes in two, as more than that always does",
        "clock-written": "the clock entries are on the stream, the hub has not noted it",
    },
    "worker": {
        "read": "the step was delivered to the group, nothing was decided",
        "decided": "ledger entries and flight record are ready, nothing is written",
        "acknowledged": "everything of the step is written and acknowledged, the worker has not noted it",
    },
    "courier": {
        "attempted": "the attempt is on record, nothing was sent",
        "answered": "the receiver has answered, the answer is not on record",
        "recorded": "the answer is on record, the intent is not acknowledged",
    },
    "archive": {
        "written": "a session's file is on disk under a temporary name, nothing of it can be seen",
        "renamed": "the file is in its place, the manifest does not list it",
        "listed": "the manifest lists the file, the consumer group has not moved",
    },
    "alerts": {
        "noted": "what is to be told is on record, nothing was handed to a service",
        "sent": "a service has taken a message, that is not on record",
    },
}
"""Points by kind of process, with what has happened there and what has not."""

_FOLDER: Final = os.environ.get(VARIABLE)
_LOOK_SECONDS: Final = 0.005


def pause(role: str, point: str) -> None:
    """Wait here for as long as a test holds this point; by default not at all.

    Parameters
    ----------
    role
        Who comes by, such as ``hub`` or ``worker:ibs_a``.
    point
        One of `POINTS`.
    """
    if _FOLDER is not None:
        _pause(Path(_FOLDER), role, point)


def wanted(role: str, point: str) -> bool:
    """Tell whether a test waits for somebody to come to a point, so that what else is done in one is done in two."""
    return _FOLDER is not None and (Path(_FOLDER) / f"{role}.{point}").exists()


def kind_of(role: str) -> str:
    """Return the kind of a role: ``worker`` of ``worker:ibs_a``."""
    return role.partition(":")[0]


def _pause(folder: Path, role: str, point: str) -> None:
    held = folder / f"{role}.{point}.held"
    try:
        (folder / f"{role}.{point}").rename(held)
        held.write_text(f"{os.getpid()}\n")
    except FileNotFoundError:
        return
    while held.exists():
        time.sleep(_LOOK_SECONDS)  # a file that goes tells nobody, and no test waits for longer than this


class Holder:
    """The other side: asks for a pause, sees whether somebody is held, and lets go.

    Parameters
    ----------
    folder
        Where the files are; the processes have it in ``PINE_PAUSES``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """What the processes need."""
        return {VARIABLE: str(self.folder)}

    def ask(self, role: str, point: str) -> None:
        """Hold the next process of a role that comes to a point."""
        known = POINTS[kind_of(role)]
        if point not in known:
            raise ValueError(f"pause point of {role}: found {point!r}, expected one of {', '.join(known)}")
        (self.folder / f"{role}.{point}").touch()

    def held(self, role: str, point: str) -> int | None:
        """Return the process id of the process that is held at a point, if one is."""
        with contextlib.suppress(FileNotFoundError):
            return int((self.folder / f"{role}.{point}.held").read_text() or 0) or None
        return None

    def release(self, role: str, point: str) -> None:
        """Let go, or take back what was asked for."""
        for name in (f"{role}.{point}", f"{role}.{point}.held"):
            (self.folder / name).unlink(missing_ok=True)
