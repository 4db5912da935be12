"""Contract specifications against CME's, by hand."""

import pytest

from pine.core.calendar import HOURS
from pine.core.contract import MONTH_CODES
from pine.core.errors import ContractError
from pine.core.instruments import SPECS, spec

POINT_VALUES = {
    "ES": 50,
    "NQ": 20,
    "RTY": 50,
    "YM": 5,
    "GC": 100,
    "SI": 5000,
    "HG": 25000,
    "PL": 50,
    "CL": 1000,
    "NG": 10000,
    "6A": 100000,
    "6B": 62500,
    "6C": 100000,
    "6E": 125000,
    "6J": 12500000,
    "6M": 500000,
    "6N": 100000,
    "6S": 125000,
    "ZB": 1000,
    "ZC": 50,
    "ZS": 50,
    "ZW": 50,
    # micros
    "MES": 5,
    "MNQ": 2,
    "M2K": 5,
    "MYM": 0.5,
    "MGC": 10,
    "SIL": 1000,
    "MHG": 2500,
    "MCL": 100,
    "M6A": 10000,
    "M6B": 6250,
    "M6E": 12500,
}

MICROS = {"MES": "ES", "MNQ": "NQ", "M2K": "RTY", "MYM": "YM", "MGC": "GC", "MHG": "HG", "MCL": "CL"}


@pytest.mark.parametrize(("root", "dollars"), POINT_VALUES.items())
def test_point_value(root: str, dollars: float) -> None:
    assert spec(root).point_value == dollars


def test_every_root_is_checked_by_hand() -> None:
    assert set(POINT_VALUES) == set(SPECS)


@pytest.mark.parametrize(
    ("root", "tick"),
    [
        ("ES", 250_000_000),
        ("RTY", 100_000_000),
        ("YM", 1_000_000_000),
        ("HG", 500_000),
        ("CL", 10_000_000),
        ("6E", 50_000),
        ("6J", 500),
        ("ZB", 31_250_000),
        ("ZC", 250_000_000),
    ],
)
def test_tick_as_a_raw_price(root: str, tick: int) -> None:
    assert spec(root).tick_ns == tick


@pytest.mark.parametrize(("micro", "full"), MICROS.items())
def test_most_micros_are_a_tenth_with_the_same_tick(micro: str, full: str) -> None:
    assert spec(micro).point_value * 10 == spec(full).point_value
    assert spec(micro).tick_size == spec(full).tick_size
    assert spec(micro).months == spec(full).months


@pytest.mark.parametrize("root", SPECS)
def test_every_root_has_known_hours_and_months(root: str) -> None:
    assert spec(root).root == root
    assert spec(root).group in HOURS
    assert spec(root).months
    assert set(spec(root).months) <= set(MONTH_CODES)
    assert list(spec(root).months) == sorted(spec(root).months)


@pytest.mark.parametrize(
    ("root", "group"),
    [("ES", "equity"), ("GC", "metals"), ("NG", "energy"), ("6J", "fx"), ("ZB", "rates"), ("ZW", "grains")],
)
def test_group_of_trading_hours(root: str, group: str) -> None:
    assert spec(root).group == group


def test_unknown_root_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ContractError, match="'EZ': not known; known are 6A, 6B"):
        spec("EZ")
