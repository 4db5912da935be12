"""Trading hours of CME Group products.

Weekly hours and daily halts are pine's own data in exchange time, dated where the exchange changed them.
Holidays and early closes come from ``exchange_calendars`` (calendar ``CMES``), which knows neither halts nor
grain hours. Its holidays are those of the equity index products; where another product trades through such a
day, its trades still make bars, the market is merely not *expected* to be open.
"""

import warnings
from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from attrs import frozen

from pine.core.errors import PineError
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_SECOND

EXCHANGE_TIME: Final = ZoneInfo("America/Chicago")

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


@frozen
class Hours:
    """Trading windows of one trade date, as offsets in minutes from its midnight in exchange time.

    Attributes
    ----------
    since
        First trade date on which these hours applied.
    windows
        ``(start, end)`` pairs in order; a start below zero lies on the evening before.
    """

    since: date
    windows: tuple[tuple[int, int], ...]


def _minutes(text: str) -> int:
    day = -24 * 60 if text.startswith("-") else 0
    hour, minute = text.lstrip("-").split(":")
    return day + int(hour) * 60 + int(minute)


def _hours(since: str, *windows: tuple[str, str]) -> Hours:
    return Hours(date.fromisoformat(since), tuple((_minutes(a), _minutes(b)) for a, b in windows))


# A leading minus means the evening before the trade date. Monday's evening before is Sunday's.
HOURS: Final[Mapping[str, tuple[Hours, ...]]] = {
    "equity": (
        _hours("0001-01-01", ("-17:00", "15:15"), ("15:30", "16:15")),
        _hours("2015-09-21", ("-17:00", "15:15"), ("15:30", "16:00")),
        _hours("2021-06-28", ("-17:00", "16:00")),
    ),
    "metals": (_hours("0001-01-01", ("-17:00", "16:15")), _hours("2015-09-21", ("-17:00", "16:00"))),
    "energy": (_hours("0001-01-01", ("-17:00", "16:15")), _hours("2015-09-21", ("-17:00", "16:00"))),
    "fx": (_hours("0001-01-01", ("-17:00", "16:00")),),
    "rates": (_hours("0001-01-01", ("-17:00", "16:00")),),
    "grains": (
        _hours("0001-01-01", ("-19:00", "07:45"), ("08:30", "13:15")),
        _hours("2015-07-06", ("-19:00", "07:45"), ("08:30", "13:20")),
    ),
}


@cache
def _holidays(year: int) -> tuple[frozenset[date], dict[date, time]]:
    """Weekdays of a year without trading, and the close of those that end early, in exchange time."""
    import exchange_calendars  # imports pandas: only where trading hours are asked for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library and pandas disagree about a deprecation
        calendar = exchange_calendars.get_calendar("CMES", start=f"{year}-01-01", end=f"{year}-12-31")
    sessions = {stamp.date() for stamp in calendar.sessions}
    first = date(year, 1, 1)
    days = (first + timedelta(days=i) for i in range(366))
    closed = frozenset(d for d in days if d.year == year and d.weekday() < 5 and d not in sessions)
    closes = calendar.closes
    early = {stamp.date(): closes[stamp].tz_convert(EXCHANGE_TIME).time() for stamp in calendar.early_closes}
    return closed, early


def _local_ns(day: date, minutes: int) -> int:
    """Nanoseconds of a wall-clock time in Chicago, `minutes` after the midnight of `day`."""
    shift, minute = divmod(minutes, 24 * 60)
    local = datetime.combine(day + timedelta(days=shift), time(minute // 60, minute % 60), EXCHANGE_TIME)
    return int(local.astimezone(UTC).timestamp()) * NS_PER_SECOND


def _group_hours(group: str) -> tuple[Hours, ...]:
    try:
        return HOURS[group]
    except KeyError:
        raise PineError(f"trading hours group: found {group!r}, expected one of {', '.join(HOURS)}") from None


@lru_cache(maxsize=65536)
def _windows(group: str, ordinal: int, with_holidays: bool) -> tuple[tuple[int, int], ...]:
    """UTC windows in ns of one trade date, given as a proleptic ordinal."""
    day = date.fromordinal(ordinal)
    if day.weekday() >= 5:
        return ()
    hours = [h for h in _group_hours(group) if h.since <= day][-1]
    windows = [(_local_ns(day, start), _local_ns(day, end)) for start, end in hours.windows]
    if with_holidays:
        closed, early = _holidays(day.year)
        if day in closed:
            return ()
        if (close := early.get(day)) is not None:
            last = _local_ns(day, close.hour * 60 + close.minute)
            windows = [(start, min(end, last)) for start, end in windows if start < last]
    return tuple(windows)


@lru_cache(maxsize=4096)
def _around(group: str, utc_day: int, with_holidays: bool) -> tuple[tuple[int, int], ...]:
    """Windows that can touch one UTC day, given in days since 1970."""
    ordinal = utc_day + _EPOCH_ORDINAL
    days = range(ordinal - 1, ordinal + 3)
    return tuple(window for day in days for window in _windows(group, day, with_holidays))


def is_open(group: str, ts: int) -> bool:
    """Tell whether a group's market is scheduled to trade at an instant.

    Parameters
    ----------
    group
        A key of `HOURS`.
    ts
        Nanoseconds since 1970, UTC. An opening instant is open, a closing instant is not.
    """
    return open_since(group, ts) is not None


def open_since(group: str, ts: int) -> int | None:
    """Return since when, in ns, a group's market is open at an instant; nothing if it is closed."""
    return _since(_around(group, ts // NS_PER_DAY, True), ts)


def scheduled_since(group: str, ts: int) -> int | None:
    """Return the same by weekly hours and daily halts, holidays left aside; see `is_scheduled`."""
    return _since(_around(group, ts // NS_PER_DAY, False), ts)


def _since(windows: tuple[tuple[int, int], ...], ts: int) -> int | None:
    i = bisect_right(windows, (ts, 1 << 63)) - 1
    return windows[i][0] if i >= 0 and ts < windows[i][1] else None


def is_scheduled(group: str, ts: int) -> bool:
    """Tell whether weekly hours and daily halts have a group's market trade at an instant in ns, holidays left aside.

    For a quick look: nothing heavy is imported for it, as holidays would need.
    """
    return scheduled_since(group, ts) is not None


def is_business_day(day: date) -> bool:
    """Tell whether a day counts where contracts expire so many business days before another: no holiday of the US.

    The market trades through the morning of most of them, which is told by an early close; the days after
    Thanksgiving and before Christmas close early too, and are business days.
    """
    closed, early = _holidays(day.year)
    if day.weekday() >= 5 or day in closed or day == _juneteenth(day.year):
        return False
    return day not in early or (day.month, day.weekday()) == (11, 4) or (day.month, day.day) == (12, 24)


def _juneteenth(year: int) -> date | None:
    """Return on which day it is kept, since there is such a holiday; the calendar has no early close for it."""
    day = date(year, 6, 19)
    shift = {5: -1, 6: 1}.get(day.weekday(), 0)
    return day + timedelta(days=shift) if year >= 2022 else None


def next_open(group: str, ts: int) -> int:
    """Return `ts` itself if the market is open then, else the instant of its next opening, in ns."""
    if is_open(group, ts):
        return ts
    day = ts // NS_PER_DAY
    while True:
        later = [start for start, _ in _around(group, day, True) if start > ts]
        if later:
            return later[0]
        day += 1


def next_close(group: str, ts: int) -> int:
    """Return the end in ns of the trading window that is open at `ts`, or of the next one to open."""
    start = next_open(group, ts)
    return next(b for a, b in _around(group, start // NS_PER_DAY, True) if a <= start < b)


def scheduled_hours(group: str, start: int, end: int) -> float:
    """Return the hours of trading that the weekly schedule (holidays left aside) has in ``[start, end)``, in ns."""
    first, last = start // NS_PER_DAY + _EPOCH_ORDINAL, end // NS_PER_DAY + _EPOCH_ORDINAL
    total = 0
    for ordinal in range(first - 1, last + 3):
        for a, b in _windows(group, ordinal, False):
            total += max(0, min(b, end) - max(a, start))
    return total / NS_PER_HOUR
