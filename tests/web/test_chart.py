"""Candles, boundaries and trades stand where they belong."""

from typing import Any

from pine.core.bar import Bar
from pine.core.period import SessionClose, SessionRule
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, Timeframe
from pine.core.times import isoformat, parse_time
from pine.web.chart import boundaries, options

RULE = SessionRule(SessionClose(23))
FIRST = parse_time("2024-03-05T20:00")


def bars(count: int, timeframe: Timeframe = Timeframe.HOUR, length: int = NS_PER_HOUR) -> list[Bar]:
    return [
        Bar("ES", timeframe, FIRST + n * length, 100.0 + n, 103.0 + n, 99.0 + n, 102.0 + n, 10 + n, 7, "ESH4")
        for n in range(count)
    ]


def order(intent: str, action: str, filled: int | None, fill: float | None, **other: Any) -> dict[str, Any]:
    told = None if filled is None else isoformat(filled)
    return {
        "intent": intent,
        "action": action,
        "filled": told,
        "fill": fill,
        "entry": None,
        "void": None,
        "pnl": None,
        **other,
    }


def series(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["series"] if one["name"] == name)


def test_a_candle_is_open_close_low_high_and_times_are_utc() -> None:
    found = options(bars(2), RULE)
    assert series(found, "candles")["data"] == [[100.0, 102.0, 99.0, 103.0], [101.0, 103.0, 100.0, 104.0]]
    assert series(found, "volume")["data"] == [10, 11]
    assert found["xAxis"][0]["data"] == ["Tue 05 20:00", "Tue 05 21:00"]


def test_a_line_stands_at_the_first_bar_of_a_session_with_the_day_that_it_ends_on() -> None:
    assert boundaries(bars(6), RULE) == [(3, "Wed 06 Mar")]
    assert boundaries(bars(6, Timeframe.DAY, NS_PER_DAY), RULE) == []
    assert boundaries([], RULE) == []


def test_fills_are_marked_at_their_bar_and_price_and_joined_to_a_trade() -> None:
    orders = [
        order("in", "buy", FIRST + NS_PER_HOUR + 60, 101.5),
        order("out", "exit", FIRST + 3 * NS_PER_HOUR, 103.25, entry="in", pnl=80.0),
        order("short", "sell", FIRST + 4 * NS_PER_HOUR, 104.0),
        order("not filled", "buy", None, None),
        order("void", "buy", FIRST, 100.0, void="rejected"),
        order("before", "buy", FIRST - NS_PER_HOUR, 90.0),
    ]
    found = options(bars(6), RULE, orders)
    assert series(found, "bought")["data"] == [[1, 101.5]]
    assert series(found, "exits")["data"] == [[3, 103.25]]
    assert series(found, "sold")["data"] == [[4, 104.0]]
    (line,) = series(found, "trades")["data"]
    assert line["coords"] == [[1, 101.5], [3, 103.25]]


def test_the_view_is_set_once_and_then_left_to_who_looks() -> None:
    first = options(bars(300), RULE, show=150)["dataZoom"][0]
    assert (first["start"], first["end"]) == (50.0, 100.0)
    assert "start" not in options(bars(300), RULE)["dataZoom"][0]
    assert options(bars(10), RULE, show=150)["dataZoom"][0]["start"] == 0.0


def test_no_bars_are_a_chart_too() -> None:
    assert series(options([], RULE), "candles")["data"] == []
