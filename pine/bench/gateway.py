"""A sandbox gateway as a process of its own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pine.sandbox.demo.stage import Child, stop_all

KEY: Final = "db-bench0000000000000000000000000"
START_SECONDS: Final = 120.0


@contextlib.contextmanager
def gateway(folder: Path, tape: Path, then: str, speed: str = "max") -> Iterator[int]:
    """Provide the port of a gateway that plays a file; `then` is what follows its end."""
    arguments = ["sandbox", "gateway", "--port", "0", "--speed", speed, "--then", then, "--dbn", str(tape)]
    child = Child.start("gateway", arguments, folder, tells=True)
    try:
        yield int(child.event("listening", START_SECONDS)["port"])
    finally:
        stop_all([child])
