"""What a set of features needs, and what it says where there is nothing to say."""

import math

import pytest
from attrs import evolve

from pine.core.errors import FeatureError
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.strategies.features.address import parse_address
from pine.strategies.features.graph import FeatureSet
from pine.strategies.features.needs import Needs, needs
from pine.strategies.features.places import Places
from pine.strategies.features.resolve import resolve

from .oracle import examples
from .world import RULE, hours, walk

RULES = dict.fromkeys(("ES", "NQ", "PL"), RULE)


def test_needs_are_the_symbols_timeframes_and_bars_that_are_read() -> None:
    wanted = {
        "NQ": ["sma(30)", "atr_z(5, 252)@daily", "above(close, ema(20)@daily)", "ibs@pair"],
        "CL": ["close@TLT.1min", "percentile(pair_z(20), 252)", "lag(sma(10), 5)@6E"],
    }
    found = needs(wanted, Places())
    assert found == Needs(
        symbols=("NQ", "CL", "6E", "ES", "NG", "ZB"),
        timeframes=(Timeframe.MINUTE, Timeframe.HOUR, Timeframe.DAY),
        bars={Timeframe.MINUTE: 1, Timeframe.HOUR: 271, Timeframe.DAY: 257},
        unavailable={},
    )


def test_each_feature_has_a_value_after_as_many_bars_as_it_says_and_not_before() -> None:
    unsure = ("fractal",)  # a pivot needs at least that many
    bars = [walk(symbol, Timeframe.HOUR, [n * NS_PER_HOUR for n in range(600)], seed=3) for symbol in ("ES", "NQ")]
    texts = [text for text in examples() if "daily" not in text and not text.startswith(unsure)]
    count = {text: needs({"ES": [text]}, Places()).bars[Timeframe.HOUR] for text in texts}
    found = FeatureSet({"ES": texts}, RULES, Places())
    first: dict[str, int] = {}
    for at, group in enumerate(zip(*bars, strict=True), start=1):
        found.update(group)
        for text in texts:
            if found.value("ES", text) is not None:
                first.setdefault(text, at)
    assert first == count


def test_what_reads_a_missing_pair_or_a_symbol_without_bars_never_has_a_value_and_says_why() -> None:
    wanted = {"ES": ["ibs@pair", "close@VIX.daily", "product(ibs, ibs@TLT)"], "PL": ["ibs@pair", "ibs"]}
    found = FeatureSet(wanted, RULES, Places())
    assert found.needs.unavailable == {
        "close@VIX.daily": "VIX is not configured",
        "product(left=ibs, right=ibs@TLT)": "TLT is not configured (it is fed by ZB)",
        "ibs@pair": "PL has no pair",
    }
    assert found.needs.symbols == ("PL", "NQ")
    for symbol in ("ES", "NQ", "PL"):
        found.update(hours(symbol, 4, quiet=0.0))
    assert found.value("ES", "ibs@pair") is not None
    assert found.row("ES", wanted["ES"][1:]) == [None, None]
    assert (found.value("PL", "ibs@pair"), found.value("PL", "ibs") is not None) == (None, True)


def test_nothing_leads_to_nothing_and_no_value_is_ever_infinite_or_not_a_number() -> None:
    found = FeatureSet(
        {"ES": ["product(product(close, close), product(close, close))", "deviation(2)"]}, RULES, Places()
    )
    texts = ["product(product(close, close), product(close, close))", "deviation(2)"]
    huge = [
        evolve(bar, open=1e200, high=1e200 * n, low=1.0, close=1e200 * n) for n, bar in enumerate(hours("ES", 4), 1)
    ]
    for bar in huge:
        found.update([bar])
        assert found.row("ES", texts) == [None, None]


def test_a_market_that_does_not_move_divides_by_nothing() -> None:
    starts = [n * NS_PER_HOUR for n in range(300)]
    flat = [
        evolve(bar, open=100.0, high=100.0, low=100.0, close=100.0, volume=5)
        for bar in walk("ES", Timeframe.HOUR, starts, 1)
    ]
    texts = [text for text in examples() if "daily" not in text and "NQ" not in text and "pair" not in text]
    found = FeatureSet({"ES": texts}, RULES, Places())
    for bar in flat:
        found.update([bar])
    values = dict(zip(texts, found.row("ES", texts), strict=True))
    assert all(value is None or math.isfinite(value) for value in values.values())
    assert {text for text, value in values.items() if value is None} == {"fractal", "fractal(2, 3)"}
    assert [values[text] for text in ("ibs", "rsi(2)", "adx", "drift", "atr_z", "z_score(20, 20)")] == [
        0.5,
        50.0,
        0,
        0,
        0,
        0,
    ]


def test_an_address_is_found_however_it_is_written_and_only_if_it_was_asked_for() -> None:
    found = FeatureSet({"ES": ["rsi(2)", "prev_bar_pct"]}, RULES, Places())
    found.update(hours("ES", 20, quiet=0.0))
    assert found.value("ES", "rsi(length=2)@hourly") == found.value("ES", "rsi(2)") is not None
    assert found.value("ES", "percent_change") == found.value("ES", "prev_bar_pct") is not None
    for symbol, text in (("ES", "rsi(3)"), ("NQ", "rsi(2)")):
        with pytest.raises(FeatureError, match="was not asked for"):
            found.value(symbol, text)


def test_another_place_is_read_as_of_its_newest_completed_bar() -> None:
    found = FeatureSet({"ES": ["close@NQ", "lag(close@NQ, 1)", "difference(close, close@NQ)"]}, RULES, Places())
    first, second, third = (hour * NS_PER_HOUR for hour in range(3))
    es = walk("ES", Timeframe.HOUR, [first, second, third], 1)
    nq = walk("NQ", Timeframe.HOUR, [first, third], 1)
    found.update([es[0], nq[0]])
    found.update([es[1]])
    assert found.row("ES", ["close@NQ", "lag(close@NQ, 1)"]) == [nq[0].close, nq[0].close]
    assert found.value("ES", "difference(close, close@NQ)") == es[1].close - nq[0].close
    found.update([es[2], nq[1]])
    assert found.row("ES", ["close@NQ", "lag(close@NQ, 1)"]) == [nq[1].close, nq[0].close]


def test_a_close_above_the_last_pivot_high_and_below_the_last_pivot_low_is_above() -> None:
    found = FeatureSet({"ES": ["fractal(1, 1)"]}, RULES, Places())
    lows = {
        8: 7,
        10: 8,
        9: 8,
        13: 12.5,
        14: 12,
        15: 12.6,
        17: 11,
    }  # by the high: 10 is a pivot, and so is the low of 12
    bars = walk("ES", Timeframe.HOUR, [n * NS_PER_HOUR for n in range(len(lows))], 1)
    for bar, (high, low) in zip(bars, lows.items(), strict=True):
        found.update([evolve(bar, open=low, high=high, low=low, close=low)])
    assert found.value("ES", "fractal(1, 1)") == 1.0


def test_what_is_read_twice_at_every_depth_is_met_once() -> None:
    text = "close"
    for _ in range(8):
        text = f"product({text}, {text})"
    found = resolve(parse_address(f"sma(5, {text})"), "ES", Places())
    assert [each.name for each in found.all()] == ["close", *["product"] * 8, "sma"]
    assert found.bars() == {Timeframe.HOUR: 5}
