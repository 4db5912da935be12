"""Messages on their way: to whom each is still owed, how often it was tried, and which one is next. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from pine.core.timeframe import NS_PER_DAY
from pine.ops.alerts.message import Message

MOST: Final = 200
"""Messages that wait at most; beyond, the oldest that is not urgent goes, and is counted."""

GIVE_UP: Final = NS_PER_DAY
"""Ns after which a message that could not be sent is news no more."""


@define
class Parcel:
    """One message, and the services that it is still owed to.

    Attributes
    ----------
    id
        The sender's fencing token and a number: no other message was ever called so.
    at
        Ns at which it was let go.
    owed
        Names of services.
    reached
        Whether it has arrived anywhere.
    """

    id: str
    message: Message
    at: int
    owed: list[str]
    reached: bool = False

    @property
    def order(self) -> tuple[bool, int, tuple[int, ...]]:
        """Sorts parcels: urgent ones first, then the older."""
        return (not self.message.urgent, self.at, tuple(map(int, self.id.split("-"))))

    def to_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"message": self.message.to_dict(), "at": self.at, "owed": self.owed, "reached": self.reached}

    @classmethod
    def from_dict(cls, identifier: str, raw: Mapping[str, Any]) -> "Parcel":
        """Read it back."""
        return cls(identifier, Message.from_dict(raw["message"]), raw["at"], list(raw["owed"]), raw["reached"])


@frozen
class Changes:
    """What is different from what the server holds.

    Attributes
    ----------
    written
        Parcels that are new, or owed to fewer.
    removed
        Ids of those that are done with.
    dropped
        Messages of those that will not be sent any more and have reached nobody.
    """

    written: Sequence[Parcel] = ()
    removed: Sequence[str] = ()
    dropped: Sequence[Message] = ()


@define
class Outbox:
    """What waits to be sent."""

    parcels: dict[str, Parcel] = field(factory=dict)

    def add(self, parcels: Iterable[Parcel], done: Iterable[tuple[str, str]], now: int) -> Changes:
        """Take new parcels, and what went to whom (id, service); return what that changes."""
        written: dict[str, Parcel] = {}
        for identifier, service in done:
            parcel = self.parcels.get(identifier)
            if parcel is not None and service in parcel.owed:
                parcel.owed.remove(service)
                parcel.reached = True
                written[identifier] = parcel
        for parcel in parcels:
            self.parcels[parcel.id] = written[parcel.id] = parcel
        finished = [parcel.id for parcel in self.parcels.values() if not parcel.owed]
        dropped = self._dropped(now, without=finished)
        removed = [*finished, *(parcel.id for parcel in dropped)]
        for identifier in removed:
            del self.parcels[identifier]
            written.pop(identifier, None)
        return Changes(list(written.values()), removed, [parcel.message for parcel in dropped if not parcel.reached])

    def forget_services(self, known: Iterable[str]) -> list[tuple[str, str]]:
        """Return what is owed to services that are not configured any more, as if it had gone there."""
        names = set(known)
        return [(p.id, service) for p in self.parcels.values() for service in p.owed if service not in names]

    def _dropped(self, now: int, without: Sequence[str]) -> list[Parcel]:
        waiting = [parcel for parcel in self.parcels.values() if parcel.id not in without]
        old = [parcel for parcel in waiting if now - parcel.at > GIVE_UP]
        rest = sorted((p for p in waiting if p not in old), key=lambda p: (p.message.urgent, p.at))
        return old + rest[: max(len(rest) - MOST, 0)]
