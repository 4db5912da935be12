"""The writing side of a worker: a strategy's ledger, and what goes to the server together with it."""

import time
from collections.abc import Iterable
from typing import Final

import redis
from attrs import define

from pine.bus import keys, streams
from pine.bus.connection import revive
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.errors import WentBack
from pine.core.log import get_logger
from pine.core.times import isoformat
from pine.orders.entries import Entry, Fill, Intent, encode

SERVER_PAUSE: Final = 0.2

log = get_logger(__name__)


@define
class Pen:
    """Adds entries to a strategy's ledger, each step's in order, and writes them with whatever else belongs there.

    Parameters
    ----------
    config, strategy
        Whose ledger.
    writer
        Writes under the worker's token.
    """

    config: Config
    strategy: str
    writer: Writer
    _next: tuple[int, int] = (0, 0)

    def follow(self, identifier: str) -> None:
        """Go on after an entry that stands in the ledger."""
        ms, n = streams.id_pair(identifier)
        self._next = (ms, n + 1)

    def add(self, ms: int, entries: Iterable[Entry]) -> None:
        """Add entries at a step, in ms, to the present write, after those that it has in the ledger already."""
        n = self._next[1] if self._next[0] == ms else 0
        for entry in entries:
            self.writer.append(keys.ledger(self.strategy), streams.entry_id(ms, n), {"entry": encode(entry)})
            n += 1
        self._next = (ms, n)

    def commit(self) -> None:
        """Send the present write, and again while the server is away.

        Raises
        ------
        WentBack
            If the server lost what it had acknowledged.
        """
        try:
            self.writer.commit_until_written(self._await_server)
        except redis.RedisError as error:
            if streams.is_groupless(error):
                raise WentBack(str(error)) from None
            raise

    def _await_server(self, error: redis.RedisError) -> None:
        """Wait a moment with a decided step in hand; not even a request to end makes it forgotten."""
        log.warning("server away", reason=str(error))
        time.sleep(SERVER_PAUSE)  # not `stop.wait`: once it is set that would not wait at all
        revive(self.config)


def tell(entries: Iterable[Entry]) -> None:
    """Log what the desk should see happen."""
    for entry in entries:
        if isinstance(entry, Intent):
            order = f"{entry.action} {entry.quantity} {entry.contract}"
            fields: dict[str, object] = {
                "order": order,
                "at": entry.price,
                "reason": entry.reason,
                "intent": entry.id,
            }
            log.info("decided", **fields)
        elif isinstance(entry, Fill):
            at = isoformat(entry.time)
            fields = {"contract": entry.contract, "at": entry.price, "time": at, "intent": entry.intent}
            log.info("filled", **(fields if entry.pnl is None else fields | {"pnl": round(entry.pnl, 2)}))
