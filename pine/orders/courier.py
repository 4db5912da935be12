"""The courier: posts what the ledger says has not been posted, once, in order.

Intent and attempt are on the server's disk before anything is sent. What a killed courier leaves between attempt
and answer is unknown: an exit is posted again, an entry is held and reported.
"""

import logging
import os
import random
import threading
import time
from typing import Final

import orjson
import redis
from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import is_away, revive
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.errors import BusError
from pine.core.times import Clock, from_seconds, isoformat
from pine.orders.entries import Intent, decode
from pine.orders.ledger import Deliveries
from pine.orders.traderspost import Answer, TradersPost, Verdict, payload

GROUP: Final = "courier"
BLOCK_MS: Final = 250
HEARTBEAT_TTL_MS: Final = 15_000
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
SERVER_PAUSE: Final = 0.2
AWAY_SECONDS: Final = 30.0
"""How long a courier that belongs to a worker waits for a server that it does not start itself."""

IDLE_SECONDS: Final = 3.0
"""How long the worker must be gone, with nothing owed, before a courier that belongs to it ends."""

SETTLED: Final = frozenset({"posted", "rejected", "expired", "skipped"})

logger = logging.getLogger(__name__)


def role(strategy: str) -> str:
    """Return the role of a strategy's courier."""
    return f"courier:{strategy}"


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
    _web: TradersPost = field(init=False)
    _deliveries: Deliveries = field(init=False)
    _beat_at: float = 0.0
    _alone_since: float | None = None

    def __attrs_post_init__(self) -> None:
        self._writer = Writer(self.client, role(self.strategy), self.lease.token)
        self._web = TradersPost(self.config.strategies[self.strategy].webhook, self.config.orders.timeout_s)
        self._deliveries = Deliveries.read(self.client, self.strategy)

    def run(self) -> None:
        """Work until stopped, or until the worker is gone and nothing is owed."""
        streams.ensure_group(self.client, keys.ledger(self.strategy), GROUP)
        again, away_since = True, 0.0
        while not self.stop.is_set():
            self.lease.check()
            try:
                if away_since:
                    self._deliveries = Deliveries.read(self.client, self.strategy)
                    again, away_since = True, 0.0
                again = self._round(again)
                if self._finished():
                    return
            except redis.RedisError as error:
                if not is_away(error):
                    raise
                if not away_since:
                    logger.warning("server away", extra={"fields": {"reason": str(error)}})
                    away_since = time.monotonic()
                self.stop.wait(SERVER_PAUSE)
                if not self.with_worker:
                    revive(self.config)
                elif time.monotonic() - away_since > AWAY_SECONDS:
                    raise BusError("the server stays away; the next worker starts another courier") from None

    def _round(self, pending: bool) -> bool:
        """Deal with the next entries; return whether pending ones must be looked at first the next time."""
        stream, consumer = keys.ledger(self.strategy), str(self.lease.token)
        self._beat()
        if pending:
            entries = streams.claim_predecessors(self.client, stream, GROUP, consumer)
        else:
            entries = streams.read_group(self.client, stream, GROUP, consumer, count=20, block_ms=BLOCK_MS)
        for identifier, fields in entries:
            if self.stop.is_set():
                return False
            content = decode(fields[b"entry"])
            if isinstance(content, Intent):
                self._deliver(content)
                if self.stop.is_set() and self._deliveries.state(content.id) not in SETTLED | {"unknown"}:
                    return False
            self._writer.acknowledge(stream, GROUP, identifier)
            self._writer.commit()
            self._alone_since = None
        return False

    def _deliver(self, intent: Intent) -> None:
        """Bring one intent to an end: posted, refused, expired, skipped, or unknown."""
        if self._deliveries.state(intent.id) in SETTLED:
            return
        if self._deliveries.state(intent.id) in ("attempt", "unknown") and intent.is_entry:
            self._hold(intent, "ended between post and answer")
            return
        if not intent.is_entry and self._deliveries.state(intent.entry or "") in ("rejected", "expired"):
            self._record(intent, "skipped", text="its entry was never posted")
            return
        tries = 0
        while not self.stop.is_set():
            if intent.is_entry and self._too_old(intent):
                self._give_up(intent, "expired", Answer(Verdict.REFUSED, text="too old"))
                return
            self.lease.check()
            self._record(intent, "attempt")
            answer = self._web.post(payload(self.strategy, intent))
            if self._settle(intent, answer, tries):
                return
            own = min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE)
            tries += 1
            self._wait((own if answer.retry_after is None else answer.retry_after) * random.uniform(1.0, 1.3))  # noqa: S311  # jitter, not a secret

    def _settle(self, intent: Intent, answer: Answer, tries: int) -> bool:
        """Record what an answer means; return whether the intent is done with."""
        if answer.verdict is Verdict.ACCEPTED:
            self.posted += 1
            self._record(intent, "posted", answer.status, answer.text)
            return True
        if answer.verdict is Verdict.REFUSED:
            self._give_up(intent, "rejected", answer)
            return True
        if answer.verdict is Verdict.UNKNOWN and intent.is_entry:
            self._hold(intent, answer.text)
            return True
        self._record(intent, "retry", answer.status, answer.text)
        if intent.is_entry and tries >= self.config.orders.retries:
            self._give_up(intent, "expired", answer)
            return True
        return False

    def _give_up(self, intent: Intent, state: str, answer: Answer) -> None:
        """Record that an intent will not be posted; an entry is voided through the worker."""
        self.failed += 1
        self._record(intent, state, answer.status, answer.text)
        logger.error(
            "not posted",
            extra={"fields": {"intent": intent.id, "state": state, "status": answer.status, "text": answer.text}},
        )
        if intent.is_entry:
            request = {"order": "void", "intent": intent.id, "reason": f"{state}: {answer.text}"}
            self._writer.append(keys.control(self.strategy), "*", {"request": orjson.dumps(request)})
            self._writer.commit()

    def _hold(self, intent: Intent, text: str) -> None:
        self.failed += 1
        if self._deliveries.state(intent.id) != "unknown":
            self._record(intent, "unknown", text=text)
        logger.error("outcome unknown, not posted again", extra={"fields": {"intent": intent.id, "text": text}})

    def _too_old(self, intent: Intent) -> bool:
        limit = self.config.orders.entry_max_age_s
        return limit is not None and self.clock() - intent.step > from_seconds(limit)

    def _record(self, intent: Intent, state: str, status: int = 0, text: str = "") -> None:
        fields = {
            "intent": intent.id,
            "state": state,
            "status": str(status or ""),
            "text": text,
            "at": str(self.clock()),
        }
        self._writer.append(keys.deliveries(self.strategy), "*", {**fields})
        self._writer.commit()
        self._deliveries.apply(fields)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.stop.wait(min(left, 1.0)):
            self._beat()

    def _finished(self) -> bool:
        """Tell whether a courier that belongs to a worker has nothing to live for any more."""
        if not self.with_worker or self.client.exists(keys.lease(f"worker:{self.strategy}")):
            self._alone_since = None
            return False
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        return now - self._alone_since > IDLE_SECONDS

    def _beat(self) -> None:
        if time.monotonic() - self._beat_at < 1.0:
            return
        self._beat_at = time.monotonic()
        facts: dict[str, str | int] = {
            "status": "running",
            "pid": os.getpid(),
            "token": self.lease.token,
            "posted": self.posted,
            "failed": self.failed,
            "updated_at": isoformat(time.time_ns()),
        }
        name = keys.heartbeat(role(self.strategy))
        self.client.hset(name, mapping=facts)
        self.client.pexpire(name, HEARTBEAT_TTL_MS)
