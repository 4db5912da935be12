"""The message that a hole is filled."""

import orjson
import pytest

from pine.core.bar import Bar
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.history.refill import Refill, digest


def minute(n: int, close: float = 2.0) -> Bar:
    return Bar("ES", Timeframe.MINUTE, n * NS_PER_MINUTE, 1.0, 3.0, 0.5, close, 7, 11, "ESM4")


def test_an_event_says_which_minutes_came_and_reads_back() -> None:
    bars = [minute(5), minute(7)]
    refill = Refill.of("ES", 5 * NS_PER_MINUTE, 8 * NS_PER_MINUTE, bars)
    event = orjson.loads(orjson.dumps(refill.to_event()))
    assert event == {
        "kind": "refill",
        "symbol": "ES",
        "first_minute": 5 * NS_PER_MINUTE,
        "last_minute": 8 * NS_PER_MINUTE,
        "minutes": 2,
        "digest": digest(bars),
    }
    assert Refill.from_event(event) == refill


def test_other_bars_do_not_match() -> None:
    refill = Refill.of("ES", 0, 9 * NS_PER_MINUTE, [minute(5), minute(7)])
    assert refill.matches(iter([minute(5), minute(7)]))
    assert not refill.matches([minute(5)])
    assert not refill.matches([minute(5), minute(7, close=2.5)])
    assert not refill.matches([minute(7), minute(5)])


@pytest.mark.parametrize("change", [{"kind": "gap"}, {"minutes": "2"}, {"digest": None, "first_minute": None}])
def test_what_is_no_refill_is_refused(change: dict[str, object]) -> None:
    event = Refill.of("ES", 0, 0, []).to_event() | change
    with pytest.raises(DataError, match="refill: found"):
        Refill.from_event(event)


def test_a_field_that_is_missing_is_named() -> None:
    event = Refill.of("ES", 0, 0, []).to_event()
    del event["digest"]
    with pytest.raises(DataError, match="expected 'digest'"):
        Refill.from_event(event)
