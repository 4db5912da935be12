"""Posts intents to the one webhook, in order, on a thread of its own. Made only for ``--live``."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import define, field

from pine.core.config import OrdersConfig
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_MINUTE
from pine.core.times import Clock, from_seconds
from pine.orders.entries import Intent
from pine.orders.ratelimit import RateLimit
from pine.orders.traderspost import Answer, TradersPost, Verdict, payload

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
LONGEST_RETRY_AFTER: Final = 300.0

log = get_logger(__name__)


@define(eq=False)
class Poster:
    """Posts each intent once, unless an answer says that it did not arrive.

    An entry whose outcome is not known is never posted again; an exit is. The exit of an entry that was not posted is
    not posted either. There is no ledger: what is not posted when the process ends is lost, and said.

    Parameters
    ----------
    strategy
        Goes into the body.
    web
        The webhook.
    orders
        Limits.
    blocked
        Returns why nothing may be entered now, or nothing; asked at the moment of each post of an entry.
    clock
        Wall time in ns, against which an entry's age counts: from the step that decided it.

    Attributes
    ----------
    outcomes
        Number of intents by what became of them.
    unposted
        Ids of entries that were not posted for good.
    """

    strategy: str
    web: TradersPost
    orders: OrdersConfig
    blocked: Callable[[Intent], str | None]
    clock: Clock = time.time_ns
    outcomes: Counter[str] = field(factory=Counter)
    unposted: set[str] = field(factory=set)
    last: str = ""
    _waiting: "queue.SimpleQueue[Intent | None]" = field(factory=queue.SimpleQueue)
    _limit: RateLimit = field(init=False)
    _hurry: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._limit = RateLimit(self.orders.per_minute, self.orders.per_hour)
        self._thread = threading.Thread(target=self._work, name="legacy-poster", daemon=True)
        self._thread.start()

    def take(self, intent: Intent) -> None:
        """Take an intent; it is posted at once, without waiting for its paper fill."""
        self._waiting.put(intent)

    def finish(self, seconds: float) -> bool:
        """Post what is waiting, without long pauses; return whether all of it was settled within some seconds."""
        self._waiting.put(None)
        self._thread.join(seconds / 2)
        self._hurry.set()
        self._thread.join(seconds / 2)
        return not self._thread.is_alive() and not self.outcomes["lost"]

    def _work(self) -> None:
        while (intent := self._waiting.get()) is not None:
            state, text = self._settle(intent)
            self.outcomes[state] += 1
            if intent.is_entry and state not in ("posted", "unknown"):
                self.unposted.add(intent.id)
            self.last = f"{intent.id}: {state}{f' ({text})' if text else ''}"
            tell = log.info if state == "posted" else log.error
            tell(state, intent=intent.id, ticker=intent.ticker, text=text)

    def _settle(self, intent: Intent) -> tuple[str, str]:
        """Post an intent until its outcome is known or nothing more may be done; return what became of it."""
        pause, tries = FIRST_PAUSE, 0
        while True:
            refused = self._refused(intent)
            if refused is not None:
                return refused
            wait = self._limit.wait(self.clock())
            if wait > 0:
                if self._hurry.wait(min(wait, 1.0)):
                    return "lost", "the process ends while the rate limit holds it back"
                continue
            self._limit.took(self.clock())
            tries += 1
            answer = self.web.post(payload(self.strategy, intent))
            if answer.verdict is Verdict.ACCEPTED:
                return "posted", ""
            if answer.verdict is Verdict.REFUSED:
                return "rejected", f"{answer.status} {answer.text}"
            if answer.verdict is Verdict.UNKNOWN and intent.is_entry:
                return "unknown", f"{answer.text}; look at the broker's list, it is not posted again"
            if intent.is_entry and tries > self.orders.retries:
                return "expired", f"{tries} tries"
            if self._hurry.wait(_pause(answer, pause)):
                return "lost", f"the process ends before it could be posted: {answer.status} {answer.text}"
            pause = min(pause * 2, LONGEST_PAUSE)

    def _refused(self, intent: Intent) -> tuple[str, str] | None:
        if not intent.is_entry:
            return ("skipped", "its entry was not posted") if intent.entry in self.unposted else None
        limit = self.orders.entry_max_age_s
        age = self.clock() - intent.step
        if limit is not None and age > from_seconds(limit):
            return "expired", f"decided {age // NS_PER_MINUTE} minutes ago"
        reason = self.blocked(intent)
        return None if reason is None else ("blocked", reason)


def _pause(answer: Answer, otherwise: float) -> float:
    return min(answer.retry_after, LONGEST_RETRY_AFTER) if answer.retry_after is not None else otherwise
