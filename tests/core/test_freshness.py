"""Old data in an open market is wrong; silence in a closed one, or one that has just opened, is not."""

import pytest

from pine.core.freshness import STALE_SECONDS, DataAge, data_age
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import parse_time

TUESDAY = parse_time("2024-03-05T15:00")
FRIDAY_CLOSE = parse_time("2024-03-08T22:00")
SATURDAY = parse_time("2024-03-09T15:00")
SUNDAY_OPEN = parse_time("2024-03-10T22:00")
CHRISTMAS = parse_time("2024-12-25T15:00")


@pytest.mark.parametrize(
    ("newest", "now", "since", "fresh", "market_open"),
    [
        (TUESDAY - 120 * NS_PER_SECOND, TUESDAY, 0, True, True),
        (TUESDAY - 121 * NS_PER_SECOND, TUESDAY, 0, False, True),
        (FRIDAY_CLOSE, SATURDAY, 0, True, False),
        (FRIDAY_CLOSE, SUNDAY_OPEN + 60 * NS_PER_SECOND, 0, True, True),
        (FRIDAY_CLOSE, SUNDAY_OPEN + 121 * NS_PER_SECOND, 0, False, True),
        (CHRISTMAS - 86_400 * NS_PER_SECOND, CHRISTMAS, 0, True, False),
        (None, TUESDAY, TUESDAY - 60 * NS_PER_SECOND, True, True),
        (None, TUESDAY, TUESDAY - 121 * NS_PER_SECOND, False, True),
    ],
    ids=["at the limit", "old", "weekend", "just opened", "opened and silent", "holiday", "just begun", "never traded"],
)
def test_data_is_judged_by_the_hours_of_its_market(
    newest: int | None, now: int, since: int, fresh: bool, market_open: bool
) -> None:
    found = data_age(newest, now, ["equity"], since)
    assert (found.is_fresh(STALE_SECONDS), found.market_open) == (fresh, market_open)
    assert found.age_s == (None if newest is None else (now - newest) / NS_PER_SECOND)


def test_one_open_market_is_enough_to_expect_trades() -> None:
    night = parse_time("2024-03-05T13:50")  # grains pause from 13:45 to 14:30 UTC
    assert data_age(night - 600 * NS_PER_SECOND, night, ["grains"]) == DataAge(600.0, None, market_open=False)
    assert not data_age(night - 600 * NS_PER_SECOND, night, ["grains", "equity"]).is_fresh()
