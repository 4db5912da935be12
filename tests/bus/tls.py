"""TLS in front of a server that has none; who speaks plainly is let through, as Sentinel is here."""

import contextlib
import select
import socket
import ssl
import threading

HANDSHAKE = 0x16
"""First byte of whoever begins TLS."""


class TlsFront:
    """Listens on a port of its own and passes bytes to a server.

    Parameters
    ----------
    context
        With the certificate that is shown.
    port
        Of the server, on loopback.
    """

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        self._context = context
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.encrypted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop accepting; open connections end with their clients."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            if client.recv(1, socket.MSG_PEEK)[:1] == bytes([HANDSHAKE]):
                with self._context.wrap_socket(client, server_side=True) as wrapped:
                    self.encrypted += 1
                    self._pass(wrapped)
            else:
                self._pass(client)

    def _pass(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._server)) as server:
            while True:
                waiting = isinstance(client, ssl.SSLSocket) and client.pending()
                ready = [client] if waiting else select.select([client, server], [], [])[0]
                for source in ready:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)
