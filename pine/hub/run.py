"""The hub process: connection, aggregator and publisher on one event loop."""

import asyncio
import logging
import os
import random
import threading
import time
from typing import Any, Final

import orjson
import redis
from attrs import define, field

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import connect, is_away, patiently, revive
from pine.bus.ending import ENDING, stop_on_end
from pine.bus.lease import Lease
from pine.core.calendar import is_open
from pine.core.config import Config
from pine.core.errors import KeyRefused, PineError, WentBack
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import isoformat, to_ms
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.clock import HubClock, TapeClock, WallClock
from pine.hub.freshness import FrozenData
from pine.hub.publisher import LEFT, Publisher, read_holes, read_leads, read_registered, read_session
from pine.hub.session import HubSession
from pine.hub.tape import Tape

CONNECT_TIMEOUT: Final = 10.0
AUTH_TIMEOUT: Final = 10.0
SILENT_HEARTBEATS: Final = 3
HEARTBEAT_SECONDS: Final = 1.0
FIRST_BACKOFF: Final = 1.0
LONGEST_BACKOFF: Final = 30.0
HEALTHY_SECONDS: Final = 60.0
LONGEST_REASON: Final = 200
SERVER_PAUSE: Final = 0.2
REPLAY_WINDOW: Final = 24 * NS_PER_HOUR
MAX_UNPUBLISHED: Final = 20_000
"""Minute boundaries that may wait for the server before reading from the gateway pauses."""

USUAL: Final = frozenset(
    {"trades", "spread", "user_defined", "option", "root_not_configured", "gateway_error", "gap", "reset"}
)
"""Counts that belong to any day, or are told where they arise."""

logger = logging.getLogger(__name__)


def run_hub(config: Config) -> int:
    """Run the hub until SIGINT or SIGTERM; return the exit code.

    Raises
    ------
    PineError
        If it cannot start, is fenced off, or finds the streams in contradiction to its bars.
    """
    config.databento.api_key.reveal()
    if not config.instruments:
        raise PineError("instruments: none are configured, so there is nothing to subscribe to")
    client = connect(config)
    stop = stop_on_end()
    lease = Lease.acquire(
        client, keys.HUB, lambda holder: logger.warning("waiting", extra={"fields": {"lease_held_by": holder}}), stop
    )
    if lease is None:
        return 0
    lease.keep()
    try:
        while not stop.is_set():
            try:
                hub = patiently(lambda: Hub.prepared(config, client, lease), config, stop)
                if hub is not None:
                    with hub.tape.running():
                        asyncio.run(hub.run(stop))
                break
            except WentBack as error:
                logger.warning("starting again from what the server holds", extra={"fields": {"reason": str(error)}})
                stop = stop_on_end()  # the event loop that ended took its signal handlers along
    finally:
        lease.release()
    return 0


@define(eq=False)
class Hub:
    """One hub with its lease.

    Parameters
    ----------
    config
        The configuration.
    client
        Connection to the stream server, used by one thread at a time.
    lease
        The hub's role and token.
    """

    config: Config
    client: Client
    lease: Lease
    clock: HubClock = field(init=False)
    aggregator: Aggregator = field(init=False)
    publisher: Publisher = field(init=False)
    tape: Tape = field(init=False)
    _session: HubSession | None = None
    _closed: list[Closed] = field(factory=list)
    _work: asyncio.Event = field(factory=asyncio.Event)
    _stop: asyncio.Event = field(factory=asyncio.Event)
    _paused: bool = False
    _careful: bool = False
    _connections: int = 0
    _told: set[str] = field(factory=set)
    _server: threading.Lock = field(factory=threading.Lock)
    _started: float = field(factory=time.monotonic)
    _frozen: FrozenData = field(init=False)
    _late: dict[str, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        hub = self.config.hub
        self.clock = WallClock() if hub.clock == "wall" else TapeClock()
        groups = sorted({self.config.session_rule(symbol).group for symbol in self.config.instruments})
        self._frozen = FrozenData(hub.frozen_after_s if hub.clock == "wall" else None, groups, is_open)
        self.tape = Tape(self.config, self.clock)
        self.publisher = Publisher.resume(self.client, self.lease.token)
        self.aggregator = Aggregator(
            rules={symbol: self.config.session_rule(symbol) for symbol in self.config.instruments},
            clock=self.clock,
            lateness=hub.lateness_ms * NS_PER_MS,
            bar_clock=hub.bar_clock,
            fill_quiet=hub.fill_quiet_minutes,
            leads=read_leads(self.client, self.config.instruments),
        )

    @classmethod
    def prepared(cls, config: Config, client: Client, lease: Lease) -> "Hub":
        """Return a hub that has taken up what the streams hold and has registered its symbols."""
        hub = cls(config, client, lease)
        hub._resume()
        hub.publisher.register(config, hub._late)
        hub.publisher.log("start", pid=os.getpid(), token=lease.token)
        logger.info("hub started", extra={"fields": {"symbols": len(config.instruments), "token": lease.token}})
        return hub

    async def run(self, stop: threading.Event) -> None:
        """Work until a signal comes or a task fails; a signal that came before is in `stop`."""
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self._stop.set)
        if stop.is_set():
            self._stop.set()
        tasks = [
            asyncio.create_task(self._supervise(), name="supervise"),
            asyncio.create_task(self._publish_forever(), name="publish"),
            asyncio.create_task(self._beat(), name="beat"),
            asyncio.create_task(self._stop.wait(), name="stop"),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._disconnect()
        failed = [task.exception() for task in done if not task.cancelled() and task.exception()]
        if failed and failed[0] is not None:
            raise failed[0]
        self._tell_counts()
        self._publish_locked(self._closed)
        with self._server:
            self.publisher.heartbeat(self._facts("stopped"))
            self.publisher.log("shutdown", pid=os.getpid(), token=self.lease.token)
        logger.info("hub stopped", extra={"fields": {"bars": self.publisher.bars}})

    async def _supervise(self) -> None:
        """Keep a connection, a fresh protocol for each, with growing pauses between failures."""
        backoff = FIRST_BACKOFF
        while True:
            began = time.monotonic()
            try:
                await self._connect_once()
                reason = "closed by the gateway"
            except KeyRefused:
                raise
            except (OSError, TimeoutError) as error:
                reason = f"{':'.join(map(str, self._gateway()))}: {error or type(error).__name__}"
            except Exception as error:  # noqa: BLE001  # the vendor raises plain exceptions for a lost connection
                reason = f"{type(error).__name__}: {error}"
            finally:
                if self._session is not None and self._session.undecodable:
                    self._careful = True
                    self.aggregator.counts["undecodable"] += 1
                self._disconnect()
            if time.monotonic() - began > HEALTHY_SECONDS:
                backoff = FIRST_BACKOFF
            pause = backoff * random.uniform(0.5, 1.5)  # noqa: S311  # jitter, not a secret
            logger.warning(
                "connection lost", extra={"fields": {"reason": reason[:LONGEST_REASON], "retry_in_s": round(pause, 1)}}
            )
            await asyncio.sleep(pause)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _connect_once(self) -> None:
        settings = self.config.databento
        start, floor = self._replay_plan()
        self.aggregator.begin_session(replaying=True, floor=floor)
        taped = self.tape.since(floor, self._earliest_replay())
        start = min(start, taped - NS_PER_MINUTE) if floor else start
        self.tape.begin(taped)

        def fresh() -> HubSession:
            return HubSession(
                settings.api_key.reveal(),
                settings.dataset,
                settings.heartbeat_interval_s,
                self.aggregator,
                1,
                self._progress,
                careful=self._careful,
                tape=self.tape,
            )

        host, port = self._gateway()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, protocol = await loop.create_connection(fresh, host, port)
        self._session = protocol
        async with asyncio.timeout(AUTH_TIMEOUT):
            either: list[asyncio.Future[Any]] = [protocol.authenticated, protocol.disconnected]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not protocol.authenticated.done():
            raise ConnectionError("closed before authentication")
        await self._admitted(protocol)
        parents = [self.config.parent(symbol) for symbol in self.config.instruments]
        protocol.subscribe(schema="trades", symbols=parents, stype_in="parent", start=start)
        protocol.start()
        self._connections += 1
        logger.info(
            "connected",
            extra={
                "fields": {"gateway": f"{host}:{port}", "replay_from": isoformat(start) if start else "the beginning"}
            },
        )
        await self._until_lost(protocol)

    async def _until_lost(self, protocol: HubSession) -> None:
        """Wait for the end of the connection.

        A gateway that is silent for several heartbeats is as good as gone, and so is one that answers and brings no
        trade while the market is open.
        """
        patience = SILENT_HEARTBEATS * self.config.databento.heartbeat_interval_s
        self._frozen.connected(time.monotonic())
        while not protocol.disconnected.done():
            await asyncio.wait([protocol.disconnected], timeout=1.0)
            silent = time.monotonic() - protocol.last_read
            if silent > patience and not self._paused:
                raise ConnectionError(f"no word from the gateway for {silent:.0f} s")
            frozen = self._frozen.reason(self.aggregator.counts["trades"], self.clock.now(), time.monotonic())
            if frozen is not None:
                raise ConnectionError(frozen)
        if protocol.fatal is not None:
            raise ConnectionError(protocol.fatal)
        await protocol.disconnected

    async def _admitted(self, protocol: HubSession) -> None:
        """Wait for the answer to the key; a key that never worked is for a person to mend, not to try again."""
        try:
            await protocol.authenticated
        except Exception as error:
            if self._connections:
                raise
            raise KeyRefused(f"databento.api_key: the gateway refused it: {error}") from None

    def _gateway(self) -> tuple[str, int]:
        if self.config.databento.gateway is not None:
            host, _, port = self.config.databento.gateway.rpartition(":")
            return host, int(port)
        return f"{self.config.databento.dataset.lower().replace('.', '-')}.lsg.databento.com", 13000

    def _resume(self) -> None:
        """Take up the session under way from the streams, so that only what is missing need be replayed."""
        last = self.publisher.last_clock * NS_PER_MS
        if not last:
            return
        registered = read_registered(self.client)
        for symbol in self.config.instruments:
            begin = session_begin(last, self.config.session_rule(symbol))
            minutes, volume = read_session(self.client, symbol, begin, last)
            self.aggregator.seed(symbol, minutes, volume, read_holes(self.client, symbol, begin, last), last)
            self._resume_late(symbol, registered.get(symbol), begin, last)

    def _resume_late(self, symbol: str, registered: dict[str, Any] | None, begin: int, last: int) -> None:
        """Note what no hub has seen of a root: one that is new in the middle of a session, or was left out for a while.

        Its quiet time cannot be told from what is missing, so no hour or day over it is published.
        """
        since = begin if registered is None else registered.get(LEFT, 0) * NS_PER_MS
        if not since or since >= last:
            return
        told = any(first == since for first, _ in read_holes(self.client, symbol, since, last))
        if not told:
            self.aggregator.lose(since, last - NS_PER_MINUTE, [symbol])
            self._late[symbol] = to_ms(since)
            missing = {"symbol": symbol, "from": isoformat(since), "to": isoformat(last)}
            logger.error("gap: no hub had this root", extra={"fields": missing})

    def _replay_plan(self) -> tuple[int, int]:
        """Return where to begin the replay and the first minute to build from it, both in ns; 0 is the beginning.

        Asked for is a minute more than needed. What lies further back than the gateway replays is lost: hours and
        sessions over it are never published.
        """
        needed = self.aggregator.closed_until
        if not needed:
            now = self.clock.now()
            if not now:
                return 0, 0
            needed = min(session_begin(now, self.config.session_rule(symbol)) for symbol in self.config.instruments)
        reach = self._earliest_replay()
        if reach > needed:
            self.aggregator.lose(needed, reach - NS_PER_MINUTE)
            lost = {"from": isoformat(needed), "to": isoformat(reach)}
            logger.error("gap: longer away than the gateway replays", extra={"fields": lost})
            needed = reach
        return needed - NS_PER_MINUTE, needed

    def _earliest_replay(self) -> int:
        """Return the first minute, in ns, that the gateway replays surely."""
        if self.config.hub.clock == "tape":
            return 0
        reach = self.clock.now() - REPLAY_WINDOW + 2 * NS_PER_MINUTE
        return reach + -reach % NS_PER_MINUTE

    def _progress(self) -> None:
        self._closed += self.aggregator.advance()
        if self._closed:
            self._work.set()
        if len(self._closed) > MAX_UNPUBLISHED and not self._paused and self._session is not None:
            self._session.transport.pause_reading()
            self._paused = True

    async def _publish_forever(self) -> None:
        """Publish what closed; while the server is away, wait and try the same again: repeats do no harm."""
        waiting = False
        while True:
            await self._work.wait()
            self._work.clear()
            batch = list(self._closed)
            try:
                await asyncio.to_thread(self._publish_locked, batch)
            except redis.RedisError as error:
                if not is_away(error):
                    raise
                if not waiting:
                    logger.warning("server away", extra={"fields": {"reason": str(error), "waiting_bars": len(batch)}})
                waiting = True
                self._work.set()
                await asyncio.sleep(SERVER_PAUSE)
                await asyncio.to_thread(revive, self.config)
                continue
            waiting = False
            _tell(batch)
            del self._closed[: len(batch)]
            if self._paused and self._session is not None:
                self._session.last_read = time.monotonic()
                self._session.transport.resume_reading()
                self._paused = False

    def _settle_late(self, batch: list[Closed]) -> None:
        """Take roots whose gap is published off the record of what is late."""
        told = {event.symbol for item in batch for event in item.events if event.kind == "gap"} & self._late.keys()
        if told:
            for symbol in told:
                del self._late[symbol]
            self.publisher.register(self.config, self._late)

    def _publish_locked(self, batch: list[Closed]) -> None:
        with self._server:
            self.lease.check()
            self._publish(batch)
            self._settle_late(batch)

    def _publish(self, batch: list[Closed]) -> None:
        if not self.publisher.is_behind():
            try:
                return self.publisher.publish(batch)
            except WentBack as error:
                logger.warning("the server went back", extra={"fields": {"reason": str(error)}})
        self._take_back()
        return self.publisher.publish(batch)

    def _take_back(self) -> None:
        """Give a server that came back with an earlier state what it lost."""
        self.lease.renew()
        self.lease.check()
        lost_from = self.publisher.last_clock
        self.publisher.take_back()
        self.publisher.register(self.config, self._late)
        back = {"from": isoformat(self.publisher.last_clock * NS_PER_MS), "to": isoformat(lost_from * NS_PER_MS)}
        logger.error("the server lost what it had acknowledged; publishing it again", extra={"fields": back})

    async def _beat(self) -> None:
        while True:
            self._tell_counts()
            try:
                if await asyncio.to_thread(self._beat_locked, self._facts("running")):
                    self._work.set()
            except redis.RedisError as error:
                if not is_away(error):
                    raise
                await asyncio.to_thread(revive, self.config)  # with nothing to publish nobody else would
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _tell_counts(self) -> None:
        """Log what was left out, once per kind; how often is in the heartbeat."""
        found = {kind: count for kind, count in self.aggregator.counts.items() if count}
        for kind in sorted(found.keys() - self._told - USUAL):
            self._told.add(kind)
            logger.warning("left out", extra={"fields": {"kind": kind, "so_far": found[kind]}})

    def _beat_locked(self, facts: dict[str, str | int]) -> bool:
        """Write the heartbeat; return whether the server must be given again what it lost."""
        with self._server:
            self.publisher.heartbeat(facts)
            return self.publisher.is_behind()

    def _facts(self, status: str) -> dict[str, str | int]:
        watermark = self.aggregator.watermark
        groups = {self.config.session_rule(symbol).group for symbol in self.config.instruments}
        return {
            "status": status,
            "pid": os.getpid(),
            "token": self.lease.token,
            "uptime_s": int(time.monotonic() - self._started),
            "watermark": watermark,
            "last_trade": self.aggregator.last_trade,
            "unpublished": len(self._closed),
            "last_clock": self.publisher.last_clock,
            "connections": self._connections,
            "market_open": int(bool(watermark) and any(is_open(group, watermark) for group in groups)),
            "bars": self.publisher.bars,
            "tape": self.tape.state,
            "counts": orjson.dumps(dict(self.aggregator.counts)).decode(),
            "updated_at": isoformat(time.time_ns()),
        }

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        self._paused = False
        if session is not None:
            for future in (session.authenticated, session.disconnected, session.metadata_received):
                if future.done() and not future.cancelled():
                    future.exception()  # looked at, so that the loop does not complain
            session.transport.abort()


def _tell(batch: list[Closed]) -> None:
    """Log session days and rolls: a line that shows life, and few of them."""
    for item in batch:
        for bar in item.bars:
            if bar.timeframe is Timeframe.DAY:
                fields: dict[str, Any] = {"symbol": bar.symbol, "contract": bar.contract_symbol, "close": bar.close}
                logger.info("session closed", extra={"fields": fields | {"at": isoformat(item.boundary)}})
        for event in item.events:
            logger.info(event.kind, extra={"fields": {"symbol": event.symbol, **event.details}})
