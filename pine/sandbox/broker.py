"""A receiver of TradersPost webhooks that keeps what it was sent, and misbehaves when told to."""

import time
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

from pine.bus.ending import stop_on_end
from pine.core.errors import DataError, PineError, SandboxError
from pine.core.times import Clock
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.events import print_event
from pine.sandbox.httpserver import MAX_BODY, DroppingServer, HttpStandIn, JsonHandler
from pine.sandbox.payload import read_payload, strict_json

BEHAVIOUR_PATH: Final = "/_sandbox/behaviour"
REQUESTS_PATH: Final = "/_sandbox/requests"

_KEPT_HEADERS: Final = ("content-type", "user-agent")


class Broker(HttpStandIn):
    """The receiver, on a thread of its own.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    out
        File to which every webhook request is appended as a JSON line before it is answered.
    behaviour
        How to treat valid requests at first.
    clock
        Time of arrival, in ns.
    """

    name = "broker"

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

    def url(self, name: str) -> str:
        """Return a webhook address; the name can be found again in the path of what is sent there."""
        return f"http://{self._host}:{self.port}/trading/webhook/{name}/sandbox"

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


class _Server(DroppingServer):
    def __init__(self, broker: Broker, address: tuple[str, int]) -> None:
        self.broker = broker
        super().__init__(address, _Handler)


class _Handler(JsonHandler):
    server_version = "TradersPostSandbox"

    @property
    def broker(self) -> Broker:
        return cast("_Server", self.server).broker

    def get(self) -> None:
        """Hand out what was received."""
        if self.path == REQUESTS_PATH:
            self.answer(200, self.broker.requests)
        else:
            self.answer(404, {"success": False, "message": f"No such page, expected {REQUESTS_PATH}"})

    def post(self) -> None:
        """Take a webhook, or a change of behaviour."""
        body = self._body()
        if body is None:
            return
        if self.path == BEHAVIOUR_PATH:
            self._change_behaviour(body)
        elif not self.path.strip("/"):
            self.answer(404, {"success": False, "message": "Expected /trading/webhook/{uuid}/{password}"})
        else:
            self._webhook(body)

    def _body(self) -> bytes | None:
        """Read the whole body, or refuse a request whose body has no length that makes sense."""
        body = self.read_body()
        if body is None:
            self.close_connection = True
            self.answer(411, {"success": False, "message": f"Expected a Content-Length of at most {MAX_BODY}"})
        return body

    def _change_behaviour(self, body: bytes) -> None:
        try:
            raw = strict_json(body)
            if not isinstance(raw, dict):
                raise SandboxError("behaviour: expected a JSON object")
            self.broker.behave(Behaviour.from_dict(raw))
        except (ValueError, PineError) as error:
            self.answer(400, {"success": False, "message": str(error)})
        else:
            self.answer(200, {"success": True})

    def _webhook(self, body: bytes) -> None:
        request: dict[str, Any] = {
            "received_at": self.broker.now(),
            "path": self.path,
            "headers": {name: self.headers[name] for name in _KEPT_HEADERS if name in self.headers},
            "body": _readable(body),
        }
        try:
            payload = read_payload(body)
        except DataError as error:
            refusal = {"success": False, "messageCode": "invalid-payload", "message": str(error)}
            self._record(request, 400, accepted=False)
            self.answer(400, refusal)
            return
        self._treat(request, payload, self.broker.take())

    def _treat(self, request: dict[str, Any], payload: dict[str, object], behaviour: Behaviour) -> None:
        status = None if behaviour.drops else behaviour.refuses_with or 200
        self._record(request, status, accepted=behaviour.accepts)
        if behaviour.wait and self.broker.stopping.wait(behaviour.wait):
            self.close_connection = True
            return
        if status is None:
            self.close_connection = True
        elif status == 200:
            self.answer(200, {"success": True, "id": str(uuid4()), "logId": str(uuid4()), "payload": payload})
        else:
            after = {} if behaviour.retry_after is None else {"Retry-After": f"{behaviour.retry_after:g}"}
            self.answer(status, {"success": False, "message": f"The sandbox was told to answer {status}"}, after)

    def _record(self, request: dict[str, Any], status: int | None, *, accepted: bool) -> None:
        self.broker.keep({**request, "status": status, "accepted": accepted})


def _readable(body: bytes) -> object:
    """Return a body as JSON if it is, else as text."""
    try:
        return strict_json(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def run_broker(host: str, port: int, out: Path, behaviour: Behaviour | None = None) -> int:
    """Receive webhooks until SIGINT or SIGTERM, telling the port as a JSON line on standard output.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    out
        File to append every request to.
    behaviour
        How to treat valid requests at first.

    Returns
    -------
    int
        Exit code, 0.

    Raises
    ------
    SandboxError
        If the port is taken or the file cannot be written.
    """
    stopped = stop_on_end()
    with Broker(host=host, port=port, out=out, behaviour=behaviour) as broker:
        print_event("listening", {"port": broker.port})
        stopped.wait()
    return 0
