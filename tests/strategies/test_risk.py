"""The limits: places that orders on their way hold, and the session's realised loss."""

from datetime import UTC, datetime

import pytest
from attrs import evolve

from pine.core.config import TradedInstrument
from pine.core.period import SessionClose, SessionRule
from pine.orders.entries import Fill, Intent
from pine.orders.portfolio import Portfolio
from pine.strategies.risk import RiskRules


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


STEP = ns("2024-01-09T15:00")
SESSION = SessionRule(SessionClose(23), "equity")
ROOTS = {"ES": 50.0, "NQ": 20.0, "GC": 100.0, "CL": 1000.0}
TRADED = {s: TradedInstrument(s, s, 1, 1.25, value, None) for s, value in ROOTS.items()}


def account() -> Portfolio:
    return Portfolio(100_000.0, SESSION)


def entry(symbol: str) -> Intent:
    return Intent(f"e-{symbol}", STEP, symbol, "buy", f"{symbol}H4", f"{symbol}H2024", 1, 100.0, "rule")


def fill(intent: Intent, price: float = 100.0, time: int = STEP, pnl: float | None = None) -> Fill:
    side = 1 if intent.is_entry else -1
    return Fill(intent.id, intent.symbol, intent.contract, side, 1, price, time, 1.25, pnl)


def trade(portfolio: Portfolio, pnl: float, closed: int, number: int = 0) -> None:
    """Book a whole trade in NQ."""
    opening = evolve(entry("NQ"), id=f"nq-{number}")
    leaving = evolve(opening, id=f"nq-{number}-x", action="exit", entry=opening.id)
    for booked in (opening, fill(opening, time=closed), leaving, fill(leaving, time=closed, pnl=pnl)):
        portfolio.apply(booked)


def test_free_account_may_enter() -> None:
    assert RiskRules(1, 100.0).refusal(account(), "ES", STEP) is None


def test_order_on_its_way_holds_its_place() -> None:
    portfolio = account()
    portfolio.apply(entry("ES"))
    assert RiskRules(1, 100.0).refusal(portfolio, "NQ", STEP) == "max positions: 1 of 1"
    assert RiskRules(2, 100.0).refusal(portfolio, "NQ", STEP) is None


def test_open_position_and_order_on_its_way_are_counted_together() -> None:
    portfolio = account()
    first = entry("ES")
    for booked in (first, fill(first), entry("GC")):
        portfolio.apply(booked)
    assert RiskRules(2, 100.0).refusal(portfolio, "NQ", STEP) == "max positions: 2 of 2"
    assert RiskRules(3, 100.0).refusal(portfolio, "NQ", STEP) is None


def test_exit_on_its_way_does_not_free_the_place_and_counts_once() -> None:
    portfolio = account()
    first = entry("ES")
    for booked in (first, fill(first), evolve(first, id="x", action="exit", entry=first.id)):
        portfolio.apply(booked)
    assert RiskRules(1, 100.0).refusal(portfolio, "NQ", STEP) == "max positions: 1 of 1"
    assert RiskRules(2, 100.0).refusal(portfolio, "NQ", STEP) is None


@pytest.mark.parametrize("filled", [False, True])
def test_symbol_that_is_busy_is_not_entered_again(filled: bool) -> None:
    portfolio = account()
    first = entry("ES")
    portfolio.apply(first)
    if filled:
        portfolio.apply(fill(first))
    assert RiskRules(5, 100.0).refusal(portfolio, "ES", STEP) == "already open or on its way"


@pytest.mark.parametrize(("loss", "stopped"), [(-499.99, False), (-500.0, True), (-500.01, True), (500.0, False)])
def test_daily_stop_holds_from_its_amount_on(loss: float, stopped: bool) -> None:
    portfolio = account()
    trade(portfolio, loss, STEP)
    refusal = RiskRules(5, 500.0).refusal(portfolio, "ES", STEP)
    assert (refusal is not None) is stopped
    if refusal is not None:
        assert refusal == f"daily stop: {loss:.2f} of -500.00 dollars"


def test_losses_of_a_session_add_up_and_gains_count_against_them() -> None:
    portfolio, rules = account(), RiskRules(5, 500.0)
    for number, (pnl, stopped) in enumerate([(-300.0, False), (-200.0, True), (50.0, False), (-50.0, True)]):
        trade(portfolio, pnl, STEP + number, number)
        assert (rules.refusal(portfolio, "ES", STEP) is not None) is stopped


def test_stop_holds_to_the_end_of_the_session_and_is_gone_with_the_next_even_when_flat() -> None:
    portfolio, rules = account(), RiskRules(5, 500.0)
    trade(portfolio, -800.0, STEP)
    assert rules.refusal(portfolio, "ES", ns("2024-01-09T22:59")) is not None
    assert rules.refusal(portfolio, "ES", ns("2024-01-09T23:00")) is None
    assert portfolio.day_pnl(ns("2024-01-09T23:00")) == 0.0


def test_first_trade_of_the_next_session_starts_from_zero_and_the_second_adds_up() -> None:
    portfolio, rules = account(), RiskRules(5, 500.0)
    trade(portfolio, -800.0, STEP)
    trade(portfolio, -300.0, ns("2024-01-09T23:00"), 1)
    assert rules.refusal(portfolio, "ES", ns("2024-01-10T10:00")) is None
    assert portfolio.day_pnl(ns("2024-01-10T10:00")) == -300.0
    trade(portfolio, -300.0, ns("2024-01-10T09:00"), 2)
    assert portfolio.day_pnl(ns("2024-01-10T10:00")) == -600.0
    assert rules.refusal(portfolio, "ES", ns("2024-01-10T10:00")) is not None


def test_friday_and_sunday_evening_of_summer_are_different_days() -> None:
    portfolio = account()
    trade(portfolio, -800.0, ns("2024-07-12T20:00"))
    trade(portfolio, -10.0, ns("2024-07-14T22:30"), 1)  # Monday's session, opened early
    assert portfolio.day_pnl(ns("2024-07-14T22:45")) == -10.0
    assert portfolio.day_pnl(ns("2024-07-15T10:00")) == -10.0


def test_open_loss_does_not_count() -> None:
    portfolio = account()
    first = entry("ES")
    portfolio.apply(first)
    portfolio.apply(fill(first, price=5000.0))
    assert portfolio.day_pnl(STEP) == 0.0


def test_facts_tell_how_far_the_limits_are_used() -> None:
    portfolio = account()
    trade(portfolio, -120.5, STEP)
    portfolio.apply(entry("ES"))
    assert RiskRules(2, 500.0).facts(portfolio, STEP) == {
        "busy": 1,
        "max_positions": 2,
        "day_pnl": -120.5,
        "daily_stop_loss": 500.0,
    }
