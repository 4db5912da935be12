"""Which of two bars' values differ, what late trades can be the reason of, and what quiet minutes are."""

from attrs import evolve

from pine.core.bar import Bar
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.history.answer import Held
from pine.history.differences import compare, folded, is_part, with_quiet

MINUTE = Timeframe.MINUTE
T, END = parse_time("2024-03-07T14:00"), parse_time("2024-03-07T23:00")


def test_only_a_part_of_a_bar_can_be_what_late_trades_left() -> None:
    whole = Bar("ES", MINUTE, T, 10.0, 12.0, 9.0, 11.0, 5, 7, "ESH4")
    assert is_part(evolve(whole, volume=4, high=11.0), whole)
    assert not is_part(whole, whole)
    assert not is_part(evolve(whole, volume=4, high=13.0), whole)
    assert not is_part(evolve(whole, volume=4, contract_symbol="ESM4"), whole)


def test_flat_bars_of_quiet_minutes_are_no_differences_where_the_market_stood() -> None:
    rule = SessionRule()
    traded = Bar("ES", MINUTE, T + 58 * NS_PER_MINUTE, 10.0, 12.0, 9.0, 11.0, 5, 7, "ESH4")
    flat = [
        evolve(traded, start=traded.start + n * NS_PER_MINUTE, open=11.0, high=11.0, low=11.0, close=11.0, volume=0)
        for n in (1, 2)
    ]
    recorded = [traded, *flat]
    vendor = with_quiet([traded], recorded)
    assert vendor == recorded
    count, wrong = compare(MINUTE, Held(((T, END),), tuple(recorded)), vendor, "ESH4")
    assert (count.recorded, count.vendor, count.equal, count.quiet, wrong) == (3, 1, 3, 2, [])
    hours = folded(vendor, Timeframe.HOUR, rule)
    assert [(bar.start, bar.volume, bar.open) for bar in hours] == [(T, 5, 10.0), (T + NS_PER_HOUR, 0, 11.0)]
    elsewhere = [traded, evolve(flat[0], open=12.0, high=12.0, low=12.0, close=12.0)]
    _, wrong = compare(MINUTE, Held(((T, END),), tuple(elsewhere)), with_quiet([traded], elsewhere), "ESH4")
    assert [m.field for m in wrong] == ["open", "high", "low", "close"]
