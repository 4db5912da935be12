"""Minutes that the gateway does not replay any more: bought and built like live ones, or named as a gap."""

import asyncio
import time
from typing import Final

import numpy as np
from attrs import define, field

from pine.core.config import Config
from pine.core.errors import HistoryError, KeyRefused, PineError, SecretMissing, TooDear
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_MINUTE
from pine.core.times import isoformat
from pine.history.bought import COUNT_GRID
from pine.history.outrights import Outrights, days, names_on
from pine.history.vendor import expect_own_market
from pine.hub.aggregator import HEARTBEAT_DOUBT, Aggregator
from pine.hub.off_loop import off_loop
from pine.hub.outbox import Outbox
from pine.hub.reach import Reach

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 30.0
MARGIN: Final = 5 * NS_PER_MINUTE
"""Bought beyond what the gateway lacks, since it lacks more with every minute that the buying takes."""

log = get_logger(__name__)


def may_fill(config: Config) -> bool:
    """Tell whether the vendor may be asked: its Historical knows nothing of what another live gateway brings."""
    return not why_not(config)


def why_not(config: Config) -> str:
    """Return why the vendor may not be asked; nothing if it may."""
    if not config.hub.fill_gaps:
        return "nothing is bought: hub.fill_gaps is false"
    try:
        expect_own_market(config.databento)
    except HistoryError as error:
        return f"nothing is bought: {error}"
    return ""


@define(eq=False)
class Filler:
    """Fills holes before anything newer is published, for as long as it may take.

    Parameters
    ----------
    config
        The configuration.
    aggregator
        Builds the bars of the hole.
    outbox
        Takes what closes.
    reach
        Says what is missing.

    Attributes
    ----------
    filling
        From when to when, in ns, a hole is being filled; nothing if none is.
    """

    config: Config
    aggregator: Aggregator
    outbox: Outbox
    reach: Reach
    filling: tuple[int, int] | None = None
    _outrights: Outrights = field(init=False)
    _said: str = ""

    def __attrs_post_init__(self) -> None:
        self._outrights = Outrights(self.config)

    async def floor(self) -> int:
        """Return the first minute to build from a replay, in ns; 0 is the beginning of what there is.

        What lies further back than the gateway replays is filled. What cannot be filled in time is lost: hours and
        sessions over it are never published.
        """
        if self._hole() is not None:
            try:
                await self._fill()
            finally:
                self.filling = None
        if (hole := self._hole()) is not None:
            self.aggregator.lose(hole[0], hole[1] - NS_PER_MINUTE)
            lost = {"from": isoformat(hole[0]), "to": isoformat(hole[1])}
            log.error("gap: longer away than the gateway replays", **lost)
            return hole[1]
        return self.reach.needed()

    def _hole(self) -> tuple[int, int] | None:
        needed, earliest = self.reach.needed(), self.reach.earliest()
        return (needed, earliest) if 0 < needed < earliest else None

    async def _fill(self) -> None:
        """Fill from the beginning of the hole on, as far as it goes; what was bought earlier needs no asking."""
        deadline = time.monotonic() + (self.config.hub.gap_wait_s if may_fill(self.config) else 0)
        pause = FIRST_PAUSE
        while (hole := self._hole()) is not None:
            self.filling = hole
            end = hole[1] + MARGIN
            end += -end % COUNT_GRID
            if await self._build(hole[0], end):
                continue
            left = deadline - time.monotonic()
            if left <= 0 or not await self._bought(hole[0], end, left):
                return
            if not await self._build(hole[0], end):
                await asyncio.sleep(max(0.0, min(pause, deadline - time.monotonic())))
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _bought(self, begin: int, end: int, seconds: float) -> bool:
        """Buy what is missing; return whether it makes sense to go on."""
        symbols = list(self.config.instruments)
        fields = {"from": isoformat(begin), "to": isoformat(end)}
        try:
            async with asyncio.timeout(seconds):
                reached = await off_loop(lambda: self._outrights.buy(symbols, begin, end))
        except TimeoutError:
            log.warning("gap not filled in time", **fields, gap_wait_s=self.config.hub.gap_wait_s)
            return False
        except PineError as error:
            if str(error) != self._said:
                self._said = str(error)
                log.warning("gap not filled yet", **fields, reason=str(error))
            return not isinstance(error, (TooDear, KeyRefused, SecretMissing))
        finally:
            self._outrights.give_up()  # the hub ends, or has no more time
        log.info("gap bought", **fields, until=isoformat(reached))
        return True

    async def _build(self, begin: int, end: int) -> bool:
        """Build what is there of every root from the beginning of the hole on; return whether that was anything."""
        symbols = list(self.config.instruments)
        until = await off_loop(lambda: self._outrights.reached(symbols, begin, end))
        until -= until % NS_PER_MINUTE
        if until <= begin:
            return False
        log.info("filling", to=isoformat(until), **{"from": isoformat(begin)})
        await off_loop(lambda: self._outrights.prune(begin - self.config.retention.ns))
        try:
            for first, last in days(begin, until):
                await self._build_day(first, last)
        except PineError as error:
            log.warning("gap not filled yet", reason=str(error))
            return False
        return True

    async def _build_day(self, begin: int, end: int) -> None:
        outrights = self._outrights
        found = await off_loop(
            lambda: [piece for symbol in self.config.instruments for piece in outrights.read(symbol, begin, end)]
        )
        self.aggregator.begin_session(replaying=False, floor=begin)
        parts = []
        for bought, low, high in found:
            for number, name in names_on(bought, begin):
                self.aggregator.table.add(number, name, begin)
            times = bought.records["ts_event"]
            parts.append(bought.records[(times >= low) & (times < high)])
        if parts:
            records = np.concatenate(parts)
            self.aggregator.add_ohlcv(records[np.argsort(records["ts_event"], kind="stable")])
        self.aggregator.heartbeat(end + self.aggregator.lateness + HEARTBEAT_DOUBT)
        self.outbox.put(self.aggregator.advance())
        await self.outbox.room()
