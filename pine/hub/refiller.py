"""Holes that were named: as soon as the archive has their minutes, however it came to them, a ``refill`` event says so.

Where the vendor may be asked, they are bought.
"""

import asyncio
import threading
import time
from collections.abc import Iterable
from typing import Final

import orjson
import redis
from attrs import define, field, frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import connect
from pine.core.config import Config
from pine.core.errors import BusError, HistoryError, PineError
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import isoformat
from pine.history.answer import History
from pine.history.archive import Archive
from pine.history.manifest import without
from pine.history.refill import KIND, Refill
from pine.history.vendor import Patience
from pine.hub.aggregator import Aggregator, Event
from pine.hub.lead import choose_lead
from pine.hub.off_loop import off_loop

LOOK_SECONDS: Final = 2.0
"""Between two looks at streams and archive, which cost little; only buying has growing pauses."""
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 1800.0
PATIENCE: Final = Patience(attempts=2)
"""Little: everything is tried again anyway."""

FAILED: Final = "an error that nobody expected; the hub's log has it (gap not filled)"

_LOSING: Final = ("gap", "reset")

log = get_logger(__name__)


@frozen(order=True)
class Hole:
    """Minutes of a root, in ns, that an event says are lost."""

    symbol: str
    first_minute: int
    last_minute: int


def unfilled(client: Client, symbols: Iterable[str]) -> tuple[set[Hole], int]:
    """Return the holes of some roots without a refill, and the time in ns of the newest event.

    What was trimmed from the streams is not looked for any more.
    """
    found: dict[bool, set[Hole]] = {True: set(), False: set()}
    newest = 0
    for identifier, fields in streams.read_range(client, keys.EVENTS):
        newest = streams.ms_of(identifier) * NS_PER_MS
        event = orjson.loads(streams.field_of(keys.EVENTS, fields, "event"))
        if event["kind"] in (*_LOSING, KIND):
            hole = Hole(event["symbol"], event["first_minute"], event["last_minute"])
            found[event["kind"] == KIND].add(hole)
    own = set(symbols)
    return {hole for hole in found[False] - found[True] if hole.symbol in own}, newest


@define(eq=False)
class Refiller:
    """Looks for holes on the streams, again and again, and fills them; nobody waits for it.

    Parameters
    ----------
    config
        The configuration.
    aggregator
        Publishes the event at the next boundary.
    forbidden
        Why nothing may be bought, so that only what somebody puts into the archive counts; empty if it may.

    Attributes
    ----------
    holes
        What was not filled when it looked last.
    """

    config: Config
    aggregator: Aggregator
    forbidden: str = ""
    holes: set[Hole] = field(factory=set)
    _told: set[Hole] = field(factory=set)
    _said: dict[Hole, str] = field(factory=dict)
    _given_up: threading.Event = field(factory=threading.Event)
    _client: Client | None = None

    async def run(self) -> None:
        """Work until cancelled; what cannot be bought is tried again after a growing pause."""
        pause, again_at, seen = FIRST_PAUSE, 0.0, set[Hole]()
        try:
            while True:
                newest = await self._look()
                if self.holes - seen:
                    pause, again_at = FIRST_PAUSE, 0.0
                seen = set(self.holes)
                if newest is not None:
                    buys = not self.forbidden and time.monotonic() >= again_at
                    for hole in sorted(self.holes - self._told):
                        await self._refill(hole, newest, buys=buys)
                    if buys:
                        again_at, pause = time.monotonic() + pause, min(pause * 2, LONGEST_PAUSE)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._given_up.set()

    @property
    def reason(self) -> str:
        """Why the first of the holes that has a reason is not filled; empty if none has."""
        return next((self._said[hole] for hole in sorted(self.holes) if hole in self._said), "")

    async def _look(self) -> int | None:
        """Read what is missing; return the time in ns of the newest event, nothing if the server is away."""
        try:
            self.holes, newest = await off_loop(lambda: unfilled(self._connected(), self.config.instruments))
        except (redis.RedisError, BusError):  # the hub itself tells that the server is away
            return None
        return newest

    async def _refill(self, hole: Hole, newest: int, *, buys: bool) -> None:
        """Fill one hole, and have that published after every event that is on the streams."""
        try:
            refill = await off_loop(lambda: self._filled(hole, buys=buys))
        except redis.RedisError:
            return
        except PineError as error:
            self._say(hole, str(error))
            return
        except Exception:
            if self._said.get(hole) != FAILED:
                log.exception("gap not filled", **_shown(hole))
            self._said[hole] = FAILED
            return
        if refill is None:
            if self.forbidden:
                self._say(hole, self.forbidden)
            return
        self._told.add(hole)
        details = refill.to_event()
        del details["kind"], details["symbol"]
        self.aggregator.announce(Event(KIND, hole.symbol, details), newest)

    def _filled(self, hole: Hole, *, buys: bool) -> Refill | None:
        """Look for a hole's minutes in the archive, and buy them if they are not there; return what tells of them.

        Returns
        -------
        Refill | None
            Nothing if they are not there and not to be bought now.

        Raises
        ------
        PineError
            If they could not all be bought.
        """
        archive = Archive.of(self.config)
        begin, end = hole.first_minute, hole.last_minute + NS_PER_MINUTE
        missing = without([(begin, end)], archive.covered(hole.symbol, Timeframe.MINUTE))
        if missing and not buys:
            return None
        if missing:
            self._buy(hole.symbol, begin, end)
            missing = without([(begin, end)], archive.covered(hole.symbol, Timeframe.MINUTE))
        if missing:
            raise HistoryError(
                f"archive: found minutes of {hole.symbol} until {isoformat(missing[0][0])}, "
                f"expected them until {isoformat(end)}; more are not available yet"
            )
        bars = archive.bars(hole.symbol, Timeframe.MINUTE, begin, end)
        return Refill.of(hole.symbol, hole.first_minute, hole.last_minute, bars)

    def _buy(self, symbol: str, begin: int, end: int) -> None:
        from pine.history.historical import HistoricalSource  # imports numpy

        vendor = HistoricalSource(self.config, choose_lead, PATIENCE, self._sleep)
        History.of(self.config, self._connected(), vendor).bars(symbol, Timeframe.MINUTE, begin, end, buy=True)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self.config, start=False)
        return self._client

    def _sleep(self, seconds: float) -> None:
        if self._given_up.wait(seconds):
            raise HistoryError("databento: given up, the hub ends")

    def _say(self, hole: Hole, reason: str) -> None:
        if self._said.get(hole) != reason:
            self._said[hole] = reason
            log.warning("gap not filled yet", **_shown(hole), reason=reason)


def _shown(hole: Hole) -> dict[str, str]:
    return {"symbol": hole.symbol, "from": isoformat(hole.first_minute), "to": isoformat(hole.last_minute)}
