"""A receiver of TradersPost webhooks that keeps what it was sent, and misbehaves when told to."""

from typing import Any, Final
from uuid import uuid4

from pine.core.errors import DataError
from pine.sandbox.payload import read_payload, strict_json
from pine.sandbox.receiver import Receiver, ReceiverHandler

_KEPT_HEADERS: Final = ("content-type", "user-agent")


class _Handler(ReceiverHandler):
    server_version = "TradersPostSandbox"

    def received(self, body: bytes) -> None:
        """Take a webhook."""
        if not self.path.strip("/"):
            self.refuse(404, "Expected /trading/webhook/{uuid}/{password}")
            return
        request: dict[str, Any] = {
            "received_at": self.receiver.now(),
            "path": self.path,
            "headers": {name: self.headers[name] for name in _KEPT_HEADERS if name in self.headers},
            "body": _readable(body),
        }
        try:
            payload = read_payload(body)
        except DataError as error:
            self.keep(request, 400, accepted=False)
            self.answer(400, {"success": False, "messageCode": "invalid-payload", "message": str(error)})
        else:
            self.treat(request, {"id": str(uuid4()), "logId": str(uuid4()), "payload": payload})


class Broker(Receiver):
    """Stands in for TradersPost; see `Receiver`."""

    name = "broker"
    handler = _Handler

    def url(self, name: str) -> str:
        """Return a webhook address; the name can be found again in the path of what is sent there."""
        return f"http://{self._host}:{self.port}/trading/webhook/{name}/sandbox"


def _readable(body: bytes) -> object:
    """Return a body as JSON if it is, else as text."""
    try:
        return strict_json(body)
    except ValueError:
        return body.decode("utf-8", "replace")
