"""One look a second at the whole system, in a thread of its own, whoever and however many watch."""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import redis
from attrs import define, evolve, field, frozen

from pine.bus.client import Client
from pine.bus.connection import VISIT_SECONDS, connect
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.errors import NoServer, PineError
from pine.core.log import get_logger
from pine.core.timeframe import Timeframe
from pine.core.times import Clock
from pine.ops.status import Observer, without_server
from pine.web.records import Bars, Happened, Market, Strategy

EVERY_SECONDS: Final = 1.0
OLD_SECONDS: Final = 10.0
"""A look that takes longer than this is told as such: the server does not answer."""

FORGET_SECONDS: Final = 30.0
"""How long the bars of a chart are read after somebody last looked at it."""

Chart = tuple[str, Timeframe]

log = get_logger(__name__)


@frozen
class Picture:
    """What everybody sees until the next look.

    Attributes
    ----------
    facts
        What `pine.ops.status` found; without a server, what there is to know anyway.
    known
        The newest facts that came from a server; nothing before the first.
    orders
        Newest orders of each strategy, oldest first.
    happened
        What the market and operators did, newest first.
    charts
        Bars that somebody looks at.
    taken
        When it was taken, on the watcher's monotonic clock.
    """

    facts: Mapping[str, Any]
    known: Mapping[str, Any] | None = None
    orders: Mapping[str, tuple[Mapping[str, Any], ...]] = field(factory=dict)
    happened: tuple[Happened, ...] = ()
    charts: Mapping[Chart, tuple[Bar, ...]] = field(factory=dict)
    taken: float = 0.0

    @property
    def away(self) -> bool:
        """Whether the server could not be asked."""
        return self.facts["server"] is None


@define(eq=False)
class _Sight:
    """A connection, and what was read through it; a server that is another one, or was started anew, gets a new one."""

    client: Client
    observer: Observer
    market: Market
    strategies: dict[str, Strategy]
    bars: dict[Chart, Bars] = field(factory=dict)
    run: str = ""


@define(eq=False)
class Watcher:
    """Looks at the system again and again, and keeps the newest picture.

    Parameters
    ----------
    config
        The configuration.
    clock
        The present, in ns.
    option
        What a suggested command needs at its end to find the same configuration.
    """

    config: Config
    clock: Clock
    option: str = ""
    picture: Picture = field(init=False)
    _sight: _Sight | None = None
    _wanted: dict[Chart, float] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)
    _wake: threading.Event = field(factory=threading.Event)
    _ended: bool = False
    _told: str = ""

    def __attrs_post_init__(self) -> None:
        self.picture = Picture(without_server(self.config, self.clock(), "nothing was looked at yet"))

    def start(self) -> None:
        """Begin; the thread ends with the process, or after `stop`, whatever it waits for."""
        threading.Thread(target=self._run, name="watcher", daemon=True).start()

    def stop(self) -> None:
        """Take no further look."""
        self._ended = True
        self._wake.set()

    def bars(self, symbol: str, timeframe: Timeframe) -> tuple[Bar, ...] | None:
        """Return the newest bars, oldest first; nothing if they were not read yet, which this asks for."""
        chart = (symbol, timeframe)
        with self._lock:
            self._wanted[chart] = time.monotonic()
        found = self.picture.charts.get(chart)
        if found is None:
            self._wake.set()
        return found

    def age(self) -> float:
        """Return how many seconds ago the picture was taken."""
        return time.monotonic() - self.picture.taken if self.picture.taken else 0.0

    def healthy(self) -> bool:
        """Tell whether the newest look was of late and reached a server."""
        return not self.picture.away and self.age() < OLD_SECONDS

    def _run(self) -> None:
        while not self._ended:
            began = time.monotonic()
            self._wake.clear()
            self.look()
            self._wake.wait(max(EVERY_SECONDS - (time.monotonic() - began), 0.05))

    def look(self) -> None:
        """Take a picture; whatever goes wrong is in it."""
        now = self.clock()
        try:
            picture = self._look_again(now)
            self._told = ""
        except (redis.RedisError, PineError) as error:
            picture = self._without(now, f"{error}{self.option}" if isinstance(error, NoServer) else str(error))
        except Exception as error:  # the one who looks must not fall silent
            log.exception("look failed")
            picture = self._without(now, f"this dashboard cannot look: {type(error).__name__}: {error}")
        self.picture = evolve(picture, taken=time.monotonic())

    def _look_again(self, now: int) -> Picture:
        if self._sight is not None:
            try:
                return self._look(now)
            except redis.RedisError:  # connecting anew says in words what is wrong, if anything still is
                self._forget()
        return self._look(now)

    def _look(self, now: int) -> Picture:
        sight = self._sight or self._connected()
        facts = sight.observer.look(now)
        if facts["server"]["run_id"] != sight.run:
            sight = self._begin(sight.client, facts["server"]["run_id"])
        sight.market.refresh(sight.client)
        for strategy in sight.strategies.values():
            strategy.refresh(sight.client)
        happened = [*sight.market.happened, *(one for s in sight.strategies.values() for one in s.controls)]
        return Picture(
            facts,
            facts,
            {name: strategy.orders for name, strategy in sight.strategies.items()},
            tuple(sorted(happened, key=lambda one: one.time, reverse=True)),
            self._charts(sight),
        )

    def _charts(self, sight: _Sight) -> dict[Chart, tuple[Bar, ...]]:
        with self._lock:
            oldest = time.monotonic() - FORGET_SECONDS
            self._wanted = {chart: asked for chart, asked in self._wanted.items() if asked > oldest}
            wanted = list(self._wanted)
        sight.bars = {chart: sight.bars.get(chart) or Bars(*chart) for chart in wanted}
        return {chart: bars.refresh(sight.client) for chart, bars in sight.bars.items()}

    def _connected(self) -> _Sight:
        client = connect(self.config, start=False, silence=VISIT_SECONDS)
        return self._begin(client, client.info()["run_id"])

    def _begin(self, client: Client, run: str) -> _Sight:
        strategies = {
            name: Strategy(name, bool(self.config.strategies[name].webhook)) for name in self.config.strategies
        }
        observer = Observer(self.config, client, self.option)
        self._sight = _Sight(client, observer, Market(), strategies, run=run)
        return self._sight

    def _without(self, now: int, problem: str) -> Picture:
        if problem != self._told:
            log.warning("nothing to see", reason=problem)
            self._told = problem
        self._forget()
        return evolve(self.picture, facts=without_server(self.config, now, problem, self.option))

    def _forget(self) -> None:
        if self._sight is not None:
            self._sight.client.close()
            self._sight = None
