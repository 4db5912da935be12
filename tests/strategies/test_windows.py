"""Times of day: reading them, and whose clock they are on."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.strategies.windows import local_time, minute_of_day, parse_minute, parse_window


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(("text", "minute"), [("00:00", 0), ("15:00", 900), ("23:59", 1439), ("24:00", 1440)])
def test_time_of_day(text: str, minute: int) -> None:
    assert parse_minute(text) == minute


@pytest.mark.parametrize("text", ["", "9:00", "24:01", "12:60", "12", "noon", "12:00:00", 900, None])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time of day as text"):
        parse_minute(text)


@given(start=st.integers(0, 1439), end=st.integers(1, 1440))
def test_window_ends_after_it_starts(start: int, end: int) -> None:
    text = f"{start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}"
    if start < end:
        assert parse_window(text) == (start, end)
    else:
        with pytest.raises(ValueError, match="ends after it starts"):
            parse_window(text)


@pytest.mark.parametrize(
    ("at", "zone", "minute"),
    [
        ("2024-01-09T15:30", "UTC", 930),
        ("2024-01-09T15:30", "America/Chicago", 570),
        ("2024-07-09T15:30", "America/Chicago", 630),
        ("2024-01-09T03:00", "America/Chicago", 1260),  # the evening before
    ],
)
def test_minute_of_day_on_a_clock(at: str, zone: str, minute: int) -> None:
    assert minute_of_day(local_time(ns(at), zone)) == minute
