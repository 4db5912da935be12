"""What there is to seal on a server, and up to when each of it is finished."""

from collections.abc import Callable
from typing import Final

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.cursors import reached
from pine.core.config import Config
from pine.core.instruments import SPECS
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.history.manifest import Table, bars_table

_OF_STRATEGY: Final = {
    "ledger": "ledgers",
    "flight": "flights",
    "warmup": "warmups",
    "deliveries": "deliveries",
    "control": "controls",
}
_LAST: Final = {"events": 1, "clock": 2}
"""Sealed after everything else: what is on them says what of the rest is finished and covered."""


@frozen
class Channel:
    """One stream, or the hash of leads, on its way into one table.

    Attributes
    ----------
    stream
        Its key.
    rule
        The sessions by which it is cut.
    finished
        Sessions that end here (ns) or earlier get no more entries.
    closing
        Whether an entry on a boundary belongs to the session that ends there: steps do, starts of periods do not.
    """

    table: Table
    stream: str
    rule: SessionRule
    finished: int
    closing: bool = False

    def time_of(self, identifier: str) -> int:
        """Return the instant, in ns, that says to which session an entry belongs."""
        return streams.ms_of(identifier) * NS_PER_MS - self.closing


def find_channels(client: Client, config: Config) -> list[Channel]:
    """Return everything on the server that is to be sealed, with how far it is finished now."""
    newest = streams.last_id(client, keys.CLOCK)
    clock = streams.ms_of(newest) * NS_PER_MS if newest else 0
    seconds, microseconds = client.time()
    now = (seconds * 1_000_000 + microseconds) * 1000
    steps: dict[str, int] = {}

    def done(strategy: str) -> int:
        if strategy not in steps:
            # Control entries are booked at the last acknowledged step: a session is over only when that lies behind it.
            steps[strategy] = _done(client, strategy) * NS_PER_MS - 1
        return steps[strategy]

    found = []
    for name in set(client.scan_iter(match="*", count=1000)):  # the server may name a key twice
        channel = _channel(keys.split(name.decode(errors="replace")), config, clock, now, done)
        if channel is not None:
            found.append(channel)
    return sorted(found, key=lambda channel: (rank(channel), channel.table))


def rank(channel: Channel) -> int:
    """Return when a channel is sealed: those of a lower rank come first."""
    return _LAST.get(channel.table.kind, 0)


def _channel(
    parts: tuple[str, ...], config: Config, clock: int, now: int, done: Callable[[str], int]
) -> Channel | None:
    """Return the channel of a key, if it is one that is sealed."""
    key, desk = ":".join(parts), config.desk_session
    match parts:
        case ("market", "clock" | "events" as kind):
            return Channel(Table(kind), key, desk, clock, closing=True)
        case ("market", symbol, kind) if symbol in SPECS:
            rule = config.session_rule(symbol)
            if kind in ("volume", "lead"):
                return Channel(Table(f"{kind}s", (("symbol", symbol),)), key, rule, clock)
            return Channel(bars_table(symbol, Timeframe(kind)), key, rule, clock)
        case ("ledger" | "flight" | "warmup" as kind, strategy):
            return Channel(
                Table(_OF_STRATEGY[kind], (("strategy", strategy),)), key, desk, done(strategy), closing=True
            )
        case ("deliveries" | "control" as kind, strategy):
            return Channel(Table(_OF_STRATEGY[kind], (("strategy", strategy),)), key, desk, now)
    return None


def _done(client: Client, strategy: str) -> int:
    """Return the step, in ms, after which a worker books what it is asked now; 0 if it never began."""
    step = reached(client, keys.CLOCK, strategy)
    return 0 if step is None else step[0]
