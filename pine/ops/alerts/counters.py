"""Counts that processes keep in their heartbeats: what was added is told, at most once an hour for each. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field, frozen

from pine.core.timeframe import NS_PER_SECOND
from pine.ops.alerts.message import Message

QUIET_S: Final = 3600
"""Seconds until more of the same is told: late trades come in dozens."""


@frozen
class Reading:
    """What a counter says now.

    Attributes
    ----------
    kind, name
        What is counted, and by whom.
    life
        Fencing token of the process that counts; each begins at zero.
    count
        How many so far.
    last
        The newest in words, if it is known.
    """

    kind: str
    name: str
    life: int
    count: int
    last: str = ""

    @property
    def key(self) -> str:
        """Names it on the server."""
        return f"{self.kind} {self.name}".strip()


def readings(facts: Mapping[str, Any]) -> Iterator[Reading]:
    """Yield the counters in facts of `pine.ops.status`; none of a process that gives no sign of life."""
    hub = facts["hub"]
    if hub["token"] is not None and hub["heartbeat"]:
        yield Reading("late_trades", "", hub["token"], hub["counts"].get("late", 0))
    for name, strategy in facts["strategies"].items():
        token, beat = strategy["worker"]["token"], strategy["heartbeat"]
        if token is not None and "disagreements" in beat:
            yield Reading("disagreement", name, token, beat["disagreements"], beat.get("last_disagreement", ""))


@define
class Counters:
    """How much of each counter was told; it outlives the process.

    Attributes
    ----------
    known
        By key: ``life`` and ``count`` of the last reading, ``new`` since the last message, ``told_at`` (ns), and the
        ``total`` of all lives.
    """

    known: dict[str, dict[str, int]] = field(factory=dict)

    def look(self, found: Iterator[Reading], now: int, option: str = "") -> list[Message]:
        """Return what is to be told at an instant in ns, and take it as told; a first reading is the beginning."""
        messages = []
        for reading in found:
            known = self.known.get(reading.key)
            if known is None:
                self.known[reading.key] = {
                    "life": reading.life,
                    "count": reading.count,
                    "new": 0,
                    "told_at": now - QUIET_S * NS_PER_SECOND,
                    "total": 0,
                }
                continue
            same_life = known["life"] == reading.life and reading.count >= known["count"]
            added = reading.count - (known["count"] if same_life else 0)
            known["life"], known["count"] = reading.life, reading.count
            known["new"] += added
            known["total"] += added
            if known["new"] and not 0 <= now - known["told_at"] < QUIET_S * NS_PER_SECOND:
                messages.append(_message(reading, known["new"], option))
                known["new"], known["told_at"] = 0, now
        return messages

    def total(self, key: str) -> int:
        """Return how much a counter has counted since it was first seen."""
        return self.known.get(key, {}).get("total", 0)


def _message(reading: Reading, new: int, option: str) -> Message:
    if reading.kind == "late_trades":
        body = f"They came for closed minutes and are in no bar. pine audit{option} compares."
        return Message("late_trades", f"{new:,} late trade{'' if new == 1 else 's'}", body)
    title = f"{reading.name}: hub and worker built {new} bar{'' if new == 1 else 's'} differently"
    return Message("disagreement", title, f"{reading.last}\npine audit{option}", urgent=True)
