"""Databento's own live client, a fresh one for each connection, feeding the aggregator from its callback thread."""

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from attrs import define, field

from pine.core.config import Config
from pine.core.errors import KeyRefused
from pine.core.log import get_logger
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.core.times import isoformat
from pine.legacy.aggregator import TradeAggregator
from pine.legacy.market import Beat, Naming
from pine.legacy.source import trade_of

BACKOFF_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses after failures in a row; the last one stays."""

CONNECT_S: Final = 10.0
HEALTHY_S: Final = 60.0
SILENT_HEARTBEATS: Final = 3
REPLAY_WINDOW: Final = 24 * NS_PER_HOUR
_LOOK_S: Final = 0.1
_UNRESOLVED: Final = "symbol_resolution_failed"

log = get_logger(__name__)


@define(eq=False)
class Subscriber:
    """Keeps a connection until told to stop: trades of the strategy's parents, replayed from what is missing.

    Parameters
    ----------
    config, strategy
        Account, gateway, roots.
    stop
        Ends it.

    Attributes
    ----------
    connections
        How many were made.
    failure
        What a callback raised, which Databento's client would only log; it ends the run.
    """

    config: Config
    strategy: str
    stop: threading.Event
    connections: int = 0
    last_error: str = ""
    failure: BaseException | None = None
    _aggregator: TradeAggregator = field(init=False)
    _last_word: float = 0.0
    _taking: bool = False
    _fatal: str = ""

    def produce(self, aggregator: TradeAggregator) -> None:
        """Feed an aggregator until stopped.

        Raises
        ------
        KeyRefused
            If the key was never accepted.
        Exception
            What taking a record raised.
        """
        self._aggregator = aggregator
        failures = 0
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self._connect_once()
                self.last_error = self._fatal or "closed by the gateway"
            except KeyRefused:
                raise
            except Exception as error:  # noqa: BLE001  # the vendor raises plain exceptions for a lost connection
                self.last_error = f"{type(error).__name__}: {error}"
            if self.failure is not None:
                raise self.failure
            if self.stop.is_set():
                return
            failures = 0 if time.monotonic() - began > HEALTHY_S else failures + 1
            pause = BACKOFF_S[min(failures, len(BACKOFF_S)) - 1] if failures else BACKOFF_S[0]
            pause *= random.uniform(0.5, 1.5)  # noqa: S311  # jitter, not a secret
            facts = {"reason": self.last_error[:200], "retry_in_s": round(pause, 1)}
            log.warning("connection lost", **facts)
            self.stop.wait(pause)

    def _connect_once(self) -> None:
        import databento as db

        settings = self.config.databento
        start, floor = self._replay_from()
        self._aggregator.connect(floor, replaying=True)
        self._fatal = ""
        where: dict[str, Any] = {}
        if settings.gateway is not None:
            host, _, port = settings.gateway.rpartition(":")
            where = {"gateway": host, "port": int(port)}
        with _event_loop() as loop:
            client = db.Live(
                key=settings.api_key.reveal(),
                heartbeat_interval_s=settings.heartbeat_interval_s,
                reconnect_policy="none",
                slow_reader_behavior="warn",
                loop=loop,
                **where,
            )
            client.add_callback(self._on_record)
            self._subscribe(client, start)  # if that hangs, so would any other call to the client
            try:
                if self.stop.is_set():
                    return
                self._last_word = time.monotonic()
                client.start()
                self.connections += 1
                since = isoformat(start) if start else "the beginning"
                log.info("connected", replay_from=since)
                self._until_lost(client)
            finally:
                with contextlib.suppress(ValueError):
                    client.terminate()

    def _subscribe(self, client: Any, start: int) -> None:
        """Connect and subscribe, on another thread: the client waits half a minute for a gateway that hung up."""
        parents = [self.config.parent(symbol) for symbol in self.config.reads(self.strategy)]
        outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def subscribe() -> None:
            try:
                client.subscribe(self.config.databento.dataset, "trades", parents, stype_in="parent", start=start)
                outcome.put(None)
            except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
                outcome.put(error)

        threading.Thread(target=subscribe, name="legacy-subscribe", daemon=True).start()
        deadline = time.monotonic() + CONNECT_S
        while not self.stop.is_set():
            try:
                error = outcome.get(timeout=_LOOK_S)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no connection within {CONNECT_S:g} s") from None
                continue
            if error is None:
                return
            if not self.connections and "authentication failed" in str(error).lower():
                raise KeyRefused(f"databento.api_key: the gateway refused it: {error}") from None
            raise error

    def _until_lost(self, client: Any) -> None:
        """Wait for the end of a connection; a gateway that is silent for several heartbeats is as good as gone."""
        patience = SILENT_HEARTBEATS * self.config.databento.heartbeat_interval_s
        while not self.stop.wait(_LOOK_S):
            if not client.is_connected() or self.failure is not None:
                return
            silent = time.monotonic() - self._last_word
            if silent > patience and not self._taking:  # else it is the strategy that we wait for
                raise ConnectionError(f"no word from the gateway for {silent:.0f} s")

    def _on_record(self, record: Any) -> None:
        """Take a record on the client's own thread; whatever it raises must not be lost there."""
        if self.stop.is_set() or self.failure is not None:
            return
        self._taking = True
        try:
            self._take(record)
        except Exception as error:  # noqa: BLE001  # raised again by `produce`
            self.failure = error
        self._last_word, self._taking = time.monotonic(), False

    def _take(self, record: Any) -> None:
        import databento as db

        aggregator = self._aggregator
        if isinstance(record, db.TradeMsg):
            aggregator.take(trade_of(record))
        elif isinstance(record, db.SymbolMappingMsg):
            aggregator.take(Naming(record.instrument_id, str(record.stype_out_symbol)))
        elif isinstance(record, db.SystemMsg):
            if record.is_heartbeat():
                aggregator.take(Beat(record.ts_event))
            elif str(record.code) == "replay_completed":
                aggregator.end_replay()
        elif isinstance(record, db.ErrorMsg):
            aggregator.counts["gateway_error"] += 1
            if str(record.code) != _UNRESOLVED:
                self._fatal = record.err
            log.warning("gateway error", text=record.err)

    def _replay_from(self) -> tuple[int, int]:
        """Return where the replay begins and the first minute to build from it, in ns; 0 is the beginning.

        At first that is the beginning of the session under way, later the first minute that is not complete. What lies
        further back than the gateway replays is lost, and the bars over it are not built.
        """
        aggregator = self._aggregator
        wall = self.config.hub.clock == "wall"
        needed = aggregator.closed_until
        if not needed:
            if not wall:
                return 0, 0
            now = aggregator.clock.now()
            needed = min(session_begin(now, rule) for rule in self.config.rules_of(self.strategy).values())
        if wall:
            reach = aggregator.clock.now() - REPLAY_WINDOW + 2 * NS_PER_MINUTE
            reach += -reach % NS_PER_MINUTE
            if reach > needed:
                aggregator.lose(needed, reach - NS_PER_MINUTE)
                lost = {"from": isoformat(needed), "to": isoformat(reach)}
                log.error("gap: longer away than the gateway replays", **lost)
                needed = reach
        return needed - NS_PER_MINUTE, needed


@contextlib.contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Provide a loop on a thread of its own, which is over, with every callback of it, before the next one begins."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="databento-callbacks", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_all() -> None:
    """End whatever the client left on its loop, a connection that never came about included."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
