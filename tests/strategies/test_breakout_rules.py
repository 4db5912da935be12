"""The channel of the breakout rules."""

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
    entry=st.integers(2, 6),
    leave=st.integers(2, 6),
)
def test_channel_is_of_the_bars_before_the_latest(ranges: list[tuple[int, int]], entry: int, leave: int) -> None:
    channel = Channel(BreakoutParams(entry_hours=entry, exit_hours=leave))
    for n, pair in enumerate(ranges):
        channel.update(hour(n, max(pair), min(pair)))
        highs = [max(p) for p in ranges[max(0, n - entry) : n]]
        lows = [min(p) for p in ranges[max(0, n - leave) : n]]
        assert channel.upper == (max(highs) if n >= entry else None)
        assert channel.lower == (min(lows) if n >= leave else None)


@pytest.mark.parametrize("name", ["entry_hours", "exit_hours", "stop_percent"])
def test_parameters_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        BreakoutParams(**{name: 0})
