"""When a made-up market trades: sessions from the calendar, and how busy each of their minutes is."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pine.core.calendar import EXCHANGE_TIME, next_close, next_open
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.core.times import from_datetime, to_datetime

# Relative number of trades by time of day in Chicago: the reopening, a quiet Asia, Europe's opening, the peak
# after 8:30, the dip around noon, the burst at 15:00.
_ACTIVITY: Final = (
    ("00:00", 0.30),
    ("01:45", 0.40),
    ("02:00", 1.30),
    ("03:30", 0.90),
    ("06:00", 0.70),
    ("07:25", 0.90),
    ("07:30", 2.00),
    ("08:29", 1.60),
    ("08:30", 9.00),
    ("09:00", 6.50),
    ("10:00", 5.00),
    ("11:30", 2.60),
    ("12:30", 2.20),
    ("14:00", 3.20),
    ("14:55", 5.00),
    ("14:59", 6.00),
    ("15:00", 10.0),
    ("15:02", 4.00),
    ("15:15", 1.20),
    ("16:00", 0.60),
    ("17:00", 1.50),
    ("17:15", 0.60),
    ("19:00", 0.50),
    ("21:00", 0.35),
    ("24:00", 0.30),
)

BURST: Final = 20.0
_BURSTS_PER_SESSION: Final = 2.5
_NIGHT_ACTIVITY: Final = 1.0
_QUIET_AT_NIGHT: Final = 0.10
_QUIET_BY_DAY: Final = 0.004


@frozen(eq=False)
class Minutes:
    """The open minutes of a number of sessions, one element per minute.

    Attributes
    ----------
    dates
        Trade date of each session.
    start
        Start in ns.
    session
        Which session, as a position in `dates`.
    opens
        Whether a trading window begins with the minute.
    activity
        Relative number of trades that the time of day makes likely.
    """

    dates: Sequence[date]
    start: NDArray[np.int64]
    session: NDArray[np.int64]
    opens: NDArray[np.bool_]
    activity: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.start)


def open_minutes(group: str, first: date, days: int) -> Minutes:
    """Return the open minutes of the first `days` sessions of a trading hours group on or after a trade date."""
    dates: list[date] = []
    starts: list[NDArray[np.int64]] = []
    opens: list[NDArray[np.bool_]] = []
    sessions: list[NDArray[np.int64]] = []
    for day, windows in groupby(_windows(group, first), key=lambda window: window[0]):
        if len(dates) == days:
            break
        for _, start, end in windows:
            minutes = np.arange(start, end, NS_PER_MINUTE, dtype=np.int64)
            starts.append(minutes)
            opens.append(minutes == start)
            sessions.append(np.full(len(minutes), len(dates)))
        dates.append(day)
    start_column = np.concatenate(starts)
    return Minutes(dates, start_column, np.concatenate(sessions), np.concatenate(opens), _activity(start_column))


def _windows(group: str, first: date) -> Iterator[tuple[date, int, int]]:
    """Yield trade date, start and end in ns of each trading window from a trade date on."""
    ts = from_datetime(datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1))
    while True:
        start = next_open(group, ts)
        ts = next_close(group, start)
        # A window may open on the evening before, but never ends after its trade date.
        day = to_datetime(ts).astimezone(EXCHANGE_TIME).date()
        if day >= first:
            yield day, start, ts


def _activity(start: NDArray[np.int64]) -> NDArray[np.float64]:
    """Look the time of day in Chicago up; its distance from UTC changes on whole hours only."""
    hours, inverse = np.unique(start // NS_PER_HOUR, return_inverse=True)
    offsets = [to_datetime(int(hour) * NS_PER_HOUR).astimezone(EXCHANGE_TIME).utcoffset() for hour in hours]
    shift = np.array([0 if offset is None else int(offset.total_seconds()) // 60 for offset in offsets])
    minute_of_day = (start // NS_PER_MINUTE + shift[inverse]) % (24 * 60)
    at = [int(text[:2]) * 60 + int(text[3:]) for text, _ in _ACTIVITY]
    activity: NDArray[np.float64] = np.interp(minute_of_day, at, [level for _, level in _ACTIVITY])
    return activity


def trade_counts(
    minutes: Minutes, trades_per_day: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Draw the number of trades of each minute, and which minutes are bursts.

    Parameters
    ----------
    minutes
        Where trades can be.
    trades_per_day
        Trades in a usual session of full length.
    rng
        Source of randomness.
    """
    weight = minutes.activity * rng.lognormal(-0.08, 0.4, len(minutes))
    burst = rng.random(len(minutes)) < _BURSTS_PER_SESSION / (24 * 60)
    weight[burst] = np.maximum(minutes.activity[burst], _NIGHT_ACTIVITY) * BURST
    quiet = rng.random(len(minutes)) < np.where(minutes.activity < _NIGHT_ACTIVITY, _QUIET_AT_NIGHT, _QUIET_BY_DAY)
    weight[quiet & ~burst] = 0.0
    per_session = np.bincount(minutes.session, weight)
    length = np.bincount(minutes.session) / np.bincount(minutes.session).max()
    busy = np.clip(rng.lognormal(0.05, 0.12, len(minutes.dates)), 0.85, 1.4)
    scale = trades_per_day * busy * np.minimum(1.0, length) / per_session
    counts = rng.poisson(weight * scale[minutes.session])
    counts[np.argmax(weight)] += 1  # a market without any trade would be none
    return counts, burst
