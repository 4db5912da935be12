"""How many messages may go out in an hour, and what becomes of those that may not. Pure."""

from collections.abc import Iterable
from typing import Final

from attrs import define, field

from pine.core.timeframe import NS_PER_HOUR
from pine.ops.alerts.message import LABELS, Message

RESERVED: Final = 5
"""One part in this many of the hour is kept for urgent messages."""

SHOWN: Final = 10
"""Titles that a message about held ones shows."""


@define
class Budget:
    """Lets messages go, most urgent first, and counts what it holds back.

    Attributes
    ----------
    per_hour
        Most messages in any hour.
    sent
        When, in ns, the messages of the last hour went.
    held
        How many things of each kind were held back and are not told of yet.
    titles
        Titles of the newest of them.
    urgent
        Whether an urgent one is among them.
    """

    per_hour: int
    sent: list[int] = field(factory=list)
    held: dict[str, int] = field(factory=dict)
    titles: list[str] = field(factory=list)
    urgent: bool = False

    def admit(self, messages: Iterable[Message], now: int) -> list[Message]:
        """Return what goes at an instant in ns: urgent ones, then what was held back as one, then the rest."""
        self.sent = [at for at in self.sent if 0 <= now - at < NS_PER_HOUR]
        ordered = sorted(messages, key=lambda message: not message.urgent)
        gone = [message for message in ordered if message.urgent and self._take(now, urgent=True)]
        if self.held and self._take(now, urgent=self.urgent):
            gone.append(self._told_together())
        gone += [message for message in ordered if not message.urgent and self._take(now, urgent=False)]
        passed = set(map(id, gone))
        for message in ordered:
            if id(message) not in passed:
                self.hold(message)
        return gone

    def hold(self, message: Message) -> None:
        """Count a message that does not go, for the one that tells of many."""
        self.held = {kind: self.held.get(kind, 0) + message.told.get(kind, 0) for kind in {**self.held, **message.told}}
        self.titles = [*self.titles, message.title][-SHOWN:]
        self.urgent |= message.urgent

    def _take(self, now: int, *, urgent: bool) -> bool:
        kept = 0 if urgent else self.per_hour // RESERVED
        if len(self.sent) >= self.per_hour - kept:
            return False
        self.sent.append(now)
        return True

    def _told_together(self) -> Message:
        count = sum(self.held.values())
        kinds = ", ".join(f"{number} {LABELS.get(kind, kind)}" for kind, number in sorted(self.held.items()))
        lines = [f"Held back, more than {self.per_hour} an hour or nobody could be reached: {kinds}."]
        lines += [f"- {title}" for title in self.titles]
        title = f"{count} more alert{'' if count == 1 else 's'}"
        told = Message("held", title, "\n".join(lines), urgent=self.urgent, told=dict(self.held))
        self.held, self.titles, self.urgent = {}, [], False
        return told
