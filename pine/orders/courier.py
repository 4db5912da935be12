"""The courier: posts what the ledger says has not been posted, once, in order of each symbol.

Intent and attempt are on the server's disk before anything is sent. What a killed courier leaves between attempt
and answer is unknown: an exit is posted again, an entry is held and reported.
"""

import contextlib
import random
import threading
import time
from collections import defaultdict, deque
from typing import Any, Final

import redis
from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import is_away, revive
from pine.bus.heartbeat import STOPPED, Heartbeat
from pine.bus.lease import Lease
from pine.bus.pauses import pause
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.errors import BusError, WentBack
from pine.core.log import about_intent, get_logger
from pine.core.times import Clock, from_seconds
from pine.orders.entries import Intent, decode
from pine.orders.gates import Freshness, KillSwitch, generated
from pine.orders.ledger import NEVER_POSTED, SETTLED, Deliveries, role
from pine.orders.ratelimit import RateLimit
from pine.orders.requests import ask_void
from pine.orders.standing import StandingOrders
from pine.orders.traderspost import Answer, TradersPost, Verdict, payload

GROUP: Final = "courier"
BLOCK_MS: Final = 250
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
LONGEST_RETRY_AFTER: Final = 300.0
"""The vendor's wish is honoured up to here; beyond it an exit would be forgotten."""

SERVER_PAUSE: Final = 0.2
AWAY_SECONDS: Final = 30.0
"""How long a courier that belongs to a worker waits for a server that it does not start itself."""

IDLE_SECONDS: Final = 3.0
"""How long the worker must be gone, with nothing owed, before a courier that belongs to it ends."""

STALE_PAUSE: Final = 1.0
"""Seconds until a courier looks again whether the data is fresh; the entry's age goes on."""

log = get_logger(__name__)


def nothing_owed(client: Client, strategy: str) -> bool:
    """Tell whether couriers have dealt with everything in a strategy's ledger."""
    ledger = keys.ledger(strategy)
    newest = streams.last_id(client, ledger)
    if newest is None:
        return True
    groups = [group for group in client.xinfo_groups(ledger) if group["name"].decode() == GROUP]
    return bool(groups) and not groups[0]["pending"] and groups[0]["last-delivered-id"].decode() == newest


@define(eq=False)
class Courier:
    """Posts the intents of one strategy.

    Parameters
    ----------
    config
        The configuration.
    strategy
        Its name.
    client
        Connection to the stream server.
    lease
        The courier's role and token.
    stop
        Ends the work after the present post.
    clock
        Tells the wall time in ns, against which an entry's age is judged.
    with_worker
        Whether to end once the worker is gone and nothing is owed.
    """

    config: Config
    strategy: str
    client: Client
    lease: Lease
    stop: threading.Event
    clock: Clock = time.time_ns
    with_worker: bool = False
    posted: int = 0
    failed: int = 0
    _writer: Writer = field(init=False)
    _heartbeat: Heartbeat = field(init=False)
    _web: TradersPost = field(init=False)
    _deliveries: Deliveries = field(factory=Deliveries)
    _limit: RateLimit = field(init=False)
    _killswitch: KillSwitch = field(init=False)
    _freshness: Freshness = field(init=False)
    _stale: bool = False
    _orders: StandingOrders = field(factory=StandingOrders)
    _queues: dict[str, deque[tuple[str, Intent]]] = field(factory=lambda: defaultdict(deque))
    _not_before: dict[str, float] = field(factory=dict)
    _alone_since: float | None = None
    _unsent: set[str] = field(factory=set)
    """Attempts that may or may not be on record, and of which nothing was sent."""

    def __attrs_post_init__(self) -> None:
        self._writer = Writer(self.client, role(self.strategy), self.lease.token)
        self._heartbeat = Heartbeat(self.client, self.config, role(self.strategy), self.lease.token)
        self._killswitch = KillSwitch(self.config.path.with_name(".env"))
        self._freshness = Freshness(self.client, self.config, self.clock)
        self._web = TradersPost(self.config.strategies[self.strategy].webhook, self.config.orders.timeout_s)

    def run(self) -> None:
        """Work until stopped, or until the worker is gone and nothing is owed."""
        away_since: float | None = None
        taken_over = False
        while not self.stop.is_set():
            self.lease.check()
            try:
                if not taken_over:
                    self._take_over()
                    taken_over, away_since = True, None
                self._round()
                if self._finished():
                    break
            except WentBack as error:
                log.warning("starting again from what the server holds", reason=str(error))
                self.stop.wait(SERVER_PAUSE)
                taken_over = False
            except redis.RedisError as error:
                if not (is_away(error) or streams.is_groupless(error)):
                    raise
                away_since = self._wait_for_server(error, away_since)
                taken_over = False
        with contextlib.suppress(redis.RedisError):  # everything is on record; the server may be gone first
            self._heartbeat.write(STOPPED, self._facts())

    def _wait_for_server(self, error: redis.RedisError, since: float | None) -> float:
        now = time.monotonic()
        if since is None:
            log.warning("server away", reason=str(error))
        if self._heartbeat.due():
            self._heartbeat.away(self._facts())
        self.stop.wait(SERVER_PAUSE)
        if not self.with_worker:
            revive(self.config, self.stop.is_set)
        elif since is not None and now - since > AWAY_SECONDS:
            raise BusError("the server stays away; the next worker starts another courier") from None
        return now if since is None else since

    def _take_over(self) -> None:
        """Begin from what is on the server: what was tried, and what others read and did not bring to an end."""
        self.lease.renew()
        streams.ensure_group(self.client, keys.ledger(self.strategy), GROUP)
        self._read_deliveries()
        self._limit = RateLimit(self.config.orders.per_minute, self.config.orders.per_hour)
        self._limit.remember(self._deliveries.attempts_at)
        self._queues.clear()
        self._not_before.clear()
        self._orders = StandingOrders()
        stream = keys.ledger(self.strategy)
        self._sort(streams.claim_predecessors(self.client, stream, GROUP, str(self.lease.token)))

    def _read_deliveries(self) -> None:
        """Read what was tried; what the server has lost of it goes on record again, so that nothing is posted twice."""
        known, held = self._deliveries, Deliveries.read(self.client, self.strategy)
        lost = {intent: delivery for intent, delivery in known.by_intent.items() if held.lacks(intent, delivery)}
        if lost:
            for intent, delivery in lost.items():
                self._put(intent, delivery.state, delivery.status or 0, "the server had lost this")
            self._writer.commit()
            held.refresh(self.client, self.strategy)
            log.error("deliveries that the server had lost are on record again", count=len(lost))
        self._deliveries = held  # not before: what is known here only must outlast a server that is away

    def _round(self) -> None:
        """Read what is new, then give each symbol whose turn has come one try."""
        if self._beat():
            self._deliveries.refresh(self.client, self.strategy)
            self._look_for_stolen()
        stream, consumer = keys.ledger(self.strategy), str(self.lease.token)
        block = max(1, min(BLOCK_MS, int(self._next_turn() * 1000)))
        self._sort(streams.read_group(self.client, stream, GROUP, consumer, count=100, block_ms=block))
        for symbol in self._due():
            if self.stop.is_set() or self._limit.wait(self.clock()) > 0:
                return
            identifier, intent = self._queues[symbol][0]
            again_in = self._try(identifier, intent)
            if again_in is not None:
                self._not_before[symbol] = time.monotonic() + again_in
                continue
            pause(self.lease.role, "recorded")
            self._queues[symbol].popleft()
            self._acknowledge(identifier)

    def _look_for_stolen(self) -> None:
        """Take back what a courier before us, stopped and awake again, was served although it is ours."""
        held = sum(map(len, self._queues.values()))
        if self.client.xpending(keys.ledger(self.strategy), GROUP)["pending"] != held:
            self._take_over()

    def _sort(self, entries: list[streams.Entry]) -> None:
        """Queue intents by symbol, in order; everything else in the ledger is none of a courier's business."""
        for identifier, fields in entries:
            content = decode(streams.field_of(keys.ledger(self.strategy), fields, "entry"))
            if isinstance(content, Intent):
                self._queues[content.symbol].append((identifier, content))
            else:
                self._acknowledge(identifier)

    def _due(self) -> list[str]:
        """Return the symbols that may be tried now, those that want to get out first."""
        now = time.monotonic()
        due = [s for s, queue in self._queues.items() if queue and self._not_before.get(s, 0.0) <= now]
        return sorted(due, key=lambda symbol: self._queues[symbol][0][1].is_entry)

    def _next_turn(self) -> float:
        """Return the seconds until somebody is due."""
        waiting = [self._not_before.get(symbol, 0.0) for symbol, queue in self._queues.items() if queue]
        if not waiting:
            return BLOCK_MS / 1000
        return max(min(waiting) - time.monotonic(), self._limit.wait(self.clock()), 0.0)

    def _acknowledge(self, identifier: str) -> None:
        self._writer.acknowledge(keys.ledger(self.strategy), GROUP, identifier)
        self._writer.commit()
        self._alone_since = None

    def _try(self, identifier: str, intent: Intent) -> float | None:
        """Take an intent one try further; return the seconds to wait before the next, or nothing if it is done with."""
        with about_intent(intent.id):
            return self._try_once(identifier, intent)

    def _try_once(self, identifier: str, intent: Intent) -> float | None:
        self._deliveries.refresh(self.client, self.strategy)  # an operator may have settled something
        state = self._deliveries.state(intent.id)
        if state in SETTLED or (state == "unknown" and intent.is_entry):
            return None
        if state == "attempt" and intent.is_entry and intent.id not in self._unsent:
            self._hold(intent, "ended between post and answer")
            return None
        if not intent.is_entry and self._deliveries.state(intent.entry or "") in NEVER_POSTED:
            self._record(intent, "skipped", text="its entry was never posted")
            return None
        if self._barred(identifier, intent):
            return None
        if intent.is_entry and self._is_stale(intent):
            return STALE_PAUSE
        self.lease.check()
        self._record(intent, "attempt")
        self._limit.took(self.clock())
        pause(self.lease.role, "attempted")
        if self._is_late(intent) or self._barred(identifier, intent):  # again: the machine may have slept since
            return None
        self._unsent.discard(intent.id)
        answer = self._web.post(payload(self.strategy, intent))
        pause(self.lease.role, "answered")
        return self._settle(intent, answer)

    def _settle(self, intent: Intent, answer: Answer) -> float | None:
        """Record what an answer means; return the seconds to wait if it is to be tried again."""
        if answer.verdict is Verdict.ACCEPTED:
            self.posted += 1
            self._record(intent, "posted", answer.status, answer.text)
            log.info("posted", status=answer.status)
            return None
        if answer.verdict is Verdict.REFUSED:
            self._give_up(intent, "rejected", answer)
            return None
        if answer.verdict is Verdict.UNKNOWN and intent.is_entry:
            self._hold(intent, answer.text)
            return None
        self._record(intent, "retry", answer.status, answer.text)
        tried = self._deliveries.attempts(intent.id)
        if intent.is_entry and tried > self.config.orders.retries:
            self._give_up(intent, "expired", answer)
            return None
        own = min(FIRST_PAUSE * 2.0 ** min(tried - 1, 10), LONGEST_PAUSE)
        wanted = own if answer.retry_after is None else min(answer.retry_after, LONGEST_RETRY_AFTER)
        return wanted * random.uniform(1.0, 1.3)  # noqa: S311  # jitter, not a secret

    def _give_up(self, intent: Intent, state: str, answer: Answer) -> None:
        """Record that an intent will not be posted; in the same write an entry's void is asked of the worker."""
        self.failed += 1
        if intent.is_entry:
            request = ask_void(intent.id, f"{state}: {answer.text}")
            self._writer.append(keys.control(self.strategy), "*", {**request})
        self._record(intent, state, answer.status, answer.text)
        log.error("not posted", state=state, status=answer.status, text=answer.text)

    def _hold(self, intent: Intent, text: str) -> None:
        self.failed += 1
        if self._deliveries.state(intent.id) != "unknown":
            self._record(intent, "unknown", text=text)
        log.error("outcome unknown, not posted again", text=text)

    def _is_late(self, intent: Intent) -> bool:
        """Tell whether somebody has taken over, or settled the attempt, while this process stood still.

        Raises
        ------
        Fenced
            If another courier has the role, or had it.
        """
        if not self.lease.renew():
            self.lease.check()
        self._deliveries.refresh(self.client, self.strategy)
        return self._deliveries.state(intent.id) != "attempt"

    def _barred(self, identifier: str, intent: Intent) -> bool:
        """Give an intent up that must not go out; return whether it was.

        An exit goes unless somebody has said since what the position is; an entry may also be too old, decided before
        a halt, or blocked.
        """
        self._orders.refresh(self.client, self.strategy)
        if reason := self._orders.superseded(identifier, intent):
            self._record(intent, "skipped", text=reason)
            return True
        if not intent.is_entry:
            return False
        limit = self.config.orders.entry_max_age_s
        if limit is not None and self.clock() - intent.step > from_seconds(limit):
            self._give_up(intent, "expired", Answer(Verdict.REFUSED, text="too old"))
            return True
        webhook = self.config.strategies[self.strategy].webhook
        halted = self._orders.halted(identifier)
        if reason := self._killswitch.reason() or halted or generated(intent, webhook):
            self._give_up(intent, "blocked", Answer(Verdict.REFUSED, text=reason))
            return True
        return False

    def _is_stale(self, intent: Intent) -> bool:
        """Tell whether an entry must wait for fresh data; the desk is told once."""
        reason = self._freshness.reason(intent.symbol)
        if reason is not None and not self._stale:
            log.error(reason, held="until it is fresh or too old")
        if reason is None and self._stale:
            log.warning("data is fresh again", symbol=intent.symbol)
        self._stale = reason is not None
        return self._stale

    def _put(self, intent: str, state: str, status: int, text: str) -> None:
        fields = {
            "intent": intent,
            "state": state,
            "status": str(status or ""),
            "text": text,
            "at": str(self.clock()),
        }
        self._writer.append(keys.deliveries(self.strategy), "*", {**fields})

    def _record(self, intent: Intent, state: str, status: int = 0, text: str = "") -> None:
        self._put(intent.id, state, status, text)
        if state == "attempt":
            self._unsent.add(intent.id)
            self._writer.commit()  # nothing was sent yet: without a record nothing will be
        else:
            self._writer.commit_until_written(self._await_server)
        self._deliveries.refresh(self.client, self.strategy)

    def _await_server(self, error: redis.RedisError) -> None:
        """Wait a moment with an outcome in hand; not even a request to end makes it forgotten."""
        log.warning("server away, an outcome waits", reason=str(error))
        time.sleep(SERVER_PAUSE)  # not `stop.wait`: once it is set that would not wait at all
        if not self.with_worker:
            revive(self.config)

    def _finished(self) -> bool:
        """Tell whether a courier that belongs to a worker has nothing to live for any more."""
        if any(self._queues.values()):
            return False
        if not self.with_worker or self.client.exists(keys.lease(f"worker:{self.strategy}")):
            self._alone_since = None
            return False
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        return now - self._alone_since > IDLE_SECONDS

    def _beat(self) -> bool:
        """Write the heartbeat about once a second; return whether it was time."""
        if not self._heartbeat.due():
            return False
        self._heartbeat.write("running", self._facts())
        return True

    def _facts(self) -> dict[str, Any]:
        waiting = {symbol: len(queue) for symbol, queue in self._queues.items() if queue}
        return {"posted": self.posted, "failed": self.failed, "waiting": waiting, "held": int(self._stale)}
