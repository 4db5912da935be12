"""What a hub tells every worker when minutes that were lost have come into the archive after all."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import asdict, frozen

from pine.core.bar import Bar
from pine.core.errors import DataError

KIND: Final = "refill"


@frozen
class Refill:
    """A hole that is filled: from this step on, the minutes are in the archive, and count.

    Attributes
    ----------
    symbol
        Root.
    first_minute, last_minute
        Starts in ns of the first and the last minute of the hole, as its ``gap`` event named them.
    minutes
        How many bars the archive has in it; a minute without one was quiet.
    digest
        `digest` of those bars, so that nobody decides on others.
    """

    symbol: str
    first_minute: int
    last_minute: int
    minutes: int
    digest: str

    @classmethod
    def of(cls, symbol: str, first_minute: int, last_minute: int, bars: Iterable[Bar]) -> "Refill":
        """Return the refill of a hole with the bars that are in the archive for it, in order."""
        found = list(bars)
        return cls(symbol, first_minute, last_minute, len(found), digest(found))

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Refill":
        """Read an event of the kind ``refill``; the counterpart of `to_event`.

        Raises
        ------
        DataError
            If it is none.
        """
        try:
            found = cls(*(event[name] for name in ("symbol", "first_minute", "last_minute", "minutes", "digest")))
        except KeyError as error:
            raise DataError(f"refill: found {dict(event)}, expected {error}") from None
        numbers = (found.first_minute, found.last_minute, found.minutes)
        if event.get("kind") != KIND or not all(type(number) is int for number in numbers):
            raise DataError(f"refill: found {dict(event)}, expected an event of kind {KIND} with whole numbers")
        return found

    def to_event(self) -> dict[str, Any]:
        """Return the event as it is published on ``market:events``."""
        return {"kind": KIND, **asdict(self)}

    def matches(self, bars: Iterable[Bar]) -> bool:
        """Tell whether bars, in order, are those that the hub put into the archive."""
        found = list(bars)
        return len(found) == self.minutes and digest(found) == self.digest


def digest(bars: Iterable[Bar]) -> str:
    """Return blake2b (16 bytes, in hex) over the bars as they are published, one after another."""
    total = hashlib.blake2b(digest_size=16)
    for bar in bars:
        total.update(bar.to_json())
    return total.hexdigest()
