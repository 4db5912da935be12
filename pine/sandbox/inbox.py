"""A receiver of alerts as apprise's ``json://`` sends them, that keeps what it got and fails when told to."""

from pine.sandbox.payload import strict_json
from pine.sandbox.receiver import Receiver, ReceiverHandler


class _Handler(ReceiverHandler):
    server_version = "AlertsSandbox"

    def received(self, body: bytes) -> None:
        """Take a message."""
        try:
            raw = strict_json(body)
        except ValueError:
            raw = None
        if not isinstance(raw, dict):
            self.close_connection = True
            self.refuse(400, "Expected a JSON object")
            return
        told = {name: raw.get(name, "") for name in ("title", "message", "type")}
        self.treat({"received_at": self.receiver.now(), "path": self.path, **told}, {})


class Inbox(Receiver):
    """Stands in for a service that tells people; see `Receiver`."""

    name = "alerts"
    handler = _Handler

    @property
    def url(self) -> str:
        """What to put into ``alerts.urls``."""
        return f"json://{self._host}:{self.port}/"

    @property
    def titles(self) -> list[str]:
        """Titles of the messages that were taken, in order."""
        return [request["title"] for request in self.requests if request["accepted"]]

    def facts(self) -> dict[str, str]:
        """Return the URL too."""
        return {"url": self.url}
