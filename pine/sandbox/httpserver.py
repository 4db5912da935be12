"""What the stand-ins that speak HTTP have in common."""

import json
import socket
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final, TextIO, cast

from pine.core.errors import SandboxError
from pine.sandbox.standin import StandIn

MAX_BODY: Final = 1 << 20
REQUESTS_PATH: Final = "/_sandbox/requests"
"""Where a stand-in hands out what it was asked."""


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


class JsonHandler(BaseHTTPRequestHandler, ABC):
    """Serves one connection of a `DroppingServer`, and answers in JSON."""

    protocol_version = "HTTP/1.1"
    timeout = 300
    disable_nagle_algorithm = True
    """An answer is written in two parts; the second would wait 40 ms for the client to acknowledge the first."""

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

    @abstractmethod
    def get(self) -> None:
        """Answer a GET request."""

    @abstractmethod
    def post(self) -> None:
        """Answer a POST request."""

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


class HttpStandIn(StandIn):
    """A stand-in that speaks HTTP on a thread of its own, and keeps what it was asked.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one.
    out
        File to which every request is appended as a JSON line.

    Attributes
    ----------
    name
        What it is called in messages.
    stopping
        Set once it is to stop, for handlers that wait.
    """

    name: ClassVar[str]

    def __init__(self, host: str, port: int, out: Path | None) -> None:
        self.stopping = threading.Event()
        self._host = host
        self._port = port
        self._out = out
        self._lock = threading.Lock()
        self._requests: list[dict[str, Any]] = []
        self._file: TextIO | None = None
        self._server: DroppingServer | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def _make_server(self, address: tuple[str, int]) -> DroppingServer:
        """Return the server; it may raise OSError."""

    def start(self) -> None:
        """Listen, and return at once.

        Raises
        ------
        SandboxError
            If the port is taken or a file cannot be written.
        """
        try:
            self._file = None if self._out is None else self._out.open("a", encoding="utf-8")
            self._server = self._make_server((self._host, self._port))
        except OSError as error:
            raise SandboxError(f"{self.name} on {self._host}:{self._port}, file {self._out}: {error}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name=f"sandbox-{self.name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        self.stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server.drop_connections()
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    @property
    def port(self) -> int:
        """The port that it listens on.

        Raises
        ------
        SandboxError
            If it is not started.
        """
        if self._server is None:
            raise SandboxError(f"{self.name}: not started, call start() first")
        return int(self._server.server_address[1])

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request so far, as in the file."""
        with self._lock:
            return list(self._requests)

    def keep(self, request: dict[str, Any]) -> None:
        """Keep a request, on disk if there is a file."""
        with self._lock:
            self._requests.append(request)
            if self._file is not None:
                self._file.write(json.dumps(request) + "\n")
                self._file.flush()
