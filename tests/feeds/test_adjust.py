"""Bars of earlier contracts in the prices of the present one."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pine.core.bar import Bar
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.feeds.adjust import adjusted


def hour(n: int, opened: float, close: float, contract: str) -> Bar:
    high, low = max(opened, close) + 1, min(opened, close) - 1
    return Bar("ES", Timeframe.HOUR, n * NS_PER_HOUR, opened, high, low, close, 5, 1, contract)


ROLLED = [
    hour(0, 100, 102, "ESZ3"),
    hour(1, 102, 104, "ESZ3"),
    hour(2, 114, 115, "ESH4"),
    hour(3, 115, 120, "ESH4"),
    hour(4, 126, 127, "ESM4"),
]


def prices(bars: list[Bar]) -> list[tuple[float, float, float, float]]:
    return [(bar.open, bar.high, bar.low, bar.close) for bar in bars]


def test_the_difference_of_every_later_roll_is_added() -> None:
    assert prices(adjusted(ROLLED, [], "difference")) == [
        (116, 119, 115, 118),
        (118, 121, 117, 120),
        (120, 122, 119, 121),
        (121, 127, 120, 126),
        (126, 128, 125, 127),
    ]


def test_a_ratio_multiplies() -> None:
    found = adjusted(ROLLED, [], "ratio")
    assert found[3].close == pytest.approx(126)
    assert found[1].close == pytest.approx(104 * 114 / 104 * 126 / 120)
    assert found[4] == ROLLED[4]


def test_none_leaves_them_and_volumes_and_contracts_stay() -> None:
    assert adjusted(ROLLED, [], "none") == ROLLED
    for how in ("difference", "ratio"):
        assert [(b.volume, b.contract_symbol, b.start) for b in adjusted(ROLLED, [], how)] == [  # type: ignore[arg-type]
            (b.volume, b.contract_symbol, b.start) for b in ROLLED
        ]


def test_later_bars_count_and_are_not_returned() -> None:
    whole = adjusted(ROLLED, [], "difference")
    assert adjusted(ROLLED[:3], ROLLED[3:], "difference") == whole[:3]


@given(st.integers(0, 4))
def test_what_is_left_out_at_the_beginning_changes_nothing_after_it(first: int) -> None:
    for how in ("difference", "ratio"):
        assert adjusted(ROLLED[first:], [], how) == adjusted(ROLLED, [], how)[first:]  # type: ignore[arg-type]


def test_prices_stay_on_the_grid_of_raw_prices() -> None:
    bars = [
        evolve(hour(0, 1.10005, 1.1001, "6EH4"), high=1.2, low=1.0),
        evolve(hour(1, 1.1052, 1.1, "6EM4"), high=1.2, low=1.0),
    ]
    assert adjusted(bars, [], "difference")[0].open == 1.10515


def test_a_ratio_of_a_price_below_zero_is_refused() -> None:
    with pytest.raises(DataError, match=r"adjust: ratio: ES rolls from ESZ3 at -37.6.*use adjust: difference"):
        adjusted([hour(0, 10, -37.63, "ESZ3"), hour(1, 20, 21, "ESH4")], [], "ratio")
