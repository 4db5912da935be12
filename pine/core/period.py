"""The one function that says which period an instant belongs to, for minutes, hours and session days."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from attrs import field, frozen

from pine.core.calendar import scheduled_hours
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND, Timeframe

SHORT_SESSION_HOURS: Final = 4.0
LONGEST_MERGE: Final = 7 * NS_PER_DAY

_CLOSE: Final = re.compile(r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d)(?: (?P<zone>\S+))?")


class Period(NamedTuple):
    """An interval of event time, ``start <= t < end``, in ns since 1970.

    A session that takes in a short one before it keeps its own start: Monday's session is the one from Sunday's
    close all year, also when the market opened an hour before that close. Only then is an instant before `start`.
    """

    start: int
    end: int


@frozen
class SessionClose:
    """The daily close that ends one session and begins the next.

    Attributes
    ----------
    hour
        Whole hour of the close in `zone`.
    zone
        ``UTC`` for a close that stays put all year, an exchange's zone for one that follows daylight saving.
    """

    hour: int
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str) -> "SessionClose":
        """Read ``"23:00"`` (UTC) or ``"17:00 America/Chicago"``.

        Raises
        ------
        ValueError
            If the text has another shape, the zone is unknown, or the close is not on a whole hour.
        """
        match = _CLOSE.fullmatch(text)
        if match is None:
            raise ValueError(
                f"found {text!r}, expected HH:00 in UTC or HH:00 with a zone such as 17:00 America/Chicago"
            )
        zone = match["zone"] or "UTC"
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"time zone: found {zone!r}, expected a name such as America/Chicago") from None
        offsets = {datetime(2024, month, 1, tzinfo=ZoneInfo(zone)).utcoffset() for month in (1, 7)}
        if any(offset is None or offset % timedelta(hours=1) for offset in offsets):
            raise ValueError(
                f"time zone: found {zone!r}, expected one whole hours from UTC: hours must not cross a close"
            )
        if match["minute"] != "00":
            raise ValueError(f"found {text!r}, expected a whole hour: an hourly bar must not cross a session's close")
        return cls(int(match["hour"]), zone)

    def __str__(self) -> str:
        return f"{self.hour:02d}:00" + ("" if self.zone == "UTC" else f" {self.zone}")


@frozen
class SessionRule:
    """How the sessions of one instrument follow each other.

    Attributes
    ----------
    close
        The daily close.
    group
        Trading hours by which a session's scheduled length is measured.
    merge_short
        Whether a session with some, but less than four, scheduled trading hours belongs to the next one. A
        session in which nothing is scheduled stands alone: only trades outside the calendar can be in it.
    """

    close: SessionClose = field(factory=lambda: SessionClose(23))
    group: str = "equity"
    merge_short: bool = True


def period(timeframe: Timeframe, ts: int, rule: SessionRule) -> Period:
    """Return the period of a timeframe that holds an instant.

    Parameters
    ----------
    timeframe
        Minute, hour or day; hours start at minute 0, a day is the session.
    ts
        Nanoseconds since 1970, UTC. An instant on a boundary belongs to the period that starts there.
    rule
        The instrument's sessions; only days depend on it.
    """
    if timeframe is Timeframe.MINUTE:
        start = ts - ts % NS_PER_MINUTE
        return Period(start, start + NS_PER_MINUTE)
    if timeframe is Timeframe.HOUR:
        start = ts - ts % NS_PER_HOUR
        return Period(start, start + NS_PER_HOUR)
    return _session(ts // NS_PER_HOUR, rule)


def session(ts: int, rule: SessionRule) -> Period:
    """Return the session that holds an instant."""
    return _session(ts // NS_PER_HOUR, rule)


def session_begin(ts: int, rule: SessionRule) -> int:
    """Return the first instant that belongs to the session of `ts`: before its start if it took in a short one."""
    begin = probe = session(ts, rule).start
    while rule.merge_short:
        earlier = _raw(probe - 1, rule.close)
        hours = scheduled_hours(rule.group, *earlier)
        if hours >= SHORT_SESSION_HOURS or begin - earlier.start > LONGEST_MERGE:
            break
        probe = earlier.start
        if hours > 0:
            begin = earlier.start
    return begin


@lru_cache(maxsize=65536)
def _session(hour: int, rule: SessionRule) -> Period:
    start, end = _raw(hour * NS_PER_HOUR, rule.close)
    if rule.merge_short and 0 < scheduled_hours(rule.group, start, end) < SHORT_SESSION_HOURS:
        while scheduled_hours(rule.group, start, end) < SHORT_SESSION_HOURS:
            start, end = _raw(end, rule.close)
    return Period(start, end)


def _raw(ts: int, close: SessionClose) -> Period:
    """Return the interval from close to close around an instant, short sessions left as they are."""
    day = datetime.fromtimestamp(ts // NS_PER_SECOND, UTC).astimezone(ZoneInfo(close.zone)).date()
    closes = [_close_of(day + timedelta(days=shift), close) for shift in (-1, 0, 1, 2)]
    for start, end in pairwise(closes):
        if start <= ts < end:
            return Period(start, end)
    raise AssertionError(f"no session holds {ts}")


@lru_cache(maxsize=8192)
def _close_of(day: date, close: SessionClose) -> int:
    if close.zone == "UTC":
        return (day.toordinal() - date(1970, 1, 1).toordinal()) * NS_PER_DAY + close.hour * NS_PER_HOUR
    local = datetime.combine(day, time(close.hour), ZoneInfo(close.zone))
    return int(local.timestamp()) * NS_PER_SECOND
