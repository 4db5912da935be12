"""What is asked of a worker arrives as it was meant; what cannot be read asks for nothing."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.orders.entries import ORDERS, Control, Correction, Void, decode, encode
from pine.orders.requests import ask_order, ask_position, ask_void, read_request

TEXT = st.text(max_size=20)
TAKEN = {**dict.fromkeys(("who", "reason"), "x"), "order": "position", "symbol": "ES", "contract": "ESH4"} | {
    "quantity": "2",
    "price": "5100",
}


def arrived(fields: dict[str, bytes]):
    return read_request("5-0", {name.encode(): value for name, value in fields.items()})


@given(st.sampled_from(ORDERS), TEXT, TEXT)
def test_an_order_arrives_with_who_and_why(order, who: str, reason: str) -> None:
    assert arrived(ask_order(order, who, reason)) == Control(order, reason, who, "5-0")


def test_a_secret_in_a_reason_never_reaches_a_stream() -> None:
    hook = "https://webhooks.traderspost.io/trading/webhook/7f3c/SECRETTOKEN"
    key = "db-abcdefghijklmnopqrstuvwxyz123"
    for fields in (
        ask_order("halt", f"anna {key}", f"see {hook}, stop"),
        ask_void("i1", f"tried {hook}"),
        ask_position("ES", "ESH4", 1, 5.0, "anna", f"{hook} {key}"),
    ):
        assert b"SECRETTOKEN" not in fields["request"]
        assert b"abcdefghij" not in fields["request"]
    asked = arrived(ask_order("halt", "anna", f"see {hook}, stop"))
    assert isinstance(asked, Control)
    assert asked.reason == "see https://webhooks.traderspost.io/******** stop"


@given(TEXT, TEXT)
def test_a_void_arrives_with_its_reason(intent: str, reason: str) -> None:
    assert arrived(ask_void(intent, reason)) == Void(intent, reason, "5-0")


@given(st.integers(-99, 99), st.floats(-1e6, 1e6), TEXT)
def test_a_position_arrives_bit_for_bit_and_is_kept_so(quantity: int, price: float, reason: str) -> None:
    asked = arrived(ask_position("ES", "ESH4", quantity, price, "anna", reason))
    assert asked == Correction("ES", "ESH4", quantity, price, reason, "anna", "5-0")
    forced = arrived(ask_position("ES", "ESH4", quantity, price, "anna", reason, force=True))
    assert isinstance(forced, Correction)
    assert forced.force
    assert decode(encode(asked)) == asked


@pytest.mark.parametrize(
    "raw",
    [
        {},
        [],
        {"order": "explode", "who": "a", "reason": "b"},
        {"order": "halt", "who": "a"},
        {"order": "halt", "who": "a", "reason": 3},
        {"order": "void", "reason": "b"},
        {**TAKEN, "price": ""},
        {**TAKEN, "price": "nan"},
        {**TAKEN, "price": "inf", "quantity": "0"},
        {**TAKEN, "price": "1e308", "quantity": "0"},
        {**TAKEN, "quantity": "x"},
        {**TAKEN, "quantity": "9" * 20},
        {**TAKEN, "quantity": "9" * 5000},
    ],
)
def test_what_cannot_be_read_asks_for_nothing_and_is_told(raw, caplog: pytest.LogCaptureFixture) -> None:
    assert arrived({"request": orjson.dumps(raw)}) is None
    assert "control request not understood" in caplog.text


def test_no_json_and_no_request_ask_for_nothing() -> None:
    assert arrived({"request": b"{"}) is None
    assert arrived({"other": b"1"}) is None
