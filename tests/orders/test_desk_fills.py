"""The desk: paper fills, rolls and voids, and what they do to the account."""

import pytest
from desks import CASH, ES, MES, MINUTE, NQ, START, Market, fills, make_desk, ns

from pine.core.config import TradedInstrument
from pine.orders.desk import Desk
from pine.orders.entries import Fill, Intent, Void

# ---- fills


def test_order_fills_at_the_open_of_the_next_minute() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5101.0))
    intent = desk.enter("ES", "in", {})
    assert intent is not None
    assert fills(desk.entries) == []
    assert market.minute(("ESH4", 5103.5, 5105.0)) == [
        Fill(intent.id, "ES", "ESH4", 1, 2, 5103.5, START + MINUTE, 2.5, None)
    ]
    assert market.minute(("ESH4", 5105.0, 5105.0)) == []  # once


def test_order_waits_for_a_minute_with_trades_in_its_own_symbol() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5101.0))
    desk.enter("ES", "in", {})
    assert market.minute() == []
    assert market.minute(("NQH4", 18000.0, 18000.0)) == []
    (fill,) = fills(market.minute(("ESH4", 5104.0, 5104.0)))
    assert (fill.price, fill.time) == (5104.0, START + 3 * MINUTE)


def test_order_fills_on_its_own_contract_only() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5101.0))
    desk.enter("ES", "in", {})
    assert market.minute(("ESM4", 5150.0, 5150.0)) == []
    (fill,) = fills(market.minute(("ESH4", 5104.0, 5104.0)))
    assert (fill.contract, fill.price) == ("ESH4", 5104.0)


def trade(desk: Desk, contract: str, entry_price: float, exit_price: float, *, short: bool = False) -> Fill:
    """Enter and leave at two prices, and return the fill of the exit."""
    market = Market(desk)
    market.minute((contract, 1.0, 1.0))
    desk.enter(contract[:-2], "in", {}, short=short)
    market.minute((contract, entry_price, 2.0))
    desk.exit(contract[:-2], "out", {})
    (fill,) = fills(market.minute((contract, exit_price, 3.0)))
    return fill


@pytest.mark.parametrize(
    ("instrument", "contract", "bought", "sold", "short", "pnl"),
    [
        # 2 ES: 12.5 points x 2 x 50 = 1250; four commissions of 1.25 = 5
        (ES, "ESH4", 5100.0, 5112.5, False, 1245.0),
        (ES, "ESH4", 5112.5, 5100.0, False, -1255.0),
        (ES, "ESH4", 5100.0, 5112.5, True, -1255.0),
        (ES, "ESH4", 5112.5, 5100.0, True, 1245.0),
        (ES, "ESH4", 5100.0, 5100.0, False, -5.0),
        # 2 MES on ES bars: 12.5 points x 2 x 5 = 125; four commissions of 0.5 = 2
        (MES, "ESH4", 5100.0, 5112.5, False, 123.0),
        (MES, "ESH4", 5112.5, 5100.0, False, -127.0),
        # 1 NQ: 10.25 points x 20 = 205; two commissions of 1.25 = 2.5
        (NQ, "NQH4", 18000.0, 18010.25, False, 202.5),
    ],
)
def test_profit_by_hand(
    instrument: TradedInstrument, contract: str, bought: float, sold: float, short: bool, pnl: float
) -> None:
    desk = make_desk(instrument)
    fill = trade(desk, contract, bought, sold, short=short)
    assert fill.pnl == pnl
    assert fill.side == (1 if short else -1)
    assert desk.portfolio.realised == pnl
    assert desk.portfolio.day_pnl(START) == pnl
    assert desk.portfolio.cash == CASH + pnl
    assert desk.value() == CASH + pnl


def test_value_counts_open_profit_at_the_last_close() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5103.0))
    assert desk.value() == CASH - 2.5 + 3.0 * 2 * 50.0
    assert desk.portfolio.cash == CASH - 2.5


# ---- rolls


def test_roll_closes_the_position_at_its_last_close_on_the_old_contract() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    entry = desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5104.0))
    intent, fill = market.minute(("ESH4", 5104.0, 5110.0), roll=("ES", "ESM4"))
    assert entry is not None
    assert isinstance(intent, Intent)
    assert (intent.action, intent.reason, intent.contract, intent.ticker) == ("exit", "roll", "ESH4", "ESH2024")
    assert (intent.quantity, intent.price, intent.entry) == (2, 5110.0, entry.id)
    # 10 points x 2 x 50 less 5
    assert fill == Fill(intent.id, "ES", "ESH4", -1, 2, 5110.0, START + 2 * MINUTE, 2.5, 995.0)
    assert desk.portfolio.positions == {}
    assert desk.enter("ES", "in", {}) is None  # there is no price in the new contract yet
    market.minute(("ESM4", 5160.0, 5161.0))
    after = desk.enter("ES", "in", {})
    assert after is not None
    assert (after.contract, after.ticker) == ("ESM4", "ESM2024")


def test_roll_in_a_quiet_minute_uses_the_last_close_there_was() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5104.0))
    market.minute()
    (fill,) = fills(market.minute(roll=("ES", "ESM4")))
    assert (fill.price, fill.pnl) == (5104.0, 395.0)


def test_entry_on_its_way_fills_before_the_roll_closes_it() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5101.0))
    intent = desk.enter("ES", "in", {})
    assert intent is not None
    first, leave, second = market.minute(roll=("ES", "ESM4"))
    assert isinstance(first, Fill)
    assert isinstance(leave, Intent)
    assert isinstance(second, Fill)
    assert (first.intent, first.price) == (intent.id, 5101.0)
    assert (leave.action, leave.contract, leave.entry) == ("exit", "ESH4", intent.id)
    assert (second.intent, second.price, second.pnl) == (leave.id, 5101.0, -5.0)
    assert desk.portfolio.busy() == set()


def test_exit_on_its_way_fills_at_the_roll_and_no_second_exit_is_written() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5104.0))
    intent = desk.exit("ES", "out", {})
    assert intent is not None
    (fill,) = market.minute(roll=("ES", "ESM4"))
    assert isinstance(fill, Fill)
    assert (fill.intent, fill.price, fill.pnl) == (intent.id, 5104.0, 395.0)


def test_roll_of_one_symbol_leaves_the_others() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0), ("NQH4", 18000.0, 18000.0))
    desk.enter("NQ", "in", {})
    market.minute(("NQH4", 18000.0, 18000.0))
    assert market.minute(("NQH4", 18000.0, 18000.0), roll=("ES", "ESM4")) == []
    assert set(desk.portfolio.positions) == {"NQ"}


def test_roll_of_micros_closes_the_micro() -> None:
    desk = make_desk(MES)
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5100.0))
    intent, fill = market.minute(("ESH4", 5100.0, 5110.0), roll=("ES", "ESM4"))
    assert isinstance(intent, Intent)
    assert isinstance(fill, Fill)
    assert (intent.contract, intent.ticker, fill.pnl) == ("MESH4", "MESH2024", 98.0)


def test_loss_of_a_roll_at_the_end_of_a_session_counts_for_that_session() -> None:
    desk = make_desk()
    market = Market(desk, ns("2024-03-12T22:57"))
    market.minute(("ESH4", 5100.0, 5100.0))
    desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5100.0))
    market.minute(("ESH4", 5100.0, 5090.0), roll=("ES", "ESM4"))  # the step of 23:00
    assert desk.portfolio.day_pnl(ns("2024-03-12T22:59")) == -1005.0
    assert desk.portfolio.day_pnl(ns("2024-03-12T23:00")) == 0.0


# ---- voids


def test_void_takes_position_commission_and_place_back() -> None:
    desk = make_desk(max_positions=1)
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0), ("NQH4", 18000.0, 18000.0))
    intent = desk.enter("ES", "in", {})
    assert intent is not None
    market.minute(("ESH4", 5100.0, 5104.0))
    desk.restore(Void(intent.id, "refused: 400", "1-0"))
    assert desk.portfolio.positions == {}
    assert desk.portfolio.cash == desk.value() == CASH
    assert desk.enter("NQ", "in", {}) is not None


def test_voided_entry_does_not_fill() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    intent = desk.enter("ES", "in", {})
    assert intent is not None
    desk.restore(Void(intent.id, "expired", "1-0"))
    assert market.minute(("ESH4", 5100.0, 5104.0)) == []


def test_exit_of_a_voided_position_does_not_fill() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    intent = desk.enter("ES", "in", {})
    assert intent is not None
    market.minute(("ESH4", 5100.0, 5104.0))
    desk.exit("ES", "out", {})
    desk.restore(Void(intent.id, "refused: 400", "1-0"))
    assert market.minute(("ESH4", 5100.0, 5104.0)) == []
