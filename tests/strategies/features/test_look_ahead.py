"""What a feature says depends on bars that closed, on all of its window, and on nothing else."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.core.bar import Bar
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.strategies.features.address import parse_address
from pine.strategies.features.graph import FeatureSet
from pine.strategies.features.places import Places
from pine.strategies.features.resolve import resolve

from .addresses import small
from .world import RULE, hours, instants, walk, world

SMALL = small()
RULES = dict.fromkeys(("ES", "NQ"), RULE)
WANTED = {"ES": SMALL, "NQ": SMALL}
Row = list[float | None]


def features(wanted: dict[str, list[str]] = WANTED) -> FeatureSet:
    return FeatureSet(wanted, RULES, Places())


def row(found: FeatureSet) -> Row:
    return [*found.row("ES", SMALL), *found.row("NQ", SMALL)]


def test_a_run_whose_future_is_cut_off_at_any_instant_says_the_same_to_the_last_bit() -> None:
    groups = instants(world(day_count=16, hour_count=44))
    whole = features({"ES": SMALL})
    rows = []
    for group in groups:
        whole.update(group)
        rows.append(whole.row("ES", SMALL))
    for end in range(len(groups)):
        cut = features({"ES": SMALL})
        cut.update(bar for group in groups[: end + 1] for bar in group)
        assert cut.row("ES", SMALL) == rows[end], end
    assert {text for text, value in zip(SMALL, rows[-1], strict=True) if value is None} == set()


def test_a_daily_value_is_of_the_last_finished_session_and_an_hour_that_closes_with_it_sees_it() -> None:
    found = FeatureSet({"ES": ["close@daily", "lag(close@daily, 1)"]}, RULES, Places())
    seen = []
    for group in instants(hours("ES", 60, quiet=0.0)):
        found.update(group)
        day = [bar.close for bar in group if bar.timeframe is Timeframe.DAY]
        seen += day
        assert found.value("ES", "close@daily") == (seen[-1] if seen else None)
    assert len(seen) >= 2


@pytest.mark.parametrize("history", [0, 7, 31])
def test_a_windowed_feature_is_a_function_of_its_window_whatever_came_before(history: int) -> None:
    windowed = [text for text in SMALL if not resolve(parse_address(text), "ES", Places()).recursive]
    assert len(windowed) > 60
    found = features({"ES": windowed})
    tail = world(day_count=24, hour_count=60)
    first = min(bar.start for bar in tail)
    before = [
        bar
        for symbol in RULES
        for timeframe, length in ((Timeframe.HOUR, NS_PER_HOUR), (Timeframe.DAY, 24 * NS_PER_HOUR))
        for bar in walk(symbol, timeframe, (first - length * n for n in range(history, 0, -1)), seed=history + 5)
        if timeframe is Timeframe.HOUR or bar.start < first - 30 * NS_PER_HOUR
    ]
    other = features({"ES": windowed})
    found.update(tail)
    other.update([*before, *tail])
    assert other.row("ES", windowed) == found.row("ES", windowed)
    assert None not in found.row("ES", windowed)


@given(order=st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None)
def test_neither_the_order_of_symbols_nor_the_grouping_of_instants_matters(order: random.Random) -> None:
    groups = instants(world(day_count=15, hour_count=30))
    one, other = features(), features({symbol: order.sample(SMALL, len(SMALL)) for symbol in ("NQ", "ES")})
    at = 0
    while at < len(groups):
        size = order.randint(1, 6)
        batch = [bar for group in groups[at : at + size] for bar in group]
        for group in groups[at : at + size]:
            one.update(group)
        order.shuffle(batch)
        other.update([*batch, *_strange(batch)])
        at += size
        assert row(other) == row(one)


def _strange(batch: list[Bar]) -> list[Bar]:
    return walk("CL", Timeframe.MINUTE, [bar.start for bar in batch], 1)


def test_a_bar_that_is_not_newer_is_refused_and_changes_nothing() -> None:
    bars = hours("ES", 10, quiet=0.0)
    found = FeatureSet({"ES": ["close", "sma(3)"]}, RULES, Places())
    found.update(bars[:5])
    before = found.row("ES", ["close", "sma(3)"])
    for wrong in ([bars[4]], [bars[5], bars[3]], [bars[5], bars[5]]):
        with pytest.raises(DataError, match="expected bars in order, each once"):
            found.update(wrong)
        assert found.row("ES", ["close", "sma(3)"]) == before
    found.update([bars[5]])
    assert found.value("ES", "close") == bars[5].close
