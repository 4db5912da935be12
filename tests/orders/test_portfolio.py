"""The paper account is the fold of its ledger, and nothing else."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve

from pine.core.config import TradedInstrument
from pine.core.errors import DataError
from pine.core.period import SessionClose, SessionRule
from pine.orders.entries import Control, Entry, Fill, Intent, Origin, Void, decode, encode
from pine.orders.portfolio import Portfolio
from pine.strategies.account import Position


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


T = ns("2024-01-09T15:00")
ES = TradedInstrument("ES", "ES", 2, 1.25, 50.0, None)
NQ = TradedInstrument("NQ", "NQ", 1, 1.25, 20.0, None)

BUY = Intent("a", T, "ES", "buy", "ESH4", "ESH2024", 2, 4750.25, "IBS entry")
SELL = evolve(BUY, action="sell", reason="short entry")
EXIT = evolve(BUY, id="b", action="exit", reason="stop loss", entry="a")
BOUGHT = Fill("a", "ES", "ESH4", 1, 2, 4750.0, T, 2.5)
SOLD = evolve(BOUGHT, side=-1)
# (4740 - 4750) points x 2 x 50 dollars, less four times 1.25
LEFT = Fill("b", "ES", "ESH4", -1, 2, 4740.0, T + 1, 2.5, -1005.0)


def fold(*entries: Entry, traded: Any = None) -> Portfolio:
    portfolio = Portfolio(100_000.0, SessionRule(SessionClose(23)))
    for entry in entries:
        portfolio.apply(entry)
    return portfolio


def test_intent_is_on_its_way_until_it_is_filled() -> None:
    portfolio = fold(BUY)
    assert portfolio.pending("ES") == [BUY]
    assert portfolio.busy() == {"ES"}
    assert (portfolio.positions, portfolio.cash) == ({}, 100_000.0)


@pytest.mark.parametrize(("intent", "fill", "quantity"), [(BUY, BOUGHT, 2), (SELL, SOLD, -2)])
def test_filled_entry_is_a_position_and_costs_its_commission(intent: Intent, fill: Fill, quantity: int) -> None:
    portfolio = fold(intent, fill)
    assert portfolio.positions == {"ES": Position("ES", "ESH4", quantity, 4750.0, T, "a", 2.5)}
    assert portfolio.pending("ES") == []
    assert portfolio.busy() == {"ES"}
    assert portfolio.cash == 99_997.5
    assert (portfolio.realised, portfolio.trades, portfolio.day_pnl(T)) == (0.0, 0, 0.0)


def test_filled_exit_realises_profit_and_frees_the_symbol() -> None:
    portfolio = fold(BUY, BOUGHT, EXIT, LEFT)
    assert portfolio.positions == {}
    assert portfolio.busy() == set()
    assert portfolio.cash == 98_995.0
    assert portfolio.realised == -1005.0
    assert portfolio.day_pnl(T) == -1005.0
    assert portfolio.trades == 1
    assert portfolio.reasons == Counter({"IBS entry": 1, "stop loss": 1})


def test_void_of_a_filled_entry_takes_position_and_commission_back() -> None:
    portfolio = fold(BUY, BOUGHT, Void("a", "refused: 400", "1-0"))
    assert portfolio.positions == {}
    assert portfolio.busy() == set()
    assert portfolio.cash == 100_000.0
    assert (portfolio.realised, portfolio.day_pnl(T)) == (0.0, 0.0)


def test_void_of_an_entry_on_its_way_takes_it_back() -> None:
    portfolio = fold(BUY, Void("a", "expired", "1-0"))
    assert portfolio.busy() == set()
    assert portfolio.cash == 100_000.0


def test_void_takes_back_the_exit_that_is_on_its_way_too() -> None:
    portfolio = fold(BUY, BOUGHT, EXIT, Void("a", "refused: 400", "1-0"))
    assert portfolio.busy() == set()
    assert portfolio.cash == 100_000.0


def test_void_touches_no_other_symbol() -> None:
    other = evolve(BUY, id="n", symbol="NQ", contract="NQH4", ticker="NQH2024", quantity=1)
    bought = Fill("n", "NQ", "NQH4", 1, 1, 17_000.0, T, 1.25)
    portfolio = fold(BUY, BOUGHT, other, bought, Void("a", "refused: 400", "1-0"))
    assert set(portfolio.positions) == {"NQ"}
    assert portfolio.cash == 99_998.75


def test_void_of_what_was_never_heard_of_changes_nothing() -> None:
    before, after = fold(BUY, BOUGHT, EXIT, LEFT), fold(BUY, BOUGHT, EXIT, LEFT, Void("nobody", "late", "1-0"))
    assert after == before


def test_void_after_the_exit_takes_the_whole_trade_back() -> None:
    after = fold(BUY, BOUGHT, EXIT, LEFT, Void("a", "late", "1-0"))
    assert (after.cash, after.realised, after.trades, after.positions) == (100_000.0, 0.0, 0, {})
    assert after.day_pnl(LEFT.time) == 0.0


def test_halt_and_resume() -> None:
    halt = Control("halt", "CPI at 13:30", "anna", "1-0")
    assert fold(halt).halted == "CPI at 13:30"
    assert fold(halt, Control("resume", "done", "anna", "2-0")).halted is None


def test_origin_changes_nothing() -> None:
    assert fold(Origin(1, 2)) == fold()


# ---- the ledger alone decides


def test_commission_that_was_booked_counts_when_the_configuration_has_another_by_now() -> None:
    ledger: tuple[Entry, ...] = (BUY, BOUGHT, EXIT, LEFT)
    dearer = {"ES": evolve(ES, commission=4.0), "NQ": NQ}
    assert fold(*ledger, traded=dearer).cash == 98_995.0
    assert fold(BUY, BOUGHT, Void("a", "refused", "1-0"), traded=dearer).cash == 100_000.0


def test_trade_of_an_instrument_that_is_no_longer_configured_stays_in_the_account() -> None:
    portfolio = fold(BUY, BOUGHT, EXIT, LEFT, traded={"NQ": NQ})
    assert portfolio.cash == 98_995.0
    assert portfolio.realised == -1005.0


# ---- entries as bytes


@pytest.mark.parametrize(
    "entry",
    [
        Origin(1_704_800_000_000, 0),
        BUY,
        evolve(BUY, facts={"ibs": 0.1 + 0.2, "risk": {"busy": 1}}),
        EXIT,
        BOUGHT,
        LEFT,
        Void("a", "refused: 400", "1704812400000-0"),
        Control("halt", "CPI", "anna", "1-0"),
    ],
    ids=lambda entry: type(entry).__name__,
)
def test_entry_comes_back_from_its_bytes(entry: Entry) -> None:
    assert decode(encode(entry)) == entry
    assert encode(decode(encode(entry))) == encode(entry)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"kind":"dream"}',
        b'{"kind":["intent"]}',
        b'{"kind":"void"}',
        b'{"kind":"void","intent":"a","reason":"r","request":"q","more":1}',
        b'{"kind":"origin","origin":"soon","live_after":0}',
        b'{"kind":"control","order":"sing","reason":"r","who":"w","request":"q"}',
    ],
)
def test_bytes_that_are_no_entry_are_refused(payload: bytes) -> None:
    with pytest.raises(DataError, match="ledger entry"):
        decode(payload)
