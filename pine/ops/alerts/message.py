"""What somebody is told."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import asdict, field, frozen

from pine.core.config.secret import masked

LONGEST_TITLE: Final = 120
LONGEST_BODY: Final = 1500

LABELS: Final[Mapping[str, str]] = {
    "worker_down": "worker down",
    "hub_down": "hub down",
    "stale_data": "stale data",
    "gap": "gap",
    "stop_loss": "daily stop",
    "halt": "halt",
    "delivery": "delivery",
    "disagreement": "disagreement",
    "positions": "positions",
    "late_trades": "late trades",
    "entry": "entry",
    "exit": "exit",
    "summary": "daily summary",
    "server": "server",
}
"""What each kind is called in a list."""


def _title(text: str) -> str:
    return _brief(text, LONGEST_TITLE)


def _body(text: str) -> str:
    return _brief(text, LONGEST_BODY)


def _brief(text: str, longest: int) -> str:
    shown = masked(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


@frozen
class Message:
    """One message, before it is known when and through whom it goes.

    Attributes
    ----------
    kind
        One of `Alerting`, or ``summary``, ``server``, ``held``.
    title, body
        Short, and without secrets, whatever they were made of.
    urgent
        Whether somebody should look now: such messages go first.
    good
        Whether it says that something is well again.
    told
        How many things of each kind it tells of; a message about those that were held back tells of many.
    """

    kind: str
    title: str = field(converter=_title)
    body: str = field(default="", converter=_body)
    urgent: bool = False
    good: bool = False
    told: dict[str, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if not self.told:
            self.told[self.kind] = 1

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Message":
        """Read it back; raises TypeError if it is none."""
        return cls(**raw)


def together(messages: Sequence[Message]) -> list[Message]:
    """Return messages that came up at the same moment, those of a kind that all begin or all end as one.

    A machine that stops takes every worker with it: that is one thing to be told.
    """
    groups: dict[tuple[str, bool], list[Message]] = {}
    for message in messages:
        groups.setdefault((message.kind, message.good), []).append(message)
    return [group[0] if len(group) == 1 else _as_one(group) for group in groups.values()]


def _as_one(group: Sequence[Message]) -> Message:
    first = group[0]
    lines = [f"{message.title}\n{message.body}".strip() for message in group]
    word = "over" if first.good else "begun"
    return Message(
        first.kind,
        f"{LABELS[first.kind]}: {len(group)} {word}",
        "\n\n".join(lines),
        urgent=any(message.urgent for message in group),
        good=first.good,
        told=total(group),
    )


def total(messages: Iterable[Message]) -> dict[str, int]:
    """Return how many things of each kind messages tell of."""
    counts: Counter[str] = Counter()
    for message in messages:
        counts.update(message.told)
    return dict(counts)
