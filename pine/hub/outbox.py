"""What closed, on its way to the streams; it waits here while the server is away."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import redis
from attrs import define, field

from pine.bus.connection import is_away, revive
from pine.bus.heartbeat import STOPPED, Heartbeat
from pine.bus.lease import Lease
from pine.core.config import Config
from pine.core.errors import WentBack
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import isoformat
from pine.hub.aggregator import Closed
from pine.hub.publisher import Publisher

SERVER_PAUSE: Final = 0.2
MAX_UNPUBLISHED: Final = 20_000
_MINUTES: Final = frozenset(["first_minute", "last_minute"])
"""Minute boundaries that may wait for the server before reading from the gateway pauses."""

log = get_logger(__name__)


@define(eq=False)
class Outbox:
    """Publishes from a thread, one thing at a time, what the event loop puts in.

    Parameters
    ----------
    config
        The configuration.
    lease
        The hub's role.
    publisher
        Writes to the streams.
    heartbeat
        Tells how the hub is doing.
    late
        Roots that no hub had for a while, until their gap is published; see `Publisher.register`.
    on_room
        Called whenever something was published.
    """

    config: Config
    lease: Lease
    publisher: Publisher
    heartbeat: Heartbeat
    late: dict[str, int]
    on_room: Callable[[], None] = lambda: None
    _closed: list[Closed] = field(factory=list)
    _work: asyncio.Event = field(factory=asyncio.Event)
    _room: asyncio.Event = field(factory=asyncio.Event)
    _server: threading.Lock = field(factory=threading.Lock)

    def __len__(self) -> int:
        return len(self._closed)

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be put in for now."""
        return len(self._closed) > MAX_UNPUBLISHED

    def put(self, closed: list[Closed]) -> None:
        """Take what closed, in order of time."""
        self._closed += closed
        if self._closed:
            self._work.set()

    async def room(self) -> None:
        """Wait until more may be put in."""
        while self.is_full:
            self._room.clear()
            await self._room.wait()

    async def publish_forever(self) -> None:
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
                    log.warning("server away", reason=str(error), waiting_bars=len(batch))
                waiting = True
                self._work.set()
                await asyncio.sleep(SERVER_PAUSE)
                await self._revive()
                continue
            waiting = False
            _tell(batch)
            del self._closed[: len(batch)]
            self._room.set()
            self.on_room()

    async def beat(self, status: str, facts: Mapping[str, Any], *, well: bool) -> None:
        """Write the heartbeat, and have published again what the server lost meanwhile."""
        try:
            if await asyncio.to_thread(self._beat_locked, status, facts, well):
                self._work.set()
        except redis.RedisError as error:
            if not is_away(error):
                raise
            await self._revive()

    async def _revive(self) -> None:
        """Start a private server that is gone; a hub that is to end does not wait for it."""
        ended = threading.Event()
        try:
            await asyncio.to_thread(revive, self.config, ended.is_set)
        finally:
            ended.set()

    def finish(self, facts: Mapping[str, Any], **told: str | int) -> None:
        """Publish what is left, and say that this was the end."""
        self._publish_locked(self._closed)
        with self._server:
            self.heartbeat.write(STOPPED, facts)
            self.publisher.log("shutdown", **told)

    def _beat_locked(self, status: str, facts: Mapping[str, Any], well: bool) -> bool:
        """Write the heartbeat; return whether the server must be given again what it lost."""
        with self._server:
            self.lease.check()  # with nothing to publish nobody else would
            self.heartbeat.write(status, facts, well=well)
            return self.publisher.is_behind()

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
                log.warning("the server went back", reason=str(error))
        self._take_back()
        return self.publisher.publish(batch)

    def _take_back(self) -> None:
        """Give a server that came back with an earlier state what it lost."""
        self.lease.renew()
        self.lease.check()
        lost_from = self.publisher.last_clock
        self.publisher.take_back()
        self.publisher.register(self.config, self.late)
        back = {"from": isoformat(self.publisher.last_clock * NS_PER_MS), "to": isoformat(lost_from * NS_PER_MS)}
        log.error("the server lost what it had acknowledged; publishing it again", **back)

    def _settle_late(self, batch: list[Closed]) -> None:
        """Take roots whose gap is published off the record of what is late."""
        told = {event.symbol for item in batch for event in item.events if event.kind == "gap"} & self.late.keys()
        if told:
            for symbol in told:
                del self.late[symbol]
            self.publisher.register(self.config, self.late)


def _tell(batch: list[Closed]) -> None:
    """Log session days and rolls: a line that shows life, and few of them."""
    for item in batch:
        for bar in item.bars:
            if bar.timeframe is Timeframe.DAY:
                fields: dict[str, Any] = {"symbol": bar.symbol, "contract": bar.contract_symbol, "close": bar.close}
                log.info("session closed", **fields, at=isoformat(item.boundary))
        for event in item.events:
            log.info(event.kind, symbol=event.symbol, **_readable(event.details))


def _readable(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the details of an event with its minutes as people read them."""
    return {name: isoformat(value) if name in _MINUTES else value for name, value in details.items()}
