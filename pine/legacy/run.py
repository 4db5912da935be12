"""``pine legacy``: the reference as a process."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from pine.bus.ending import stop_on_end
from pine.core.calendar import is_open
from pine.core.config import Config
from pine.core.errors import PineError
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import isoformat
from pine.legacy.heartbeat import Heartbeat, own_path, posting_alone
from pine.legacy.poster import Poster
from pine.legacy.preflight import Check, Preflight
from pine.legacy.record import JsonRecorder, Recorder, Recorders
from pine.legacy.warmup import Past, read_past
from pine.orders.entries import Intent
from pine.orders.gates import KillSwitch, generated
from pine.orders.traderspost import TradersPost
from pine.strategies.judge import Standards, standards_of
from pine.strategies.models.origin import refuse_generated

if TYPE_CHECKING:
    from pine.legacy.subscriber import Subscriber
    from pine.legacy.system import LegacySystem

FINISH_S: Final = 20.0
"""How long a run that ends waits for orders that are not posted yet."""

log = get_logger(__name__)


@define(eq=False)
class LegacyRun:
    """One run of the process.

    Parameters
    ----------
    config, strategy
        What to run.
    live
        Whether intents are posted. Nothing is posted otherwise, whatever the configuration says.
    record
        New file for the record, if any.
    buy
        Whether bars missing for the warm-up are bought from Databento Historical.
    """

    config: Config
    strategy: str
    live: bool = False
    record: Path | None = None
    buy: bool = False
    past: Past = field(factory=Past)
    _now: int = 0
    _standards: Standards | None = None

    @property
    def standards(self) -> Standards:
        """What entries are judged by; loads the models once."""
        if self._standards is None:
            self._standards = standards_of(self.config, self.strategy)
        return self._standards

    def preflight(self, *, fail_fast: bool = True) -> list[Check]:
        """Look at everything that must be there, and read the past; nothing is connected or posted."""
        return Preflight(self.config, self.strategy, self.live, self._models, self._read_past).run(fail_fast=fail_fast)

    def run(self) -> int:
        """Run until SIGINT or SIGTERM after a `preflight` that passed; return the exit code.

        Raises
        ------
        PineError
            If the key is refused or the record cannot be written.
        """
        from pine.legacy.subscriber import Subscriber
        from pine.legacy.system import LegacySystem  # imports Backtrader

        stop = stop_on_end()
        live_after = self._now
        with ExitStack() as stack:
            if self.live:
                stack.enter_context(posting_alone(self.config, self.strategy))
            recorder: Recorder = Recorders(())
            if self.record is not None:
                facts = {"strategy": self.strategy, "live": self.live, "live_after": live_after}
                recorder = stack.enter_context(JsonRecorder(self.record, facts))
            system = LegacySystem(
                self.config,
                self.strategy,
                recorder,
                past=self.past,
                live_after=live_after,
                on_overflow=_tell_overflow,
                standards=self.standards,
            )
            poster = self._poster(system) if self.live else None
            subscriber = Subscriber(self.config, self.strategy, stop)
            beat = Heartbeat(
                own_path(self.config, self.strategy, live=self.live), lambda: self._facts(system, subscriber, poster)
            )
            if poster is not None:
                system.on_intent = _noted(beat, poster)
            beat.start()
            return self._run(system, subscriber, poster, beat, stop)

    def _run(
        self,
        system: "LegacySystem",
        subscriber: "Subscriber",
        poster: Poster | None,
        beat: Heartbeat,
        stop: threading.Event,
    ) -> int:
        facts = {"strategy": self.strategy, "posting": self.live, "symbols": ",".join(system.rules)}
        log.info("reference started", **facts)
        status, code = "failed", 1
        try:
            beat.say("running")
            system.run_with(subscriber.produce, stop)
            status, code = "stopped", 0
        except PineError:
            raise
        except Exception:
            log.exception("the reference failed")
        finally:
            if poster is not None and not poster.finish(FINISH_S):
                log.error("orders were not posted before the end", last=poster.last)
                code = 1
            beat.end(status)
            open_now = {p.contract: p.quantity for p in system.account.positions.values()}
            said = {"cash": round(system.account.cash, 2), "positions": open_now or "none"}
            log.info("reference ended", status=status, **said)
        return code

    def _models(self) -> str:
        """Load the models; say how many, or which instruments cannot be entered."""
        fleet = self.standards.fleet
        if self.live:
            refuse_generated(self.strategy, fleet, self.config.strategies[self.strategy].webhook)
        problems = [f"no entries in {symbol}: {problem}" for symbol, problem in fleet.problems.items()]
        counted = f"{len(fleet.models)} loaded" if fleet.models else "none"
        return "; ".join([counted, *problems])

    def _read_past(self) -> str:
        """Read hours and days before the session under way; say how many."""
        if self.config.hub.clock == "tape":
            return "none: a tape is its own beginning"
        from pine.history.answer import History

        self._now = time.time_ns()
        rules = self.config.rules_of(self.strategy)
        history = History.of(self.config, None, self._vendor() if self.buy else None)
        asked = self.config.warm_up_of(self.strategy)
        reach = None if asked is None else self.standards.reach(asked)
        self.past = read_past(history, rules, self._now, reach, buy=self.buy)
        if reach is None:
            return "off: indicators begin with the session under way"
        told = ", ".join(f"{symbol} {len(bars)} bars" for symbol, bars in self.past.bars.items())
        missing = f"; {'; '.join(self.past.holes)}; indicators begin with what there is" if self.past.holes else ""
        return f"{told}{missing}"

    def _vendor(self) -> Any:
        from pine.history.historical import HistoricalSource
        from pine.legacy.minutes import choose

        return HistoricalSource(self.config, choose)

    def _poster(self, system: "LegacySystem") -> Poster:
        webhook = self.config.strategies[self.strategy].webhook
        killswitch = KillSwitch(self.config.path.with_name(".env"))

        def blocked(intent: Intent) -> str | None:
            return killswitch.reason() or generated(intent, webhook) or self._stale(system, intent.symbol)

        return Poster(self.strategy, TradersPost(webhook, self.config.orders.timeout_s), self.config.orders, blocked)

    def _stale(self, system: "LegacySystem", symbol: str) -> str | None:
        limit, aggregator = self.config.orders.stale_after_s, system.aggregator
        now = aggregator.watermark if self.config.hub.clock == "tape" else time.time_ns()
        age = (now - aggregator.last_trade) / NS_PER_SECOND
        if limit is None or age <= limit or not is_open(self.config.session_rule(symbol).group, now):
            return None
        return f"stale data: the newest trade is {age:.0f} s old in an open market, the limit is {limit} s"

    def _facts(self, system: "LegacySystem", subscriber: "Subscriber", poster: Poster | None) -> dict[str, Any]:
        last_bars = {symbol: feed.bar for symbol, feed in list(system.minutes.items())}
        return {
            "strategy": self.strategy,
            "live": self.live,
            "last_step": isoformat(system.last_step) if system.last_step else None,
            "last_bar": {symbol: isoformat(bar.start) if bar else None for symbol, bar in last_bars.items()},
            "queue_depths": system.fanout.depths(),
            "overflows": dict(system.fanout.overflows),
            "records": dict(system.aggregator.counts),
            "connections": subscriber.connections,
            "last_error": subscriber.last_error,
            "positions": {p.contract: p.quantity for p in list(system.account.positions.values())},
            "ordered": {o.contract: o.quantity for o in list(system.account.working.values()) if o.is_entry},
            "cash": round(system.account.cash, 2),
            "realised": round(system.account.realised, 2),
            "webhook": {**poster.outcomes, "last": poster.last} if poster is not None else "nothing is posted",
        }


def _noted(beat: Heartbeat, poster: Poster) -> Callable[[Intent], None]:
    """Return what writes down that an entry is on its way before it is posted: a run killed then left it open."""

    def take(intent: Intent) -> None:
        if intent.is_entry:
            beat.note()
        poster.take(intent)

    return take


def _tell_overflow(symbol: str, count: int) -> None:
    """Say that reading waits for the strategy: at the 1st, 2nd, 4th, 8th … time, or a slow one would fill the log."""
    if count & (count - 1) == 0:
        facts = {"symbol": symbol, "times": count}
        log.warning("queue full: reading waits for the strategy", **facts)
