"""How long a step takes in this process, from the arrival of its clock entry until its outcome is written."""

from collections import deque
from typing import Final

from attrs import define, field

KEPT: Final = 1000
"""Steps over which it is told."""


@define
class Latency:
    """The newest steps' times; a diagnostic, nothing is decided on it.

    A worker that has caught up is blocked in its read when the hub appends a clock entry, so the entry arrives as it
    is appended; what a step waited in the stream while the worker was behind is its lag, not told here.
    """

    _taken: deque[float] = field(factory=lambda: deque(maxlen=KEPT))
    _since: float | None = None

    def arrived(self, monotonic: float) -> None:
        """Note that a clock entry was read."""
        self._since = monotonic

    def committed(self, monotonic: float) -> None:
        """Note that the outcome of the step is on the server."""
        if self._since is not None:
            self._taken.append(monotonic - self._since)
            self._since = None

    def facts(self) -> dict[str, float]:
        """Return median and 99th percentile in ms; nothing before the first step."""
        if not self._taken:
            return {}
        ordered = sorted(self._taken)
        median, high = (ordered[int(len(ordered) * part)] for part in (0.5, 0.99))
        return {"step_ms_p50": round(median * 1000, 3), "step_ms_p99": round(high * 1000, 3)}
