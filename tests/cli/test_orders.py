"""How intents look on a terminal, and what ``pine orders`` says of what it cannot find."""

from typing import Any

import pytest

from pine.bus.embedded import EmbeddedServer
from pine.cli.orders import table

from .conftest import Shell


def order(**other: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "intent": "ibs_a-20240304T0300Z-ES-0",
        "time": "2024-03-04T03:00:00+00:00",
        "action": "buy",
        "quantity": 1,
        "contract": "ESH4",
        "price": 5125.0,
        "reason": "IBS entry",
        "state": "posted",
        "text": "",
        "fill": 5124.0,
        "pnl": None,
        "void": None,
    }
    return base | other


@pytest.mark.parametrize("state", ["posted", "blocked", "not posted", "unknown"])
@pytest.mark.parametrize("width", [None, 80, 120])
def test_state_and_intent_stand_apart(state: str, width: int | None) -> None:
    text = table([order(), order(state=state, void="rejected")], width)
    assert f"{state} void  IBS entry  ibs_a-" in text


@pytest.mark.parametrize(("width", "lines"), [(80, 5), (100, 3), (None, 3)])
def test_no_line_is_wider_than_the_terminal(width: int | None, lines: int) -> None:
    text = table([order(pnl=-1185.0, reason="take profit")], width)
    assert len(text.splitlines()) == lines
    assert max(map(len, text.splitlines())) <= (width or 120)
    assert "-1,185.00" in text


def test_the_newest_tries_reason_follows_the_state_whole_where_there_is_no_terminal() -> None:
    long = "422 the ticker is not known to this strategy of yours"
    assert "retry: no connection  IBS entry" in table([order(state="retry", text="no connection")], 120)
    assert f"rejected: {long}  " in table([order(state="rejected", text=long)], None)
    assert "rejected: 422 the ticker is not kno…" in table([order(state="rejected", text=long)], 120)
    assert "accepted" not in table([order(text="accepted")], None)


def test_prices_of_a_contract_have_equally_many_decimals() -> None:
    text = table([order(), order(price=5124.25), order(contract="6AH4", price=0.654, fill=0.65405)], None)
    assert "5125.00  5124.00" in text
    assert "0.65400  0.65405" in text


def test_gains_have_a_sign_and_the_hint_names_the_configuration() -> None:
    text = table([order(pnl=1185.0, state="unknown")], None, " -c other.yaml")
    assert "+1,185.00" in text
    assert "resolve ID --posted -c other.yaml" in text


def test_no_intents_are_told(pine: Shell, server: EmbeddedServer) -> None:
    ran = pine.quick("orders")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "0 intents")


def test_resolving_for_a_strategy_that_is_none_names_those_there_are(pine: Shell, server: EmbeddedServer) -> None:
    ran = pine.quick("orders", "resolve", "nonsense", "--posted")
    assert (ran.code, ran.out) == (2, "")
    assert "strategy 'nonsense' is not configured" in ran.err
    assert "pine orders nonsense" not in ran.err
