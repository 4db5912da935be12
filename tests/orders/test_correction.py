"""A position taken over as the broker has it: on paper, in what was sent, and in the blotter."""

import pytest
from attrs import evolve
from desks import CASH, ES, MES, START, Market, make_desk
from hypothesis import given
from hypothesis import strategies as st

from pine.orders.entries import Correction, Fill, Intent, Void
from pine.orders.portfolio import Portfolio
from pine.orders.sent import sent_positions
from pine.orders.trades import Blotter

WHO = {"reason": "by hand", "who": "anna", "request": "7-0"}
CLOSED_AT = 4760.0


def holding(*, pending_exit: bool = False) -> Market:
    """Return a desk that bought two ESH4 at 4750."""
    market = Market(make_desk(ES))
    market.minute(("ESH4", 4749.0, 4749.5))
    market.written += [market.desk.enter("ES", "in", {})]
    market.written += market.minute(("ESH4", 4750.0, 4751.0))
    if pending_exit:
        market.written += [market.desk.exit("ES", "out", {})]
    return market


def correct(market: Market, quantity: int, price: float | None, contract: str = "ESH4") -> Correction:
    (booked,) = market.desk.book(Correction("ES", contract if quantity else "", quantity, price, **WHO))
    assert isinstance(booked, Correction)
    market.written.append(booked)
    return booked


def test_a_position_that_the_broker_closed_is_realised_at_its_price() -> None:
    market = holding()
    booked = correct(market, 0, CLOSED_AT)
    # 10 points of two contracts at 50 dollars, less what the entry cost
    assert (booked.pnl, booked.time) == (1000.0 - 2.5, market.now)
    account = market.desk.portfolio
    assert (account.positions, account.cash, account.realised, account.trades) == ({}, CASH + 997.5, 997.5, 1)
    assert account.day_pnl(market.now) == 997.5
    (trade,) = Blotter.of(market.written).trades
    assert (trade.entry_price, trade.exit_price, trade.pnl, trade.exit_reason) == (4750.0, 4760.0, 997.5, "correction")


def test_a_position_that_never_was_is_taken_back_with_its_costs() -> None:
    market = holding()
    correct(market, 0, None)
    account = market.desk.portfolio
    assert (account.positions, account.cash, account.realised, account.trades) == ({}, CASH, 0.0, 0)
    assert Blotter.of(market.written).trades == []


def test_an_order_on_its_way_is_forgotten_and_fills_nothing() -> None:
    market = holding(pending_exit=True)
    correct(market, 3, 4745.0)
    assert market.desk.portfolio.pending("ES") == []
    assert market.minute(("ESH4", 4752.0, 4752.0)) == []
    position = market.desk.portfolio.positions["ES"]
    assert (position.quantity, position.price, position.contract) == (3, 4745.0, "ESH4")


def test_a_corrected_position_is_closed_by_an_exit_that_the_courier_posts() -> None:
    market = holding()
    correct(market, -1, 4755.0)
    exit_ = market.desk.exit("ES", "out", {})
    assert exit_ is not None
    assert (exit_.quantity, exit_.entry) == (1, "correction-7-0")
    (fill,) = market.minute(("ESH4", 4750.0, 4750.0))
    assert isinstance(fill, Fill)
    assert (fill.side, fill.pnl) == (1, 5 * 50 - 1.25)
    (trade,) = Blotter.of([*market.written, exit_, fill]).trades
    assert (trade.side, trade.entry_reason, trade.exit_reason) == (-1, "correction", "out")


def test_it_can_be_closed_before_its_contract_had_a_minute() -> None:
    """Taken over right after a roll: no price was seen since, and the broker holds it all the same."""
    market = holding()
    market.minute(("ESH4", 4751.0, 4752.0), roll=("ES", "ESM4"))
    assert "ES" not in market.desk.portfolio.positions
    correct(market, -1, 4800.0, "ESM4")
    exit_ = market.desk.exit("ES", "out", {})
    assert exit_ is not None
    assert (exit_.contract, exit_.quantity, exit_.price) == ("ESM4", 1, 4800.0)


def test_it_is_closed_in_its_own_contract_at_a_roll() -> None:
    market = holding()
    correct(market, 1, 4755.0)
    exit_, fill = market.minute(("ESH4", 4750.0, 4752.0), roll=("ES", "ESM4"))
    assert (exit_.contract, exit_.reason, fill.price) == ("ESH4", "roll", 4752.0)
    assert market.desk.portfolio.positions == {}


def test_a_micro_is_realised_with_its_own_point_value() -> None:
    market = Market(make_desk(MES))
    market.minute(("ESH4", 4749.0, 4749.5))
    market.written += [market.desk.enter("ES", "in", {})]
    market.minute(("ESH4", 4750.0, 4751.0))
    assert correct(market, 0, 4760.0).pnl == 10 * 2 * 5 - 1.0


def test_a_void_of_an_entry_that_was_corrected_since_changes_nothing() -> None:
    market = holding()
    entry = market.written[0].id
    correct(market, 1, 4751.0)
    before = market.desk.portfolio.cash
    market.desk.book(Void(entry, "rejected", "8-0"))
    assert market.desk.portfolio.cash == before
    assert market.desk.portfolio.positions["ES"].quantity == 1


@given(st.lists(st.tuples(st.integers(-3, 3), st.floats(4000, 5000)), max_size=6), st.booleans())
def test_the_account_is_the_fold_of_the_ledger_whatever_was_corrected(said, pending: bool) -> None:
    market = holding(pending_exit=pending)
    for n, (quantity, price) in enumerate(said):
        market.desk.begin(market.now)
        (booked,) = market.desk.book(evolve(Correction("ES", "ESH4", quantity, price, **WHO), request=f"{n}-0"))
        market.written.append(booked)
        assert {p.quantity for p in market.desk.portfolio.positions.values()} == ({quantity} if quantity else set())
    again = Portfolio(CASH, market.desk.portfolio.desk_session)
    for entry in market.written:
        again.apply(entry)
    assert again == market.desk.portfolio
    pnl = sum(trade.pnl for trade in Blotter.of(market.written).trades)
    assert pnl == pytest.approx(again.realised)


IN = Intent("a-1", START, "ES", "buy", "ESH4", "ESH2024", 2, 4750.0, "in")
OUT = Intent("a-2", START, "ES", "exit", "ESH4", "ESH2024", 2, 4750.0, "out", entry="a-1")
AGAIN = Intent("a-3", START, "ES", "sell", "ESM4", "ESM2024", 1, 4750.0, "in")
SAID = Correction("ES", "ESM4", -1, 4700.0, **WHO)
GONE = Correction("ES", "", 0, None, **WHO)


@pytest.mark.parametrize(
    ("entries", "states", "sent", "settled"),
    [
        ([IN], {}, {}, False),
        ([IN], {"a-1": "posted"}, {"ESH4": 2}, True),
        ([IN], {"a-1": "rejected"}, {}, True),
        ([IN], {"a-1": "unknown"}, {}, False),
        ([IN, OUT], {"a-1": "posted", "a-2": "posted"}, {}, True),
        ([IN, OUT], {"a-1": "posted", "a-2": "rejected"}, {"ESH4": 2}, True),
        ([IN, OUT], {"a-1": "posted", "a-2": "retry"}, {"ESH4": 2}, False),
        ([IN, OUT, AGAIN], {"a-1": "posted", "a-2": "posted", "a-3": "posted"}, {"ESM4": -1}, True),
        ([IN, OUT, AGAIN], {"a-1": "posted", "a-2": "rejected", "a-3": "posted"}, {"ESH4": 2, "ESM4": -1}, True),
        ([IN, SAID], {"a-1": "unknown"}, {"ESM4": -1}, True),
        ([IN, GONE], {"a-1": "posted"}, {}, True),
        ([GONE, IN], {"a-1": "posted"}, {"ESH4": 2}, True),
    ],
)
def test_what_was_sent_follows_from_deliveries_and_corrections(entries, states, sent, settled: bool) -> None:
    found = sent_positions(entries, states)
    assert found.of("ES") == sent
    assert ("ES" not in found.unsettled) is settled
