"""A way to the server that can lose an answer: the request arrives, the reply does not."""

import contextlib
import select
import socket
import threading
from pathlib import Path


class LossyProxy:
    """Passes bytes between a client and the server's socket.

    Attributes
    ----------
    lose_next_reply
        When set, the next reply is swallowed and the connection closed, once.
    """

    def __init__(self, path: Path, server: Path) -> None:
        self.path = path
        self.lose_next_reply = threading.Event()
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop accepting; open connections end with their clients."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._pass, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._server))
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is server and self.lose_next_reply.is_set():
                        self.lose_next_reply.clear()
                        return
                    (server if source is client else client).sendall(data)
