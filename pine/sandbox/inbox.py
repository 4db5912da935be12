"""A receiver of alerts as apprise's ``json://`` sends them, that keeps what it got and fails when told to."""

import json
import time
from pathlib import Path
from typing import Any, Final, cast

from pine.bus.ending import stop_on_end
from pine.core.errors import PineError
from pine.core.times import Clock
from pine.sandbox.behaviour import Behaviour
from pine.sandbox.events import print_event
from pine.sandbox.httpserver import DroppingServer, HttpStandIn, JsonHandler

BEHAVIOUR_PATH: Final = "/_sandbox/behaviour"
REQUESTS_PATH: Final = "/_sandbox/requests"


class Inbox(HttpStandIn):
    """The receiver, on a thread of its own.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    out
        File to which every message is appended as a JSON line before it is answered.
    behaviour
        How to treat messages at first.
    clock
        Time of arrival, in ns.
    """

    name = "alerts"

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

    @property
    def url(self) -> str:
        """What to put into ``alerts.urls``."""
        return f"json://{self._host}:{self.port}/"

    @property
    def titles(self) -> list[str]:
        """Titles of the messages that were taken, in order."""
        return [request["title"] for request in self.requests if request["accepted"]]

    def behave(self, behaviour: Behaviour) -> None:
        """Change how messages are treated from the next one on."""
        with self._lock:
            self._behaviour = behaviour

    def take(self) -> Behaviour:
        """Return how to treat the message that has just arrived."""
        with self._lock:
            mine, self._behaviour = self._behaviour.after_one()
            return mine

    def now(self) -> int:
        """Return the time of arrival of a message, in ns."""
        return self._clock()


class _Server(DroppingServer):
    def __init__(self, inbox: Inbox, address: tuple[str, int]) -> None:
        self.inbox = inbox
        super().__init__(address, _Handler)


class _Handler(JsonHandler):
    server_version = "AlertsSandbox"

    @property
    def inbox(self) -> Inbox:
        return cast("_Server", self.server).inbox

    def get(self) -> None:
        """Hand out what was received."""
        known = self.path == REQUESTS_PATH
        self.answer(200, self.inbox.requests) if known else self.answer(404, {"message": f"Expected {REQUESTS_PATH}"})

    def post(self) -> None:
        """Take a message, or a change of behaviour."""
        try:
            raw = json.loads(self.read_body() or b"null")
        except ValueError:
            raw = None
        if not isinstance(raw, dict):
            self.close_connection = True
            self.answer(400, {"message": "Expected a JSON object"})
        elif self.path == BEHAVIOUR_PATH:
            self._change_behaviour(raw)
        else:
            self._treat(raw, self.inbox.take())

    def _change_behaviour(self, raw: dict[str, Any]) -> None:
        try:
            self.inbox.behave(Behaviour.from_dict(raw))
        except PineError as error:
            self.answer(400, {"message": str(error)})
        else:
            self.answer(200, {"success": True})

    def _treat(self, raw: dict[str, Any], behaviour: Behaviour) -> None:
        told = {name: raw.get(name, "") for name in ("title", "message", "type")}
        status = None if behaviour.drops else behaviour.refuses_with or 200
        received = {"received_at": self.inbox.now(), "path": self.path, **told}
        self.inbox.keep({**received, "status": status, "accepted": behaviour.accepts})
        if behaviour.wait and self.inbox.stopping.wait(behaviour.wait):
            status = None
        if status is None:
            self.close_connection = True
        else:
            self.answer(status, {"success": status == 200})


def run_inbox(host: str, port: int, out: Path | None, behaviour: Behaviour | None = None) -> int:
    """Receive alerts until SIGINT or SIGTERM, telling URL and port as a JSON line on standard output; return 0.

    Raises
    ------
    SandboxError
        If the port is taken or the file cannot be written.
    """
    stopped = stop_on_end()
    with Inbox(host=host, port=port, out=out, behaviour=behaviour) as inbox:
        print_event("listening", {"port": inbox.port, "url": inbox.url})
        stopped.wait()
    return 0
