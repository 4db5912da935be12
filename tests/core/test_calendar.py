"""Trading hours: what the exchange published, written down by hand in UTC."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.core.calendar import is_open, is_scheduled, next_close, next_open, scheduled_hours
from pine.core.errors import PineError

CHICAGO = ZoneInfo("America/Chicago")
SECOND = 10**9
HOUR = 3600 * SECOND

relaxed = settings(deadline=None)


def ns(text: str) -> int:
    """Nanoseconds of UTC text, or of Chicago text that ends in CT."""
    if text.endswith(" CT"):
        return int(datetime.fromisoformat(text[:-3]).replace(tzinfo=CHICAGO).timestamp()) * SECOND
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * SECOND


OPEN, CLOSED = True, False


@pytest.mark.parametrize(
    ("group", "at", "expected"),
    [
        # daily halt, winter: 16:00 to 17:00 CST is 22:00 to 23:00 UTC
        ("equity", "2024-01-10T21:59:59", OPEN),
        ("equity", "2024-01-10T22:00:00", CLOSED),
        ("equity", "2024-01-10T22:59:59", CLOSED),
        ("equity", "2024-01-10T23:00:00", OPEN),
        # daily halt, summer: an hour earlier in UTC
        ("equity", "2024-07-10T20:59:59", OPEN),
        ("equity", "2024-07-10T21:00:00", CLOSED),
        ("equity", "2024-07-10T21:59:59", CLOSED),
        ("equity", "2024-07-10T22:00:00", OPEN),
        # weekend, winter
        ("equity", "2024-01-12T21:59:59", OPEN),
        ("equity", "2024-01-12T22:00:00", CLOSED),
        ("equity", "2024-01-12T23:30:00", CLOSED),
        ("equity", "2024-01-13T12:00:00", CLOSED),
        ("equity", "2024-01-14T22:59:59", CLOSED),
        ("equity", "2024-01-14T23:00:00", OPEN),
        # weekend with the change to summer time
        ("equity", "2024-03-08T21:59:59", OPEN),
        ("equity", "2024-03-10T21:59:59", CLOSED),
        ("equity", "2024-03-10T22:00:00", OPEN),
        ("equity", "2024-03-11T20:59:59", OPEN),
        ("equity", "2024-03-11T21:00:00", CLOSED),
        # weekend with the change back
        ("equity", "2024-11-01T20:59:59", OPEN),
        ("equity", "2024-11-01T21:00:00", CLOSED),
        ("equity", "2024-11-03T22:59:59", CLOSED),
        ("equity", "2024-11-03T23:00:00", OPEN),
        # other groups on an ordinary day
        ("metals", "2024-01-10T21:59:59", OPEN),
        ("metals", "2024-01-10T22:00:00", CLOSED),
        ("energy", "2024-01-10T22:30:00", CLOSED),
        ("fx", "2024-01-10T22:30:00", CLOSED),
        ("rates", "2024-01-10T22:30:00", CLOSED),
        ("rates", "2024-01-10T23:00:00", OPEN),
    ],
)
def test_halts_and_weekends(group: str, at: str, expected: bool) -> None:
    assert is_open(group, ns(at)) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2024-01-09T18:59:59 CT", CLOSED),
        ("2024-01-09T19:00:00 CT", OPEN),
        ("2024-01-10T07:44:59 CT", OPEN),
        ("2024-01-10T07:45:00 CT", CLOSED),
        ("2024-01-10T08:29:59 CT", CLOSED),
        ("2024-01-10T08:30:00 CT", OPEN),
        ("2024-01-10T13:19:59 CT", OPEN),
        ("2024-01-10T13:20:00 CT", CLOSED),
        ("2024-07-10T13:19:59 CT", OPEN),
        ("2024-07-10T13:20:00 CT", CLOSED),
        ("2024-01-12T19:30:00 CT", CLOSED),  # Friday evening
        ("2024-01-14T19:00:00 CT", OPEN),  # Sunday evening
    ],
)
def test_grains_have_a_night_and_a_day_session(at: str, expected: bool) -> None:
    assert is_open("grains", ns(at)) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        # 2013: halt 15:15 to 15:30, close 16:15
        ("2013-06-12T15:14:59 CT", OPEN),
        ("2013-06-12T15:15:00 CT", CLOSED),
        ("2013-06-12T15:29:59 CT", CLOSED),
        ("2013-06-12T15:30:00 CT", OPEN),
        ("2013-06-12T16:14:59 CT", OPEN),
        ("2013-06-12T16:15:00 CT", CLOSED),
        ("2013-06-12T17:00:00 CT", OPEN),
        # the day before and the first day of the 16:00 close
        ("2015-09-18T16:10:00 CT", OPEN),
        ("2015-09-21T16:00:00 CT", CLOSED),
        # 2020: the halt is still there, the close is at 16:00
        ("2020-06-10T15:15:00 CT", CLOSED),
        ("2020-06-10T15:30:00 CT", OPEN),
        ("2020-06-10T15:59:59 CT", OPEN),
        ("2020-06-10T16:00:00 CT", CLOSED),
        # the halt went on June 28, 2021
        ("2021-06-25T15:20:00 CT", CLOSED),
        ("2021-06-28T15:20:00 CT", OPEN),
        # 2022: no halt
        ("2022-06-15T15:15:00 CT", OPEN),
        ("2022-06-15T15:59:59 CT", OPEN),
        ("2022-06-15T16:00:00 CT", CLOSED),
    ],
)
def test_equity_hours_are_those_of_their_day(at: str, expected: bool) -> None:
    assert is_open("equity", ns(at)) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2024-03-28T15:59:59 CT", OPEN),  # Maundy Thursday
        ("2024-03-28T17:00:00 CT", CLOSED),  # evening before Good Friday
        ("2024-03-29T10:00:00 CT", CLOSED),  # Good Friday
        ("2024-03-31T16:59:59 CT", CLOSED),
        ("2024-03-31T17:00:00 CT", OPEN),  # Easter Sunday evening
        ("2024-11-27T17:00:00 CT", OPEN),  # evening before Thanksgiving
        ("2024-11-28T11:59:59 CT", OPEN),
        ("2024-11-28T12:00:00 CT", CLOSED),  # Thanksgiving
        ("2024-11-28T17:00:00 CT", OPEN),
        ("2024-12-24T12:30:00 CT", CLOSED),
        ("2024-12-24T17:30:00 CT", CLOSED),
        ("2024-12-25T12:00:00 CT", CLOSED),
        ("2024-12-25T17:00:00 CT", OPEN),
        ("2025-01-01T10:00:00 CT", CLOSED),
        ("2025-01-01T17:00:00 CT", OPEN),
    ],
)
def test_holidays_and_early_closes(at: str, expected: bool) -> None:
    assert is_open("equity", ns(at)) is expected


# ---- against an oracle that reads Chicago's clock

_QUIET_WEEKS = st.sampled_from(
    # Mondays of weeks without holiday, both changes of the clock among them
    ["2024-01-22", "2024-03-04", "2024-03-11", "2024-06-10", "2024-08-12", "2024-10-28", "2024-11-04", "2025-03-10"]
)


def _clock_says_open(group: str, local: datetime) -> bool:
    day, minute = local.weekday(), local.hour * 60 + local.minute
    if group == "grains":
        evening = minute >= 19 * 60 and day in (6, 0, 1, 2, 3)
        night = minute < 7 * 60 + 45 and day <= 4
        daytime = 8 * 60 + 30 <= minute < 13 * 60 + 20 and day <= 4
        return evening or night or daytime
    evening = minute >= 17 * 60 and day in (6, 0, 1, 2, 3)
    return evening or (minute < 16 * 60 and day <= 4)


_any_second = given(
    group=st.sampled_from(["equity", "metals", "energy", "fx", "rates", "grains"]),
    monday=_QUIET_WEEKS,
    second=st.integers(0, 7 * 86400 - 1),
)


@relaxed
@_any_second
def test_open_is_what_the_clock_in_chicago_says(group: str, monday: str, second: int) -> None:
    at = datetime.fromisoformat(monday).replace(tzinfo=UTC) + timedelta(seconds=second)
    ts = int(at.timestamp()) * SECOND
    assert is_open(group, ts) is _clock_says_open(group, at.astimezone(CHICAGO))


@relaxed
@_any_second
def test_without_holidays_weekly_hours_are_the_same(group: str, monday: str, second: int) -> None:
    ts = int((datetime.fromisoformat(monday).replace(tzinfo=UTC) + timedelta(seconds=second)).timestamp()) * SECOND
    assert is_scheduled(group, ts) is is_open(group, ts)


def test_weekly_hours_know_no_holidays() -> None:
    christmas = ns("2024-12-25T15:00")
    assert (is_scheduled("equity", christmas), is_open("equity", christmas)) == (True, False)


@relaxed
@given(
    group=st.sampled_from(["equity", "grains"]),
    minute=st.integers(ns("2024-01-01T00:00") // (60 * SECOND), ns("2025-01-31T00:00") // (60 * SECOND)),
    shift=st.sampled_from([-1, 0, 1]),
)
def test_next_open_and_close_are_where_the_market_turns(group: str, minute: int, shift: int) -> None:
    ts = minute * 60 * SECOND + shift
    opening, closing = next_open(group, ts), next_close(group, ts)
    assert ts <= opening < closing
    assert is_open(group, opening)
    assert is_open(group, closing - 1)
    assert not is_open(group, closing)
    assert opening == ts or not is_open(group, opening - 1)
    # nothing opens in between, and nothing closes: no boundary lies off the five-minute grid
    grid = 5 * 60 * SECOND
    assert not any(is_open(group, t) for t in range(ts, min(opening, ts + 300 * grid), grid))
    assert all(is_open(group, t) for t in range(opening, closing, grid))


@pytest.mark.parametrize(
    ("group", "at", "opening", "closing"),
    [
        ("equity", "2024-01-10T12:00", "2024-01-10T12:00", "2024-01-10T22:00"),
        ("equity", "2024-01-10T22:00", "2024-01-10T23:00", "2024-01-11T22:00"),
        ("equity", "2024-01-12T22:00", "2024-01-14T23:00", "2024-01-15T18:00"),  # early close on Dr. King's day
        ("equity", "2024-03-08T22:00", "2024-03-10T22:00", "2024-03-11T21:00"),
        ("equity", "2024-11-01T21:00", "2024-11-03T23:00", "2024-11-04T22:00"),
        ("equity", "2024-03-28T21:00", "2024-03-31T22:00", "2024-04-01T21:00"),  # over Good Friday
        ("equity", "2024-11-28T17:00", "2024-11-28T17:00", "2024-11-28T18:00"),
        ("equity", "2013-06-12T20:15", "2013-06-12T20:30", "2013-06-12T21:15"),
        ("grains", "2024-01-10T13:45", "2024-01-10T14:30", "2024-01-10T19:20"),
        ("grains", "2024-01-12T19:20", "2024-01-15T01:00", "2024-01-15T13:45"),
    ],
)
def test_next_open_and_close_by_hand(group: str, at: str, opening: str, closing: str) -> None:
    assert next_open(group, ns(at)) == ns(opening)
    assert next_close(group, ns(at)) == ns(closing)


@pytest.mark.parametrize(
    ("group", "start", "end", "hours"),
    [
        ("equity", "2024-01-09T23:00", "2024-01-10T23:00", 23.0),
        ("equity", "2024-01-12T23:00", "2024-01-13T23:00", 0.0),
        ("equity", "2024-07-13T23:00", "2024-07-14T23:00", 1.0),
        ("equity", "2024-01-13T23:00", "2024-01-14T23:00", 0.0),
        ("equity", "2024-01-07T23:00", "2024-01-12T23:00", 5 * 23.0),
        ("equity", "2024-03-28T22:00", "2024-03-29T22:00", 23.0),  # holidays are left aside
        ("equity", "2013-06-11T22:00", "2013-06-12T22:00", 23.0),  # 22.25 hours and 0.75 hours
        ("grains", "2024-01-09T23:00", "2024-01-10T23:00", 12.75 + 4 + 50 / 60),
        ("equity", "2024-01-10T12:00", "2024-01-10T12:30", 0.5),
        ("equity", "2024-01-10T12:00", "2024-01-10T12:00", 0.0),
    ],
)
def test_scheduled_hours_by_hand(group: str, start: str, end: str, hours: float) -> None:
    assert scheduled_hours(group, ns(start), ns(end)) == pytest.approx(hours)


@relaxed
@given(
    parts=st.lists(
        st.integers(ns("2024-03-01T00:00") // SECOND, ns("2024-04-01T00:00") // SECOND), min_size=3, max_size=3
    ),
    group=st.sampled_from(["equity", "grains"]),
)
def test_scheduled_hours_of_two_parts_add_up(parts: list[int], group: str) -> None:
    a, b, c = (second * SECOND for second in sorted(parts))
    whole = scheduled_hours(group, a, c)
    assert whole == pytest.approx(scheduled_hours(group, a, b) + scheduled_hours(group, b, c))


def test_unknown_group_is_named_with_what_there_is() -> None:
    with pytest.raises(PineError, match="'crypto', expected one of equity, metals"):
        is_open("crypto", ns("2024-01-10T12:00"))
