"""Keeps one connection to the gateway, a fresh one after each that was lost."""

import asyncio
import random
import time
from typing import Any, Final

from attrs import define, field

from pine.core.calendar import is_open
from pine.core.config import Config
from pine.core.config.secret import masked
from pine.core.errors import KeyRefused
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_MINUTE
from pine.core.times import isoformat
from pine.hub.aggregator import Aggregator
from pine.hub.clock import HubClock
from pine.hub.filler import Filler
from pine.hub.freshness import FrozenData
from pine.hub.outbox import Outbox
from pine.hub.reach import Reach
from pine.hub.session import HubSession
from pine.hub.tape import Tape

CONNECT_TIMEOUT: Final = 10.0
AUTH_TIMEOUT: Final = 10.0
SILENT_HEARTBEATS: Final = 3
FIRST_BACKOFF: Final = 1.0
LONGEST_BACKOFF: Final = 30.0
HEALTHY_SECONDS: Final = 60.0
LONGEST_REASON: Final = 200

log = get_logger(__name__)


@define(eq=False)
class Supervisor:
    """Connects, replays what is missing, and follows the market.

    Parameters
    ----------
    config
        The configuration.
    clock
        The hub's own clock.
    aggregator
        Takes what is received.
    outbox
        Takes what closes.
    tape
        Takes what is received, too.

    Attributes
    ----------
    connections
        How often a connection came to be.
    filler
        Fills, before a connection, what the gateway does not replay.
    trouble
        Why there is no connection, and since when by the monotonic clock; nothing while there is one, or at first.
    """

    config: Config
    clock: HubClock
    aggregator: Aggregator
    outbox: Outbox
    tape: Tape
    connections: int = 0
    trouble: tuple[str, float] | None = None
    filler: Filler = field(init=False)
    _reach: Reach = field(init=False)
    _frozen: FrozenData = field(init=False)
    _session: HubSession | None = None
    _paused: bool = False
    _careful: bool = False

    def __attrs_post_init__(self) -> None:
        hub = self.config.hub
        groups = sorted({self.config.session_rule(symbol).group for symbol in self.config.instruments})
        self._frozen = FrozenData(hub.frozen_after_s if hub.clock == "wall" else None, groups, is_open)
        self._reach = Reach(self.config, self.clock, self.aggregator)
        self.filler = Filler(self.config, self.aggregator, self.outbox, self._reach)
        self.outbox.on_room = self._read_on

    async def run(self) -> None:
        """Keep a connection, a fresh protocol for each, with growing pauses between failures.

        Raises
        ------
        KeyRefused
            If the gateway does not accept the key, and never did.
        """
        backoff = FIRST_BACKOFF
        while True:
            began = time.monotonic()
            try:
                await self._connect_once()
                reason = "closed by the gateway"
            except KeyRefused:
                raise
            except (OSError, TimeoutError) as error:
                reason = f"{':'.join(map(str, self.config.databento.live_gateway))}: {error or type(error).__name__}"
            except Exception as error:  # noqa: BLE001  # the vendor raises plain exceptions for a lost connection
                reason = f"{type(error).__name__}: {error}"
            finally:
                if self._session is not None and self._session.undecodable:
                    self._careful = True
                    self.aggregator.counts["undecodable"] += 1
                self.disconnect()
            if time.monotonic() - began > HEALTHY_SECONDS:
                backoff = FIRST_BACKOFF
            pause = backoff * random.uniform(0.5, 1.5)  # noqa: S311  # jitter, not a secret
            log.warning("connection lost", reason=reason[:LONGEST_REASON], retry_in_s=round(pause, 1))
            since = time.monotonic() if self.trouble is None else self.trouble[1]
            self.trouble = (masked(reason)[:LONGEST_REASON], since)
            await asyncio.sleep(pause)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    def disconnect(self) -> None:
        """End the connection, if there is one."""
        session, self._session = self._session, None
        self._paused = False
        if session is not None:
            for future in (session.authenticated, session.disconnected, session.metadata_received):
                if future.done() and not future.cancelled():
                    future.exception()  # looked at, so that the loop does not complain
            session.transport.abort()

    async def _connect_once(self) -> None:
        floor = await self.filler.floor()
        self.aggregator.begin_session(replaying=True, floor=floor)
        taped = self.tape.since(floor, self._reach.earliest())
        # Asked for is a minute more than needed.
        start = min(floor, taped) - NS_PER_MINUTE if floor else 0
        self.tape.begin(taped)
        protocol = await self._authenticated()
        parents = [self.config.parent(symbol) for symbol in self.config.instruments]
        protocol.subscribe(schema="trades", symbols=parents, stype_in="parent", start=start)
        protocol.start()
        self.connections += 1
        self.trouble = None
        host, port = self.config.databento.live_gateway
        fields = {"gateway": f"{host}:{port}", "replay_from": isoformat(start) if start else "the beginning"}
        log.info("connected", **fields)
        await self._until_lost(protocol)

    async def _authenticated(self) -> HubSession:
        settings = self.config.databento

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

        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, protocol = await asyncio.get_running_loop().create_connection(fresh, *self.config.databento.live_gateway)
        self._session = protocol
        async with asyncio.timeout(AUTH_TIMEOUT):
            either: list[asyncio.Future[Any]] = [protocol.authenticated, protocol.disconnected]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not protocol.authenticated.done():
            raise ConnectionError("closed before authentication")
        await self._admitted(protocol)
        return protocol

    async def _admitted(self, protocol: HubSession) -> None:
        """Wait for the answer to the key; a key that never worked is for a person to mend, not to try again."""
        try:
            await protocol.authenticated
        except Exception as error:
            if self.connections:
                raise
            raise KeyRefused(f"databento.api_key: the gateway refused it: {error}") from None

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
            if self.aggregator.missed:
                raise ConnectionError("this computer's clock was behind, and trades were left out; they are replayed")
        if protocol.fatal is not None:
            raise ConnectionError(protocol.fatal)
        await protocol.disconnected

    def _progress(self) -> None:
        self.outbox.put(self.aggregator.advance())
        if self.outbox.is_full and not self._paused and self._session is not None:
            self._session.transport.pause_reading()
            self._paused = True

    def _read_on(self) -> None:
        if self._paused and self._session is not None:
            self._session.last_read = time.monotonic()
            self._session.transport.resume_reading()
            self._paused = False
