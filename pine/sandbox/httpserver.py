"""What the stand-ins that speak HTTP have in common."""

import json
import socket
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast

MAX_BODY: Final = 1 << 20


class DroppingServer(ThreadingHTTPServer):
    """A server with a thread per connection that can end those which clients keep alive."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type["JsonHandler"]) -> None:
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, handler)

    def opened(self, connection: socket.socket) -> None:
        """Note a connection."""
        with self._guard:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._guard:
            self._connections.discard(connection)

    def drop_connections(self) -> None:
        """End connections that clients keep alive, which would be served on after the server has stopped."""
        with self._guard:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that vanish: they are part of the game."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class JsonHandler(BaseHTTPRequestHandler):
    """Serves one connection of a `DroppingServer`, and answers in JSON."""

    protocol_version = "HTTP/1.1"
    timeout = 300

    def setup(self) -> None:
        """Begin."""
        super().setup()
        cast("DroppingServer", self.server).opened(self.connection)

    def finish(self) -> None:
        """End."""
        cast("DroppingServer", self.server).closed(self.connection)
        super().finish()

    def do_GET(self) -> None:
        """Serve a GET request."""
        self.get()

    def do_POST(self) -> None:
        """Serve a POST request."""
        self.post()

    def get(self) -> None:
        """Answer a GET request; to be overridden."""
        raise NotImplementedError

    def post(self) -> None:
        """Answer a POST request; to be overridden."""
        raise NotImplementedError

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Log nothing: the stand-in keeps what it was sent."""

    def read_body(self) -> bytes | None:
        """Return the request's body, or nothing if it has no length or one of more than `MAX_BODY` bytes."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return None
        return self.rfile.read(int(length))

    def answer(self, status: int, content: object, headers: Mapping[str, str] | None = None) -> None:
        """Answer with a JSON document."""
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
