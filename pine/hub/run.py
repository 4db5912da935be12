"""The hub process: connection, aggregator and publisher on one event loop."""

import asyncio
import os
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from attrs import define, field

from pine.bus import heartbeat, keys
from pine.bus.client import Client
from pine.bus.connection import connect, patiently, revive
from pine.bus.ending import ENDING, stop_on_end
from pine.bus.heartbeat import Heartbeat
from pine.bus.lease import Lease
from pine.core.config import Config
from pine.core.errors import PineError, WentBack
from pine.core.freshness import DataAge, data_age
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_MS
from pine.core.times import isoformat
from pine.hub.aggregator import Aggregator
from pine.hub.clock import HubClock, TapeClock, WallClock
from pine.hub.filler import why_not
from pine.hub.outbox import Outbox
from pine.hub.publisher import Publisher, read_leads
from pine.hub.refiller import Refiller
from pine.hub.resume import take_up
from pine.hub.supervisor import Supervisor
from pine.hub.tape import Tape

USUAL: Final = frozenset(
    {"trades", "bars", "spread", "user_defined", "option", "root_not_configured", "gateway_error", "gap", "reset"}
)
"""Counts that belong to any day, or are told where they arise."""

log = get_logger(__name__)


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
        client,
        keys.HUB,
        lambda holder: log.warning("waiting", lease_held_by=holder),
        stop,
        on_away=partial(revive, config, stop.is_set),
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
                log.warning("starting again from what the server holds", reason=str(error))
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
    outbox: Outbox = field(init=False)
    supervisor: Supervisor = field(init=False)
    refiller: Refiller = field(init=False)
    _stop: asyncio.Event = field(factory=asyncio.Event)
    _told: set[str] = field(factory=set)
    _began: int = field(factory=time.time_ns)
    _traded: int = 0

    def __attrs_post_init__(self) -> None:
        hub = self.config.hub
        self.clock = WallClock() if hub.clock == "wall" else TapeClock()
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
        late = take_up(self.config, self.client, self.aggregator, self.publisher.last_clock * NS_PER_MS)
        beat = Heartbeat(self.client, self.config, keys.HUB, self.lease.token)
        self.outbox = Outbox(self.config, self.lease, self.publisher, beat, late)
        self.supervisor = Supervisor(self.config, self.clock, self.aggregator, self.outbox, self.tape)
        self.refiller = Refiller(self.config, self.aggregator, why_not(self.config))

    @classmethod
    def prepared(cls, config: Config, client: Client, lease: Lease) -> "Hub":
        """Return a hub that has taken up what the streams hold and has registered its symbols."""
        hub = cls(config, client, lease)
        hub.publisher.register(config, hub.outbox.late)
        hub.publisher.log("start", pid=os.getpid(), token=lease.token)
        log.info("hub started", symbols=len(config.instruments), token=lease.token)
        return hub

    async def run(self, stop: threading.Event) -> None:
        """Work until a signal comes or a task fails; a signal that came before is in `stop`."""
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self._stop.set)
        if stop.is_set():
            self._stop.set()
        tasks = [
            asyncio.create_task(self.supervisor.run(), name="supervise"),
            asyncio.create_task(self.outbox.publish_forever(), name="publish"),
            asyncio.create_task(self._beat(), name="beat"),
            asyncio.create_task(self.refiller.run(), name="refill"),
            asyncio.create_task(self._stop.wait(), name="stop"),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.supervisor.disconnect()
        failed = [task.exception() for task in done if not task.cancelled() and task.exception()]
        if failed and failed[0] is not None:
            raise failed[0]
        self._tell_counts()
        self.outbox.finish(self._facts(), pid=os.getpid(), token=self.lease.token)
        log.info("hub stopped", bars=self.publisher.bars)

    async def _beat(self) -> None:
        while True:
            self._tell_counts()
            facts = self._facts()
            status = "filling" if facts["filling"] else "running"
            await self.outbox.beat(status, facts, well=self._is_well(facts))
            await asyncio.sleep(heartbeat.SECONDS)

    def _is_well(self, facts: Mapping[str, Any]) -> bool:
        """Tell whether data comes, or need not: it is fresh, old trades are being replayed, or a hole is bought."""
        before, self._traded = self._traded, facts["trades"]
        return bool(facts["fresh"]) or self._traded > before or bool(facts["filling"])

    def _tell_counts(self) -> None:
        """Log what was left out, once per kind; how often is in the heartbeat."""
        found = {kind: count for kind, count in self.aggregator.counts.items() if count}
        for kind in sorted(found.keys() - self._told - USUAL):
            self._told.add(kind)
            log.warning("left out", kind=kind, so_far=found[kind])

    def _facts(self) -> dict[str, Any]:
        data = self._data()
        filling = self.supervisor.filler.filling
        return {
            "watermark": self.aggregator.watermark,
            "last_trade": self.aggregator.last_trade,
            "unpublished": len(self.outbox),
            "last_clock": self.publisher.last_clock,
            "last_step": isoformat(self.publisher.last_clock * NS_PER_MS) if self.publisher.last_clock else "",
            "connections": self.supervisor.connections,
            **self._unconnected(),
            "data_age_s": None if data.age_s is None else round(data.age_s, 1),
            "market_open": data.market_open,
            "fresh": data.is_fresh(),
            "trades": self.aggregator.counts["trades"],
            "bars": self.publisher.bars,
            "tape": self.tape.state,
            "unfilled": len(self.refiller.holes),
            "unfilled_because": self.refiller.reason,
            "filling": "" if filling is None else f"{isoformat(filling[0])} to {isoformat(filling[1])}",
            "counts": dict(self.aggregator.counts),
        }

    def _unconnected(self) -> dict[str, Any]:
        """Return for how long there is no connection to the gateway, and why."""
        trouble = self.supervisor.trouble
        if trouble is None:
            return {"unconnected_s": 0, "unconnected_because": ""}
        reason, since = trouble
        return {"unconnected_s": round(time.monotonic() - since), "unconnected_because": reason}

    def _data(self) -> DataAge:
        """Judge the newest trade; the present of a tape is the latest time that was received."""
        now, groups = self.clock.now(), {self.config.session_rule(symbol).group for symbol in self.config.instruments}
        if not now:
            return DataAge(None, None, market_open=False)
        newest = self.aggregator.last_trade or None
        since = self._began if newest is None and self.config.hub.clock == "wall" else 0
        return data_age(newest, now, groups, since)
