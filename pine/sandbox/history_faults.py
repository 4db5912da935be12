"""What goes wrong with single requests to the Historical stand-in."""

import threading
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from pine.core.errors import SandboxError

REFUSALS: Final = ("401", "402", "403", "422", "429", "500", "503", "504")
BODIES: Final = ("cut", "close", "short")
OTHERS: Final = ("sound", "timeout", "hangup")


@frozen
class HistoryFault:
    """What happens to one request.

    Attributes
    ----------
    manner
        A status to refuse with; ``timeout`` gives no answer and keeps the connection, ``hangup`` ends it without an
        answer; of the data, ``cut`` breaks a chunked transfer off, ``close`` ends a transfer of untold length early,
        ``short`` leaves records out of a body that is otherwise whole; ``sound`` is no fault.
    amount
        Of a 429 seconds for ``Retry-After``, of ``timeout`` seconds of silence, of ``cut`` and ``close`` bytes sent
        before the end, of ``short`` records left out; ``None`` for 1 s, 300 s, half of them, and one.
    endpoint
        The only endpoint that it concerns, such as ``get_range``; a fault of the data concerns no other anyway.
    """

    manner: str
    amount: int | None = None
    endpoint: str | None = None

    @classmethod
    def parse(cls, text: str) -> "HistoryFault":
        """Read ``MANNER``, ``MANNER:N``, ``MANNER@ENDPOINT`` or ``MANNER:N@ENDPOINT``.

        Raises
        ------
        SandboxError
            If the manner is unknown or the number is none.
        """
        rest, at, endpoint = text.partition("@")
        manner, colon, amount = rest.partition(":")
        known = (*REFUSALS, *BODIES, *OTHERS)
        if manner not in known or bool(colon) != amount.isdecimal() or bool(at) != bool(endpoint):
            raise SandboxError(
                f"fault: found {text!r}, expected one of {', '.join(known)}, perhaps with :N, perhaps with @ENDPOINT"
            )
        return cls(manner, int(amount) if amount else None, endpoint or None)

    def concerns(self, endpoint: str) -> bool:
        """Tell whether a request to an endpoint, such as ``timeseries.get_range``, can take this fault."""
        method = endpoint.partition(".")[2]
        if self.manner in BODIES and method != "get_range":
            return False
        return self.endpoint in (None, endpoint, method)


class HistoryFaults:
    """A list of faults, each taken by the first request that it concerns."""

    def __init__(self, planned: Iterable[HistoryFault] = ()) -> None:
        self._planned = list(planned)
        self._lock = threading.Lock()

    def plan(self, faults: Iterable[HistoryFault]) -> None:
        """Replace what is left of the list."""
        with self._lock:
            self._planned = list(faults)

    def take(self, endpoint: str) -> HistoryFault | None:
        """Return what goes wrong with a request that has just arrived."""
        with self._lock:
            for fault in self._planned:
                if fault.concerns(endpoint):
                    self._planned.remove(fault)
                    return None if fault.manner == "sound" else fault
        return None
