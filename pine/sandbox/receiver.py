"""What the receivers have in common: they keep what they were sent, and treat it as they were told to."""

import time
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Final, cast

from pine.bus.ending import stop_on_end
from pine.core.errors import PineError, SandboxError
from pine.core.times import Clock
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.events import print_event
from pine.sandbox.httpserver import MAX_BODY, REQUESTS_PATH, DroppingServer, HttpStandIn, JsonHandler
from pine.sandbox.payload import strict_json

BEHAVIOUR_PATH: Final = "/_sandbox/behaviour"


class Receiver(HttpStandIn):
    """A receiver, on a thread of its own.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    out
        File to which every request is appended as a JSON line before it is answered.
    behaviour
        How to treat valid requests at first.
    clock
        Time of arrival, in ns.
    """

    handler: ClassVar[type["ReceiverHandler"]]

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        out: Path | None = None,
        behaviour: Behaviour | None = None,
        clock: Clock = time.time_ns,
    ) -> None:
        super().__init__(host, port, out)
        self._behaviour = behaviour or Behaviour()
        self._clock = clock

    def _make_server(self, address: tuple[str, int]) -> DroppingServer:
        return _Server(self, address)

    def behave(self, behaviour: Behaviour) -> None:
        """Change how valid requests are treated from the next one on."""
        with self._lock:
            self._behaviour = behaviour

    def take(self) -> Behaviour:
        """Return how to treat the request that has just arrived."""
        with self._lock:
            mine, self._behaviour = self._behaviour.after_one()
            return mine

    def now(self) -> int:
        """Return the time of arrival of a request, in ns."""
        return self._clock()

    def run(self) -> int:
        """Receive until SIGINT or SIGTERM, telling the port as a JSON line on standard output; return exit code 0.

        Raises
        ------
        SandboxError
            If the port is taken or the file cannot be written.
        """
        stopped = stop_on_end()
        with self:
            print_event("listening", {"port": self.port, **self.facts()})
            stopped.wait()
        return 0

    def facts(self) -> dict[str, str]:
        """Return what is told besides the port when it listens."""
        return {}


class _Server(DroppingServer):
    def __init__(self, receiver: Receiver, address: tuple[str, int]) -> None:
        self.receiver = receiver
        super().__init__(address, receiver.handler)


class ReceiverHandler(JsonHandler):
    """Serves one connection of a `Receiver`."""

    @property
    def receiver(self) -> Receiver:
        """Who keeps what arrives."""
        return cast("_Server", self.server).receiver

    @abstractmethod
    def received(self, body: bytes) -> None:
        """Deal with a request that is meant for what this stands in for."""

    def get(self) -> None:
        """Hand out what was received."""
        if self.path == REQUESTS_PATH:
            self.answer(200, self.receiver.requests)
        else:
            self.refuse(404, f"No such page, expected {REQUESTS_PATH}")

    def post(self) -> None:
        """Take a request, or a change of behaviour."""
        body = self.read_body()
        if body is None:
            self.close_connection = True
            self.refuse(411, f"Expected a Content-Length of at most {MAX_BODY}")
        elif self.path == BEHAVIOUR_PATH:
            self._change_behaviour(body)
        else:
            self.received(body)

    def refuse(self, status: int, message: str) -> None:
        """Answer that something is not taken, and why."""
        self.answer(status, {"success": False, "message": message})

    def keep(self, request: dict[str, Any], status: int | None, *, accepted: bool) -> None:
        """Keep a request with what became of it; no status where there is no answer."""
        self.receiver.keep({**request, "status": status, "accepted": accepted})

    def treat(self, request: dict[str, Any], accepted: dict[str, object]) -> None:
        """Keep a valid request, and answer as this receiver was told to; `accepted` is what a good answer says."""
        behaviour = self.receiver.take()
        status = None if behaviour.drops else behaviour.refuses_with or 200
        self.keep(request, status, accepted=behaviour.accepts)
        ends = behaviour.wait and self.receiver.stopping.wait(behaviour.wait)
        if status is None or ends:
            self.close_connection = True
        elif status == 200:
            self.answer(200, {"success": True, **accepted})
        else:
            after = {} if behaviour.retry_after is None else {"Retry-After": f"{behaviour.retry_after:g}"}
            self.answer(status, {"success": False, "message": f"The sandbox was told to answer {status}"}, after)

    def _change_behaviour(self, body: bytes) -> None:
        try:
            raw = strict_json(body)
            if not isinstance(raw, dict):
                raise SandboxError("behaviour: expected a JSON object")
            self.receiver.behave(Behaviour.from_dict(raw))
        except (ValueError, PineError) as error:
            self.refuse(400, str(error))
        else:
            self.answer(200, {"success": True})
