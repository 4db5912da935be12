"""Times of day in which a strategy may act."""

import re
from datetime import datetime, time
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from pine.core.times import to_datetime

_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")


def parse_minute(text: str) -> int:
    """Return minutes after midnight of ``HH:MM``; ``24:00`` is the end of the day.

    Raises
    ------
    ValueError
        If the text has another shape.
    """
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError(f"found {text!r}, expected a time of day as text, such as '15:00'")
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def parse_window(text: str) -> tuple[int, int]:
    """Return start and end in minutes of ``HH:MM-HH:MM``, the end excluded."""
    start, dash, end = text.partition("-")
    if not dash or parse_minute(start) >= parse_minute(end):
        raise ValueError(f"found {text!r}, expected a window such as 17:00-24:00 that ends after it starts")
    return parse_minute(start), parse_minute(end)


def valid_hour(_instance: object, _attribute: Any, value: str) -> None:
    """Check a time of day at which an hourly bar can close, as an attrs validator."""
    if parse_minute(value) % 60 or value == "24:00":
        raise ValueError(f"found {value!r}, expected a whole hour from '00:00' to '23:00': that is when bars close")


def valid_windows(_instance: object, _attribute: Any, value: list[str]) -> None:
    """Check a list of windows, as an attrs validator."""
    for text in value:
        parse_window(text)


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_time(ts: int, zone: str) -> datetime:
    """Return an instant on a zone's clocks."""
    return to_datetime(ts).astimezone(_zone(zone))


def minute_of_day(moment: datetime | time) -> int:
    """Return minutes after midnight."""
    return moment.hour * 60 + moment.minute
