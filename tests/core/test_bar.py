"""Bars: exact through JSON, and nothing that contradicts itself gets in."""

import math
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.core.bar import Bar, fold, price
from pine.core.errors import DataError
from pine.core.timeframe import Timeframe

MINUTE = 60 * 10**9
T = 1_704_209_400 * 10**9  # 2024-01-02T15:30:00Z

GOOD: dict[str, Any] = {
    "symbol": "ES",
    "timestamp": "2024-01-02T15:30:00+00:00",
    "open": 4750.25,
    "high": 4751.0,
    "low": 4749.5,
    "close": 4750.0,
    "volume": 17,
    "instrument_id": 17077,
    "contract_symbol": "ESH4",
    "timeframe": "1min",
    "version": 1,
}

raw_prices = st.integers(-100_000 * 10**9, 100_000 * 10**9)


@st.composite
def bars(draw: st.DrawFn, start: st.SearchStrategy[int] | None = None) -> Bar:
    low, a, b, high = sorted(draw(st.lists(raw_prices, min_size=4, max_size=4)))
    opened, closed = draw(st.permutations([a, b]))
    return Bar(
        symbol=draw(st.sampled_from(["ES", "6E", "M2K"])),
        timeframe=draw(st.sampled_from(list(Timeframe))),
        start=draw(start or st.integers(0, 10**8)) * MINUTE,
        open=price(opened),
        high=price(high),
        low=price(low),
        close=price(closed),
        volume=draw(st.integers(0, 2**40)),
        instrument_id=draw(st.integers(0, 2**32 - 1)),
        contract_symbol=draw(st.sampled_from(["ESZ4", "6EH5", "M2KM0"])),
    )


@given(bar=bars())
def test_every_field_comes_back_bit_for_bit_through_json(bar: Bar) -> None:
    back = Bar.from_json(bar.to_json())
    assert back == bar
    assert [x.hex() for x in (back.open, back.high, back.low, back.close)] == [
        x.hex() for x in (bar.open, bar.high, bar.low, bar.close)
    ]
    assert back.to_json() == bar.to_json()


@given(raw=st.integers(-(2**63), 2**63 - 1))
def test_price_is_the_float_nearest_to_the_raw_price(raw: int) -> None:
    exact = Fraction(raw, 10**9)
    found = price(raw)
    distance = abs(Fraction(found) - exact)
    assert distance <= abs(Fraction(math.nextafter(found, math.inf)) - exact)
    assert distance <= abs(Fraction(math.nextafter(found, -math.inf)) - exact)


@pytest.mark.parametrize(
    ("raw", "expected"), [(4_750_250_000_000, 4750.25), (6_345_500, 0.0063455), (-37_630_000_000, -37.63), (0, 0.0)]
)
def test_price_by_hand(raw: int, expected: float) -> None:
    assert price(raw) == expected


def test_published_form_by_hand() -> None:
    bar = Bar("ES", Timeframe.MINUTE, T, 4750.25, 4751.0, 4749.5, 4750.0, 17, 17077, "ESH4")
    assert orjson.loads(bar.to_json()) == GOOD
    assert Bar.from_json(orjson.dumps(GOOD)) == bar
    assert bar.timestamp == datetime(2024, 1, 2, 15, 30, tzinfo=UTC)


def test_time_with_another_offset_is_the_same_instant() -> None:
    assert Bar.from_dict(GOOD | {"timestamp": "2024-01-02T09:30:00-06:00"}).start == T


def test_fields_of_a_later_minor_version_are_passed_over() -> None:
    assert Bar.from_dict(GOOD | {"trades": 5}) == Bar.from_dict(GOOD)


def test_negative_prices_are_prices() -> None:
    bar = Bar.from_dict(GOOD | {"open": -37.0, "high": -10.0, "low": -40.32, "close": -37.63})
    assert bar.close == -37.63


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"open": math.nan}, id="NaN open"),
        pytest.param({"high": math.nan}, id="NaN high"),
        pytest.param({"low": math.nan}, id="NaN low"),
        pytest.param({"close": math.nan}, id="NaN close"),
        pytest.param({"high": math.inf}, id="infinite high"),
        pytest.param({"low": -math.inf}, id="infinite low"),
        pytest.param({"high": 4750.0}, id="high below open"),
        pytest.param({"low": 4750.25}, id="low above close"),
        pytest.param({"high": 4749.0, "low": 4752.0}, id="high below low"),
        pytest.param({"close": 4751.25}, id="close above high"),
        pytest.param({"volume": -1}, id="negative volume"),
        pytest.param({"version": 2}, id="later schema"),
        pytest.param({"version": 0}, id="earlier schema"),
        pytest.param({"version": "1"}, id="schema as text"),
        pytest.param({"version": None}, id="no schema"),
        pytest.param({"timeframe": "5min"}, id="unknown timeframe"),
        pytest.param({"timeframe": None}, id="no timeframe"),
        pytest.param({"timestamp": "2024-01-02T15:30:00"}, id="naive time"),
        pytest.param({"timestamp": "yesterday"}, id="no time"),
        pytest.param({"timestamp": 1704209400}, id="time as a number"),
        pytest.param({"open": None}, id="null price"),
        pytest.param({"open": "high"}, id="price as a word"),
        pytest.param({"open": [1.0]}, id="price as a list"),
        pytest.param({"volume": None}, id="null volume"),
        pytest.param({"instrument_id": "ES"}, id="number as a word"),
    ],
)
def test_bar_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="bar"):
        Bar.from_dict(GOOD | change)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"volume": 1.5}, id="fraction of a contract"),
        pytest.param({"volume": math.inf}, id="infinite volume"),
        pytest.param({"instrument_id": 1.5}, id="fraction of an instrument"),
        pytest.param({"open": 10**400}, id="price beyond floats"),
        pytest.param({"symbol": 5}, id="symbol as a number"),
        pytest.param({"symbol": None}, id="no symbol"),
        pytest.param({"contract_symbol": None}, id="no contract"),
        pytest.param({"contract_symbol": ["ESH4"]}, id="contract as a list"),
    ],
)
def test_value_of_another_kind_is_refused_and_not_bent_into_shape(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="bar"):
        Bar.from_dict(GOOD | change)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_missing_field_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=name):
        Bar.from_dict({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"null", b"5", b'"bar"', b"[]", b"{}", b"\xff\xfe", b'{"open": NaN}', b'{"open": 1e999}']
)
def test_garbage_is_refused(payload: bytes) -> None:
    with pytest.raises(DataError, match="bar"):
        Bar.from_json(payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(changes=st.dictionaries(st.sampled_from(sorted(GOOD)), json_values, min_size=1, max_size=3))
def test_json_of_any_content_is_a_sound_bar_or_refused(changes: dict[str, Any]) -> None:
    try:
        bar = Bar.from_json(orjson.dumps(GOOD | changes))
    except DataError:
        return
    assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    assert bar.volume >= 0


# ---- longer bars


@given(inside=st.lists(bars(), min_size=1, max_size=8))
def test_fold_keeps_open_high_low_close_and_volume(inside: list[Bar]) -> None:
    folded = fold(inside, Timeframe.HOUR, T)
    assert (folded.timeframe, folded.start) == (Timeframe.HOUR, T)
    assert folded.open == inside[0].open
    assert folded.close == inside[-1].close
    assert sorted(bar.high for bar in inside)[-1] == folded.high
    assert sorted(bar.low for bar in inside)[0] == folded.low
    total = 0
    for bar in inside:
        total += bar.volume
    assert folded.volume == total
    assert folded.symbol == inside[0].symbol
    assert (folded.instrument_id, folded.contract_symbol) == (inside[-1].instrument_id, inside[-1].contract_symbol)
    folded.check()


@given(inside=st.lists(bars(), min_size=2, max_size=8), data=st.data())
def test_folding_in_two_stages_makes_no_difference(inside: list[Bar], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(inside) - 1))
    halves = [fold(inside[:cut], Timeframe.HOUR, 0), fold(inside[cut:], Timeframe.HOUR, 1)]
    staged, direct = fold(halves, Timeframe.DAY, T), fold(inside, Timeframe.DAY, T)
    assert staged.to_dict() == direct.to_dict()


def test_fold_by_hand() -> None:
    def minute(n: int, o: float, h: float, low: float, c: float, volume: int, contract: str) -> Bar:
        return Bar("ES", Timeframe.MINUTE, T + n * MINUTE, o, h, low, c, volume, 100 + n, contract)

    inside = [
        minute(0, 10, 12, 9, 11, 5, "ESH4"),
        minute(1, 11, 11.5, 8, 9, 7, "ESH4"),
        minute(5, 9, 10, 9, 10, 1, "ESM4"),
    ]
    assert fold(inside, Timeframe.HOUR, T) == Bar("ES", Timeframe.HOUR, T, 10, 12, 8, 10, 13, 105, "ESM4")


def test_a_message_names_the_bar_and_every_price_of_it_in_full() -> None:
    bar = Bar("6J", Timeframe.MINUTE, 1_709_510_400_000_000_000, 0.0067105, 0.1 + 0.2, 0.0067, 0.00671, 12, 7, "6JH4")
    assert str(bar) == (
        "Bar(6J 1min 2024-03-04T00:00:00+00:00, open=0.0067105, high=0.30000000000000004, low=0.0067, close=0.00671,"
        " volume=12, 6JH4, 7)"
    )
