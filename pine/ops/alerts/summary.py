"""The day in one message: each strategy's trades, profit, refusals and deliveries, and what the hub did."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from attrs import field, frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import isoformat, to_ms
from pine.ops.alerts.message import Message
from pine.orders.desk import refusal_kind
from pine.orders.entries import Entry, Fill, Intent, Void
from pine.orders.ledger import NEVER_POSTED, Deliveries, read_ledger

LATEST: Final = 12 * NS_PER_HOUR
"""A summary that is more than this late (nothing ran) is not told any more."""


def due(now: int, at: str) -> int:
    """Return the newest instant, in ns, at or before `now` at which a time of day such as ``23:05`` (UTC) was."""
    hour, minute = map(int, at.split(":"))
    offset = hour * NS_PER_HOUR + minute * NS_PER_MINUTE
    return (now - offset) // NS_PER_DAY * NS_PER_DAY + offset


@frozen
class StrategyDay:
    """What a strategy did in a day."""

    trades: int = 0
    pnl: float = 0.0
    refused: dict[str, int] = field(factory=dict)
    posted: int = 0
    failed: int = 0

    @classmethod
    def of(
        cls, entries: Iterable[Entry], deliveries: Deliveries, refused: Iterable[str], begin: int, end: int
    ) -> "StrategyDay":
        """Count what lies between two instants in ns, the first included; voided entries made no trade."""
        known = list(entries)
        intents = {entry.id: entry for entry in known if isinstance(entry, Intent)}
        voided = {entry.intent for entry in known if isinstance(entry, Void)}
        closed = [
            entry.pnl
            for entry in known
            if isinstance(entry, Fill)
            and entry.pnl is not None
            and begin <= entry.time < end
            and (entry.intent not in intents or intents[entry.intent].entry not in voided)
        ]
        states = Counter(deliveries.state(intent.id) for intent in intents.values() if begin <= intent.step < end)
        failed = sum(states[state] for state in (*NEVER_POSTED, "unknown"))
        return cls(len(closed), sum(closed), dict(Counter(map(refusal_kind, refused))), states["posted"], failed)


def summary(client: Client, config: Config, facts: Mapping[str, Any], end: int, late: int) -> Message | None:
    """Return the message about the day that ends at an instant in ns; nothing if no market was open in it.

    Parameters
    ----------
    client, config
        The server, and what should run on it.
    facts
        What `Observer.look` returned.
    end
        When the day ends.
    late
        Late trades since the summary before.
    """
    begin = end - NS_PER_DAY
    first, last = str(to_ms(begin)), f"({to_ms(end)}"
    steps = sum(1 for _ in streams.read_range(client, keys.CLOCK, first, last))
    if not steps:
        return None
    lines = []
    for name, strategy in facts["strategies"].items():
        if strategy["enabled"]:
            lines.append(_line(name, strategy, _day(client, name, begin, end)))
    bars = sum(
        1
        for symbol in config.instruments
        for _ in streams.read_range(client, keys.bars(symbol, Timeframe.MINUTE), first, last)
    )
    gaps = Counter(_kinds(client, first, last))
    lines.append(
        f"hub: {bars:,} minute bars of {len(config.instruments)} roots in {steps:,} steps, "
        f"{gaps['gap'] + gaps['reset']} gaps, {gaps['refill']} filled, {late:,} late trades"
    )
    lines += [f"wrong now: {problem}" for problem in facts["problems"]]
    return Message("summary", f"The day to {isoformat(end)[:16].replace('T', ' ')} UTC", "\n".join(lines))


def _day(client: Client, name: str, begin: int, end: int) -> StrategyDay:
    entries = (entry for _, entry in read_ledger(client, name))
    refused = _refused(client, name, str(to_ms(begin)), f"({to_ms(end)}")
    return StrategyDay.of(entries, Deliveries.read(client, name), refused, begin, end)


def _refused(client: Client, name: str, first: str, last: str) -> Iterable[str]:
    for _, fields in streams.read_range(client, keys.flight(name), first, last):
        for asked in _read(fields, b"flight").get("decisions", ()):
            if asked["refused"] is not None:
                yield asked["refused"]


def _kinds(client: Client, first: str, last: str) -> Iterable[str]:
    for _, fields in streams.read_range(client, keys.EVENTS, first, last):
        yield _read(fields, b"event").get("kind", "")


def _read(fields: Mapping[bytes, bytes], name: bytes) -> dict[str, Any]:
    """Return what an entry holds; one that somebody wrote by hand holds nothing."""
    try:
        raw = orjson.loads(fields[name])
    except (KeyError, orjson.JSONDecodeError):
        return {}
    return raw if isinstance(raw, dict) else {}


def _line(name: str, strategy: Mapping[str, Any], day: StrategyDay) -> str:
    held = ", ".join(f"{p['quantity']:+d} {p['contract']}" for p in strategy["positions"]) or "flat"
    refused = ", ".join(f"{count} {kind}" for kind, count in sorted(day.refused.items()))
    parts = [
        f"{day.trades} trade{'' if day.trades == 1 else 's'}, {day.pnl:+,.2f} dollars",
        held,
        f"{day.posted} posted, {day.failed} failed",
        f"refused: {refused}" if refused else "none refused",
    ]
    return f"{name}: {'; '.join(parts)}"
