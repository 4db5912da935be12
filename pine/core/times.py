"""Conversions between nanoseconds inside pine and what people and libraries want to see."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND

Clock = Callable[[], int]
"""Something that tells the present in nanoseconds since 1970, UTC."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_datetime(ts: int) -> datetime:
    """Return an aware UTC datetime; nanoseconds below a microsecond are cut off."""
    return EPOCH + timedelta(microseconds=ts // 1000)


def from_datetime(moment: datetime) -> int:
    """Return nanoseconds since 1970.

    Raises
    ------
    ValueError
        If the datetime is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"datetime {moment!r} has no time zone; pine takes aware datetimes only")
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def parse_time(text: str) -> int:
    """Read an ISO date or time; without an offset it is UTC.

    Raises
    ------
    ValueError
        If the text is no ISO 8601 date or time.
    """
    try:
        moment = datetime.fromisoformat(text)
        return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise ValueError(f"time: found {text!r}, expected ISO 8601 such as 2024-01-02 or 2024-01-02T15:30") from None


def isoformat(ts: int) -> str:
    """Return ISO 8601 with offset, without a fraction where there is none."""
    return to_datetime(ts).isoformat()


def to_ms(ts: int) -> int:
    """Return whole milliseconds, the unit of stream ids."""
    return ts // NS_PER_MS


def from_seconds(seconds: float) -> int:
    """Return nanoseconds of a duration in seconds."""
    return round(seconds * NS_PER_SECOND)
