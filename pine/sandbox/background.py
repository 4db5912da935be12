"""A gateway in a thread of its own, for programs that are not asynchronous."""

import asyncio
import threading
from collections.abc import Coroutine

from pine.sandbox.gateway import Gateway
from pine.sandbox.standin import StandIn


class GatewayThread(StandIn):
    """Runs a gateway while a ``with`` block lasts.

    Parameters
    ----------
    gateway
        Not started yet; it is started and stopped on the thread's own event loop.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-gateway", daemon=True)

    @property
    def port(self) -> int:
        """The port that the gateway listens on."""
        return self.gateway.port

    def start(self) -> None:
        """Start to listen; raises as `Gateway.start` does."""
        self._thread.start()
        try:
            self._call(self.gateway.start())
        except BaseException:
            self._end_loop()
            raise

    def stop(self) -> None:
        """Drop every session and end the thread."""
        self._call(self.gateway.stop())
        self._end_loop()

    def _call(self, work: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
