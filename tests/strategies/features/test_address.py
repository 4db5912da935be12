"""How features are written: one canonical text each, and what is wrong with any other."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.core.errors import FeatureError
from pine.core.timeframe import Timeframe
from pine.strategies.features.address import Address, parse_address
from pine.strategies.features.parameters import Parameter, Real, Source, Whole, Word, parameters
from pine.strategies.features.registry import FEATURES

BOUNDED = [(name, each) for name, found in FEATURES.items() for each in parameters(found)]
NUMBERS = [(name, each) for name, each in BOUNDED if isinstance(each.kind, Whole | Real)]


@st.composite
def texts(draw: st.DrawFn, depth: int = 2) -> str:
    """Return any address that can be read, written in one of many ways."""
    name = draw(st.sampled_from(sorted(FEATURES)))
    parts, named = [], False
    for parameter in parameters(FEATURES[name]):
        if parameter.default is not None and draw(st.booleans()):
            named = True
            continue
        value = draw(argument(parameter, depth))
        named = named or draw(st.booleans())
        parts.append(f"{parameter.name} = {value}" if named else value)
    place = draw(
        st.sampled_from(["", "@daily", "@pair", "@NQ", "@6E.daily", "@pair.1min", "@hourly", " @ NQ . hourly"])
    )
    return f"{name}({', '.join(parts)}){place}"


def argument(parameter: Parameter, depth: int) -> st.SearchStrategy[str]:
    kind = parameter.kind
    if isinstance(kind, Source):
        return texts(depth - 1) if depth > 0 else st.sampled_from(["close", "high@daily", "ibs@pair"])
    if isinstance(kind, Word):
        return st.sampled_from(kind.options)
    if isinstance(kind, Whole):
        return st.integers(kind.low, kind.high).map(str)
    return st.floats(kind.low, kind.high).map(repr)


@given(text=texts())
@settings(max_examples=60, deadline=None)
def test_an_address_is_its_canonical_text_and_that_text_is_the_address(text: str) -> None:
    address = parse_address(text)
    assert parse_address(str(address)) == address
    assert hash(parse_address(str(address))) == hash(address)
    assert str(parse_address(str(address))) == str(address)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("rsi(2)", "rsi(length=2)"),
        ("rsi( length = 2 )@hourly", "rsi(length=2)"),
        ("rsi", "rsi(length=5)"),
        ("rsi(2)@daily", "rsi(length=2)@daily"),
        ("z_score(20, 252)@NQ.daily", "z_score(length=20, window=252)@NQ.daily"),
        ("ibs@pair.hourly", "ibs@pair"),
        ("percentile(rsi(5), 252)", "percentile(source=rsi(length=5), window=252)"),
        ("percentile(window=252, source=rsi(5))", "percentile(source=rsi(length=5), window=252)"),
        ("lag(ibs@daily, 1)@daily", "lag(source=ibs, bars=1)@daily"),
        ("lag(ibs@hourly, 1)@daily", "lag(source=ibs@hourly, bars=1)@daily"),
        ("lag(ibs@NQ, 1)@NQ", "lag(source=ibs, bars=1)@NQ"),
        ("lag(ibs@pair, 1)@pair", "lag(source=ibs@pair, bars=1)@pair"),
        ("above(close@hourly, close@daily)", "above(left=close, right=close@daily)"),
        ("bollinger_width(20, 2)", "bollinger_width(length=20, width=2.0)"),
        ("weekday(exchange)", "weekday(clock=exchange)"),
        ("close@6E.1min", "close@6E.1min"),
    ],
)
def test_what_is_left_out_and_what_is_written(text: str, canonical: str) -> None:
    assert str(parse_address(text)) == canonical


def test_the_parts_of_an_address() -> None:
    assert parse_address("rsi(2)@NQ.daily") == Address("rsi", (("length", 2),), "NQ", Timeframe.DAY)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["found the end", "the name of a feature"]),
        ("rsy(2)", ["'rsy'", "near names are rsi"]),
        ("rsi(2", ["character 6", "found the end", ", or )"]),
        ("rsi(2))", ["found ')'", "the end"]),
        ("rsi(2, 3)", ["2 arguments", "up to 1", "length = 5: a whole number from 2 to 10000"]),
        ("rsi(len=2)", ["'len'", "length = 5"]),
        ("rsi(length=2, length=3)", ["'length' twice"]),
        ("momentum(length=2, close)", ["without a name after one with"]),
        ("rsi(1)", ["length", "found 1", "a whole number from 2 to 10000"]),
        ("rsi(2.0)", ["found 2.0", "a whole number"]),
        ("rsi(close)", ["found 'close'", "a whole number"]),
        ("psar(1e999)", ["af", "found inf", "from 0.001 to 1"]),
        ("percentile", ["lacks source", "window = 252"]),
        ("percentile(3)", ["found 3", "expected a feature"]),
        ("weekday(gmt)", ["'gmt'", "utc or exchange"]),
        ("rsi@dayly", ["'dayly'", "near names are daily"]),
        ("rsi@NQ.day", ["'day'", "near names are daily"]),
        ("rsi@", ["found the end", "a symbol, pair, or a timeframe"]),
        ("6e_dayly_return", ["'6e_dayly_return'", "near names are 6e_daily_return"]),
        ("rsy", ["'rsy'", "near names are rsi"]),
        ("lag(" * 20 + "close" + ")" * 20, ["at most 16 deep"]),
    ],
)
def test_a_mistake_is_told_with_what_was_found_and_what_is_allowed(text: str, words: list[str]) -> None:
    with pytest.raises(FeatureError) as raised:
        parse_address(text)
    assert [word for word in words if word not in str(raised.value)] == []


@pytest.mark.parametrize(("name", "parameter"), NUMBERS, ids=lambda each: str(getattr(each, "name", each)))
def test_bounds_are_allowed_and_what_is_beyond_them_is_not(name: str, parameter: Parameter) -> None:
    kind: Any = parameter.kind
    needed = [f"{each.name}=close" for each in parameters(FEATURES[name]) if each.default is None]
    for value in (kind.low, kind.high):
        parse_address(f"{name}({', '.join([*needed, f'{parameter.name}={value}'])})")
    for value in (kind.low - 1, kind.high + 1):
        with pytest.raises(FeatureError, match=f"{parameter.name}: found {value}"):
            parse_address(f"{name}({', '.join([*needed, f'{parameter.name}={value}'])})")
