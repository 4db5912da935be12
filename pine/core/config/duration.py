"""Lengths of time as people write them: ``30d``, ``36h``."""

import re
from typing import Final

from attrs import frozen

from pine.core.config.quoted import quoted
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR

_TEXT: Final = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[dh])")
_UNITS: Final = {"d": NS_PER_DAY, "h": NS_PER_HOUR}


@frozen(order=True, repr=False)
class Duration:
    """A length of time in ns."""

    ns: int

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read a whole number of days or hours.

        Raises
        ------
        ValueError
            If the text has another shape.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"found {quoted(text)}, expected whole days or hours such as 30d or 36h")
        return cls(int(match["number"]) * _UNITS[match["unit"]])

    def __repr__(self) -> str:
        return f"Duration({self})"

    def __str__(self) -> str:
        for unit, length in _UNITS.items():
            if self.ns % length == 0:
                return f"{self.ns // length}{unit}"
        return f"{self.ns} ns"
