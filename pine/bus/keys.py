"""Every key that pine uses on the server. Nobody writes one by hand."""

import re
from typing import Final

from pine.core.timeframe import Timeframe

CLOCK: Final = "market:clock"
EVENTS: Final = "market:events"
SYMBOLS: Final = "market:symbols"
HUB: Final = "hub"
HUB_LOG: Final = "log:hub"

ALERTS: Final = "alerts"
"""Role of the process that sends messages."""

TOLD: Final = "alerts:told"
"""Hash: how far each stream was told, what is known to be down, how much was sent of late."""

WAITING: Final = "alerts:waiting"
"""Hash: messages on their way, by number."""

ARCHIVE: Final = "archive"
"""Consumer group of the archive, on every stream that it seals; a strategy's group has the strategy's name."""


def bars(symbol: str, timeframe: Timeframe) -> str:
    """Stream of a root's bars; ids are period starts in ms."""
    return f"market:{symbol}:{timeframe.value}"


def volume(symbol: str) -> str:
    """Stream of a root's volume per contract and minute; ids are minute starts in ms."""
    return f"market:{symbol}:volume"


def lead(symbol: str) -> str:
    """Hash from session start in ms to the contract that makes the root's bars in that session."""
    return f"market:{symbol}:lead"


def ledger(strategy: str) -> str:
    """Stream of a strategy's intents, fills and booked inputs."""
    return f"ledger:{strategy}"


def control(strategy: str) -> str:
    """Stream of requests that a strategy's worker books between two steps."""
    return f"control:{strategy}"


def deliveries(strategy: str) -> str:
    """Stream of attempts to post a strategy's intents, and the answers."""
    return f"deliveries:{strategy}"


def flight(strategy: str) -> str:
    """Stream of what a strategy saw and decided at each step."""
    return f"flight:{strategy}"


def warm_up(strategy: str) -> str:
    """Stream of the bars that a strategy was fed before its first live step."""
    return f"warmup:{strategy}"


def lease(role: str) -> str:
    """Holder of a role, such as ``hub`` or ``worker:ibs_a``; expires."""
    return f"lease:{role}"


def fence(role: str) -> str:
    """Counter that numbers the holders of a role; never expires."""
    return f"fence:{role}"


def heartbeat(role: str) -> str:
    """Hash with the latest facts about a running process; expires."""
    return f"heartbeat:{role}"


_NAME: Final = r"[a-z][a-z0-9_]*"
_ROLE: Final = rf"(?:hub|archive|alerts|(?:worker|courier):{_NAME})"
_SYMBOL: Final = r"[A-Z0-9]+"
_DECLARED: Final = re.compile(
    "|".join(
        (
            rf"market:(?:clock|events|symbols)|market:{_SYMBOL}:(?:1min|hourly|daily|volume|lead)",
            rf"(?:ledger|control|deliveries|flight|warmup):{_NAME}",
            rf"(?:lease|fence|heartbeat):{_ROLE}",
            r"log:hub",
            r"alerts:(?:told|waiting)",
        )
    )
)


def is_declared(key: str) -> bool:
    """Tell whether this module could have made a key."""
    return _DECLARED.fullmatch(key) is not None


def split(key: str) -> tuple[str, ...]:
    """Return the parts of a key, such as market, ES and 1min; nothing if this module could not have made it."""
    return tuple(key.split(":")) if is_declared(key) else ()
