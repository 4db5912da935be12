"""The channel and the stop of the breakout rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.strategies.breakout_rules import BreakoutParams, Channel


def hour(n: int, high: float, low: float) -> Bar:
    return Bar("ES", Timeframe.HOUR, n * 3600 * 10**9, low, high, low, high, 1, 1, "ESZ4")


@given(
    ranges=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=30),
    lookback=st.integers(2, 6),
)
def test_channel_is_of_the_bars_before_the_latest(ranges: list[tuple[int, int]], lookback: int) -> None:
    channel = Channel(BreakoutParams(lookback=lookback))
    for n, pair in enumerate(ranges):
        channel.update(hour(n, max(pair), min(pair)))
        before = ranges[max(0, n - lookback) : n]
        assert channel.upper == (max(map(max, before)) if n >= lookback else None)
        assert channel.lower == (min(map(min, before)) if n >= lookback else None)


def test_the_stop_is_a_multiple_of_wilders_range_below_the_entry() -> None:
    channel = Channel(BreakoutParams(atr_length=2, atr_multiple=2.0))
    for n, (high, low) in enumerate([(10, 8), (11, 9), (14, 10)]):  # each closes at its high
        assert channel.stop(100.0) is None
        channel.update(hour(n, high, low))
    assert channel.stop(100.0) == 100.0 - 2 * 3.0  # ranges 2 and 4, a mean first
    channel.update(hour(3, 13, 12))
    assert channel.stop(100.0) == 100.0 - 2 * (3.0 + 2.0) / 2  # then smoothed: 12 to 14, with the close before


def test_the_defaults_are_the_desks_own() -> None:
    assert BreakoutParams() == BreakoutParams(lookback=20, atr_length=14, atr_multiple=2.0)


@pytest.mark.parametrize("name", ["lookback", "atr_length", "atr_multiple"])
def test_parameters_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        BreakoutParams(**{name: 0})
