import time
from collections.abc import Callable

DEADLINE_S = 90.0


def until(condition: Callable[[], object], what: str) -> None:
    """Return as soon as a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"did not happen in {DEADLINE_S:g} s: {what}"
        time.sleep(0.02)
