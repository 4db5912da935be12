"""How a worker is: what its heartbeat tells."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.cursors import behind, read_cursors
from pine.bus.freshness import hub_data
from pine.bus.heartbeat import Heartbeat
from pine.bus.heartbeat import read as read_heartbeat
from pine.core.config import Config
from pine.core.config.secret import masked
from pine.core.timeframe import NS_PER_MS
from pine.core.times import isoformat
from pine.orders.portfolio import Portfolio
from pine.worker.engine import DISAGREE
from pine.worker.latency import Latency

LONGEST_ALERT: Final = 500


@define
class Vitals:
    """Writes a worker's heartbeat.

    Parameters
    ----------
    config, strategy, client
        Whose worker, and on which server.
    heartbeat
        Writes what is told.
    portfolio
        The account.
    on_beat
        Returns extra facts.

    Attributes
    ----------
    alerts
        What the engine found wrong so far; what it found while warming up, again, is left out.
    steps, intents
        How many there were in this process.
    acked
        Last step that is done, in ms; 0 before the first.
    latency
        How long a step takes.
    """

    config: Config
    strategy: str
    client: Client
    heartbeat: Heartbeat
    portfolio: Portfolio
    on_beat: Callable[[], dict[str, Any]]
    alerts: Sequence[str] = ()
    steps: int = 0
    intents: int = 0
    acked: int = 0
    latency: Latency = field(factory=Latency)
    _alerts_before: int = 0
    _looked_at: tuple[int, int] = (0, 0)

    def warm(self) -> None:
        """Know that what was found wrong up to now was found before."""
        self._alerts_before = len(self.alerts)

    def sign(self, status: str) -> None:
        """Write the heartbeat if a second has gone since the last one."""
        if self.heartbeat.due():
            self.beat(status)

    def beat(self, status: str) -> None:
        """Write the heartbeat."""
        own = self._own_facts()
        try:
            facts = {**own, **self._facts_of_server(), **self.on_beat()}
        except redis.RedisError:
            self.heartbeat.away(own)
            raise
        self.heartbeat.write(status, facts, well=self._is_well(facts["lag"]))

    def _own_facts(self) -> dict[str, Any]:
        portfolio = self.portfolio
        return {
            "last_step": self.acked,
            "last_step_at": isoformat(self.acked * NS_PER_MS) if self.acked else "",
            "steps": self.steps,
            "intents": self.intents,
            "positions": {p.symbol: p.quantity for p in portfolio.positions.values()},
            "cash": round(portfolio.cash, 2),
            "realised": round(portfolio.realised, 2),
            "day_pnl": round(portfolio.day_pnl(self.acked * NS_PER_MS), 2),
            "halted": portfolio.halted or "",
            **self._found_wrong(),
            **self.latency.facts(),
        }

    def _facts_of_server(self) -> dict[str, Any]:
        """Return how far the clock is ahead of this worker, and how old the hub's data is."""
        cursor = read_cursors(self.client, keys.CLOCK).get(self.strategy)
        lag = None if cursor is None else behind(self.client, keys.CLOCK, cursor)
        clock = streams.last_id(self.client, keys.CLOCK)
        newest = streams.ms_of(clock) if clock else 0
        beat = read_heartbeat(self.client, keys.HUB)
        data = hub_data(self.config, beat, time.time_ns(), newest * NS_PER_MS or None)
        return {
            "lag": lag,
            "lag_s": max(newest - self.acked, 0) // 1000 if lag and self.acked else 0 if lag == 0 else None,
            "hub": str(beat.get("status", "away")),
            "data_age_s": None if data.age_s is None else round(data.age_s, 1),
            "market_open": data.market_open,
            "fresh": data.is_fresh(),
        }

    def _is_well(self, lag: int | None) -> bool:
        """Tell whether there is nothing to do, or something was done since the last look.

        Old data is the hub's fault: a worker that has done all there was is well without any.
        """
        before, self._looked_at = self._looked_at, (self.acked, self.steps)
        return not lag or self._looked_at != before

    def _found_wrong(self) -> dict[str, Any]:
        """Return what the engine found wrong at live steps; warming up finds the old again."""
        found = self.alerts[self._alerts_before :]
        disagreements = [text for text in found if text.startswith(DISAGREE)]
        last = masked(disagreements[-1])[:LONGEST_ALERT] if disagreements else ""
        return {"alerts": len(found), "disagreements": len(disagreements), "last_disagreement": last}
