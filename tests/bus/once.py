"""What costs some seconds to make and is only looked at, made by one of the processes that run the tests."""

import fcntl
import os
import pickle
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[], T]) -> T:
    """Return what `make` returns, which must be data: made in one process of a run, read by the others."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    kept = folder / f"{name}.kept"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            found = make()
            new = kept.with_suffix(".new")
            new.write_bytes(pickle.dumps(found))
            new.rename(kept)
            return found
    made: T = pickle.loads(kept.read_bytes())  # noqa: S301  # written above
    return made
