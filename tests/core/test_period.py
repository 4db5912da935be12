"""Which period an instant belongs to: boundaries, daylight saving, short sessions, and what a close may look like."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pine.core.period import Period, SessionClose, SessionRule, period, session, session_begin
from pine.core.timeframe import Timeframe

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR
CHICAGO = ZoneInfo("America/Chicago")

UTC_23 = SessionRule(SessionClose(23), "equity")
UTC_23_STRICT = SessionRule(SessionClose(23), "equity", merge_short=False)
CHICAGO_17 = SessionRule(SessionClose(17, "America/Chicago"), "equity")
RULES = (UTC_23, UTC_23_STRICT, CHICAGO_17)

relaxed = settings(deadline=None)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * 10**9


def _closes(hour: int, zone: str) -> list[int]:
    """Every instant from 2023 to 2026 at which the clocks of a zone show that whole hour."""
    first = datetime(2023, 1, 1, tzinfo=UTC)
    hours = (first + timedelta(hours=i) for i in range(24 * 365 * 4))
    return [int(t.timestamp()) * 10**9 for t in hours if t.astimezone(ZoneInfo(zone)).hour == hour]


CLOSES = {"UTC": _closes(23, "UTC"), "America/Chicago": _closes(17, "America/Chicago")}

instants = st.integers(ns("2023-01-03T00:00"), ns("2026-12-20T00:00"))
# Half of all instants lie within a nanosecond or so of a whole hour.
edges = st.builds(
    lambda hour, shift: hour * HOUR + shift,
    st.integers(ns("2023-01-03T00:00") // HOUR, ns("2026-12-20T00:00") // HOUR),
    st.sampled_from([-1, 0, 1]),
)
moments = instants | edges


def raw_session(ts: int, rule: SessionRule) -> Period:
    """From close to close around an instant, found in the list of closes."""
    closes = CLOSES[rule.close.zone]
    i = bisect_right(closes, ts)
    return Period(closes[i - 1], closes[i])


def is_short_sunday(raw: Period, rule: SessionRule) -> bool:
    """Under 23:00 UTC the market opens an hour before Sunday's close while Chicago has summer time, and only then."""
    if rule is not UTC_23:
        return False
    end = datetime.fromtimestamp(raw.end // 10**9, UTC)
    before = end - timedelta(minutes=30)
    return end.weekday() == 6 and before.astimezone(CHICAGO).utcoffset() == timedelta(hours=-5)


# ---- minutes and hours


@relaxed
@given(ts=moments)
def test_minute_and_hour_hold_the_instant_and_start_on_the_clock(ts: int) -> None:
    for timeframe, length in ((Timeframe.MINUTE, MINUTE), (Timeframe.HOUR, HOUR)):
        found = period(timeframe, ts, UTC_23)
        assert found.start <= ts < found.end
        assert found.end - found.start == length
        assert found.start % length == 0


@pytest.mark.parametrize(
    ("timeframe", "at", "start", "end"),
    [
        (Timeframe.MINUTE, "2024-01-02T15:30:00", "2024-01-02T15:30", "2024-01-02T15:31"),
        (Timeframe.MINUTE, "2024-01-02T15:30:59", "2024-01-02T15:30", "2024-01-02T15:31"),
        (Timeframe.HOUR, "2024-01-02T15:00:00", "2024-01-02T15:00", "2024-01-02T16:00"),
        (Timeframe.HOUR, "2024-01-02T15:59:59", "2024-01-02T15:00", "2024-01-02T16:00"),
        (Timeframe.DAY, "2024-01-02T22:59:59", "2024-01-01T23:00", "2024-01-02T23:00"),
        (Timeframe.DAY, "2024-01-02T23:00:00", "2024-01-02T23:00", "2024-01-03T23:00"),
    ],
)
def test_an_instant_on_a_boundary_opens_the_new_period(timeframe: Timeframe, at: str, start: str, end: str) -> None:
    assert period(timeframe, ns(at), UTC_23) == (ns(start), ns(end))


@relaxed
@given(ts=moments, rule=st.sampled_from(RULES))
def test_an_hour_never_crosses_the_end_of_a_session(ts: int, rule: SessionRule) -> None:
    hour = period(Timeframe.HOUR, ts, rule)
    assert session(hour.start, rule) == session(hour.end - 1, rule)


# ---- sessions


@relaxed
@given(ts=moments, rule=st.sampled_from(RULES))
@example(ts=ns("2024-03-10T22:30"), rule=UTC_23)
@example(ts=ns("2024-11-03T22:30"), rule=UTC_23)
@example(ts=ns("2024-03-10T22:00"), rule=CHICAGO_17)
@example(ts=ns("2024-11-03T23:00") - 1, rule=CHICAGO_17)
def test_session_of_any_instant_is_the_one_between_two_closes(ts: int, rule: SessionRule) -> None:
    raw = raw_session(ts, rule)
    begin = raw.start
    if is_short_sunday(raw, rule):
        raw = raw_session(raw.end, rule)
    elif is_short_sunday(before := raw_session(raw.start - 1, rule), rule):
        begin = before.start
    assert session(ts, rule) == raw
    assert period(Timeframe.DAY, ts, rule) == raw
    assert session_begin(ts, rule) == begin


@relaxed
@given(ts=moments, rule=st.sampled_from(RULES))
def test_a_session_is_left_closed_and_the_next_one_begins_where_it_ends(ts: int, rule: SessionRule) -> None:
    found = session(ts, rule)
    begin = session_begin(ts, rule)
    assert begin <= ts < found.end
    assert session(begin, rule) == session(found.start, rule) == session(found.end - 1, rule) == found
    assert session(begin - 1, rule).end == begin
    assert session_begin(found.end, rule) == found.end


@pytest.mark.parametrize("rule", RULES, ids=["23:00 UTC", "23:00 UTC strict", "17:00 Chicago"])
def test_sessions_of_a_year_tile_time(rule: SessionRule) -> None:
    found = session(ns("2024-01-01T12:00"), rule)
    merged = []
    while found.end < ns("2025-01-01T00:00"):
        following = session(found.end, rule)
        if following.start != found.end:
            merged.append(following)
            assert following.start == found.end + DAY
        found = following
    # In 2024 Chicago had summer time from Sunday, March 10 to Sunday, November 3: 34 Sundays open at 22:00 UTC.
    assert len(merged) == (34 if rule is UTC_23 else 0)


def test_sunday_hour_of_summer_belongs_to_monday_which_keeps_its_own_start() -> None:
    monday = Period(ns("2024-07-14T23:00"), ns("2024-07-15T23:00"))
    for at in ("2024-07-14T22:00", "2024-07-14T22:59", "2024-07-14T23:00", "2024-07-15T22:59"):
        assert session(ns(at), UTC_23) == monday
        assert period(Timeframe.DAY, ns(at), UTC_23) == monday
        assert session_begin(ns(at), UTC_23) == ns("2024-07-13T23:00")


def test_sunday_hour_of_summer_is_a_session_of_its_own_when_not_merged() -> None:
    assert session(ns("2024-07-14T22:30"), UTC_23_STRICT) == (ns("2024-07-13T23:00"), ns("2024-07-14T23:00"))
    assert session_begin(ns("2024-07-14T23:00"), UTC_23_STRICT) == ns("2024-07-14T23:00")


def test_nothing_is_merged_in_winter() -> None:
    # The market opens at 23:00 UTC, so nothing is scheduled in the session before.
    assert session(ns("2024-01-14T22:30"), UTC_23) == (ns("2024-01-13T23:00"), ns("2024-01-14T23:00"))
    assert session(ns("2024-01-14T23:00"), UTC_23) == (ns("2024-01-14T23:00"), ns("2024-01-15T23:00"))
    assert session_begin(ns("2024-01-15T12:00"), UTC_23) == ns("2024-01-14T23:00")


@pytest.mark.parametrize(
    ("at", "start", "end"),
    [
        # spring: 2024-03-10 02:00 CST becomes 03:00 CDT
        ("2024-03-09T12:00", "2024-03-08T23:00", "2024-03-09T23:00"),
        ("2024-03-10T12:00", "2024-03-09T23:00", "2024-03-10T22:00"),
        ("2024-03-10T21:59", "2024-03-09T23:00", "2024-03-10T22:00"),
        ("2024-03-10T22:00", "2024-03-10T22:00", "2024-03-11T22:00"),
        # autumn: 2024-11-03 02:00 CDT becomes 01:00 CST
        ("2024-11-01T12:00", "2024-10-31T22:00", "2024-11-01T22:00"),
        ("2024-11-03T22:30", "2024-11-02T22:00", "2024-11-03T23:00"),
        ("2024-11-03T23:00", "2024-11-03T23:00", "2024-11-04T23:00"),
    ],
)
def test_exchange_time_follows_daylight_saving(at: str, start: str, end: str) -> None:
    assert session(ns(at), CHICAGO_17) == (ns(start), ns(end))


@pytest.mark.parametrize(
    ("at", "start", "end", "begin"),
    [
        # the Sunday of the change opens at 22:00 UTC already
        ("2024-03-10T22:30", "2024-03-10T23:00", "2024-03-11T23:00", "2024-03-09T23:00"),
        ("2024-03-11T12:00", "2024-03-10T23:00", "2024-03-11T23:00", "2024-03-09T23:00"),
        # the Sunday of the change opens at 23:00 UTC again
        ("2024-11-03T22:30", "2024-11-02T23:00", "2024-11-03T23:00", "2024-11-02T23:00"),
        ("2024-11-04T12:00", "2024-11-03T23:00", "2024-11-04T23:00", "2024-11-03T23:00"),
    ],
)
def test_utc_close_stays_put_on_both_changes(at: str, start: str, end: str, begin: str) -> None:
    assert session(ns(at), UTC_23) == (ns(start), ns(end))
    assert session_begin(ns(at), UTC_23) == ns(begin)


def test_grains_never_have_a_short_session_under_the_default_close() -> None:
    grains = SessionRule(SessionClose(23), "grains")
    # grains open at 19:00 Chicago: after 23:00 UTC all year
    assert session(ns("2024-07-15T00:00"), grains) == (ns("2024-07-14T23:00"), ns("2024-07-15T23:00"))
    assert session_begin(ns("2024-07-15T00:00"), grains) == ns("2024-07-14T23:00")


def test_a_rule_without_arguments_closes_at_23_utc_and_merges() -> None:
    assert SessionRule() == UTC_23


# ---- reading a close


@pytest.mark.parametrize(
    ("text", "hour", "zone"),
    [
        ("23:00", 23, "UTC"),
        ("00:00", 0, "UTC"),
        ("17:00 America/Chicago", 17, "America/Chicago"),
        ("18:00 America/New_York", 18, "America/New_York"),
        ("22:00 UTC", 22, "UTC"),
    ],
)
def test_close_is_read_with_and_without_a_zone(text: str, hour: int, zone: str) -> None:
    assert SessionClose.parse(text) == SessionClose(hour, zone)


@pytest.mark.parametrize("text", ["23:00", "05:00", "17:00 America/Chicago"])
def test_close_writes_itself_as_it_is_read(text: str) -> None:
    assert str(SessionClose.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected HH:00"),
        ("23", "expected HH:00"),
        ("24:00", "expected HH:00"),
        ("7:00", "expected HH:00"),
        ("23:60", "expected HH:00"),
        ("17:00  America/Chicago", "expected HH:00"),
        ("17:00 America/Chicago please", "expected HH:00"),
        ("17:00\n", "expected HH:00"),
        ("17:00 Chicago/America", "time zone"),
        ("17:00 America", "time zone"),
        ("17:00 ../../etc/passwd", "time zone"),
        ("16:30", "whole hour"),
        ("17:01 America/Chicago", "whole hour"),
    ],
)
def test_close_that_cannot_be_used_is_refused_with_what_was_found(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        SessionClose.parse(text)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Adelaide", "America/St_Johns"])
def test_close_in_a_zone_off_the_whole_hour_is_refused(zone: str) -> None:
    # 17:00 in Kolkata is 11:30 UTC: an hourly bar would cross the session's end
    with pytest.raises(ValueError, match="whole hour"):
        SessionClose.parse(f"17:00 {zone}")
