"""Answers that cannot be right are told, and never become bars."""

from typing import Any

import numpy as np
import pytest

from pine.core.errors import HistoryError
from pine.core.timeframe import NS_PER_MINUTE
from pine.core.times import parse_time
from pine.history.bought import Quote, Request, check
from pine.history.schemas import SCHEMAS
from pine.history.vendor import Vendor

from .conftest import configured

BEGIN = parse_time("2024-03-05T10:00")
REQUEST = Request("ohlcv-1m", "parent", "ES.FUT", BEGIN, BEGIN + 60 * NS_PER_MINUTE)


def records(*places: tuple[int, int]) -> Any:
    """Bars by instrument and minute."""
    found = np.zeros(len(places), SCHEMAS["ohlcv-1m"].layout)
    found["instrument_id"] = [number for number, _ in places]
    found["ts_event"] = [BEGIN + minute * NS_PER_MINUTE for _, minute in places]
    return found


def test_two_bars_of_one_instrument_and_minute_are_refused() -> None:
    check(Quote(REQUEST, 4, 0.1), records((1, 0), (2, 0), (1, 1), (2, 3)))
    with pytest.raises(HistoryError, match=r"two bars of 2024-03-05T10:03:00"):
        check(Quote(REQUEST, 4, 0.1), records((1, 0), (1, 3), (2, 3), (1, 3)))


@pytest.mark.parametrize("answer", [None, "free", float("nan"), -5, []])
def test_a_size_or_price_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    vendor = Vendor(configured("https://127.0.0.1:1").databento)
    monkeypatch.setattr(vendor, "_ask", lambda what, _: answer if "price" in what else 7)
    with pytest.raises(HistoryError, match=r"the price of ohlcv-1m of ES.FUT .* expected a number"):
        vendor.quote([REQUEST])
