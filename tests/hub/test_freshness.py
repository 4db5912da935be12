"""Data that stands still is told from a market that is closed, has just opened, or is merely quiet."""

from pine.core.calendar import is_open
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import parse_time
from pine.hub.freshness import LONGEST_S, FrozenData

TUESDAY = parse_time("2024-03-05T16:00")
OPENING = parse_time("2024-03-04T23:00")
"""Monday 17:00 in Chicago: the daily halt ends."""


def fresh(limit: float | None = 300.0) -> FrozenData:
    found = FrozenData(limit, ("equity",), is_open)
    found.connected(1000.0)
    return found


def test_no_trade_in_an_open_market_is_frozen_after_the_limit() -> None:
    frozen = fresh()
    assert frozen.reason(0, TUESDAY, 1300.0) is None
    assert "no trade for 301 s" in str(frozen.reason(0, TUESDAY, 1301.0))


def test_trades_start_the_count_anew() -> None:
    frozen = fresh()
    assert frozen.reason(5, TUESDAY, 1299.0) is None
    assert frozen.reason(5, TUESDAY, 1599.0) is None
    assert frozen.reason(5, TUESDAY, 1600.0) is not None


def test_a_closed_market_and_one_that_has_just_opened_are_silent_and_healthy() -> None:
    assert fresh().reason(0, parse_time("2024-03-09T16:00"), 5000.0) is None
    assert fresh().reason(0, OPENING + 10 * NS_PER_SECOND, 1400.0) is None
    assert fresh().reason(0, OPENING + 400 * NS_PER_SECOND, 1301.0) is not None


def test_while_new_connections_bring_nothing_the_limit_doubles_up_to_an_hour() -> None:
    frozen, now, waited = fresh(), 1000.0, []
    for _ in range(7):
        frozen.connected(now)
        seconds = next(s for s in range(1, 10_000) if frozen.reason(0, TUESDAY, now + s))
        waited.append(seconds)
        now += seconds
    assert waited == [301, 601, 1201, 2401, LONGEST_S + 1, LONGEST_S + 1, LONGEST_S + 1]
    assert frozen.reason(1, TUESDAY, now + 1) is None
    frozen.connected(now)
    assert frozen.reason(1, TUESDAY, now + 301) is not None


def test_without_a_limit_nothing_is_frozen() -> None:
    assert fresh(None).reason(0, TUESDAY, 1e9) is None
