"""The desk: after any sequence the account is what can be folded again from what was written."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from desks import CASH, ES, MES, MINUTE, NQ, Market, make_desk
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.core.config import TradedInstrument
from pine.orders.desk import Desk
from pine.orders.entries import Control, Entry, Fill, Intent, Void, decode, encode

MONTHS = "HMUZ"

steps = st.lists(
    st.fixed_dictionaries(
        {
            "bars": st.dictionaries(
                st.sampled_from(["ES", "NQ"]), st.tuples(st.integers(3900, 4100), st.integers(3900, 4100)), max_size=2
            ),
            "roll": st.none() | st.none() | st.none() | st.sampled_from(["ES", "NQ"]),
            "ask": st.lists(
                st.tuples(st.sampled_from(["buy", "sell", "exit", "exit"]), st.sampled_from(["ES", "NQ"])), max_size=3
            ),
            "between": st.sampled_from([None] * 6 + ["void", "halt", "resume", "resume"]),
            "hours": st.sampled_from([0, 0, 0, 1, 9]),  # a gap before this minute
        }
    ),
    max_size=25,
)

traded_sets = st.sampled_from([(ES, NQ), (MES, NQ), (evolve(ES, size=1, commission=0.0), NQ)])


def play(script: list[dict[str, Any]], traded: tuple[TradedInstrument, ...], places: int) -> tuple[Desk, list[Entry]]:
    """Run a script through a desk and return it with everything that its ledger would hold."""
    desk = make_desk(*traded, max_positions=places, stop=3000.0)
    market, ledger = Market(desk), []
    month = {"ES": 0, "NQ": 0}
    for n, step in enumerate(script):
        market.now += step["hours"] * 60 * MINUTE
        bars = [(f"{s}{MONTHS[month[s] % 4]}4", float(o), float(c)) for s, (o, c) in step["bars"].items()]
        roll = step["roll"]
        if roll is not None:
            month[roll] += 1
            market.minute(*bars, roll=(roll, f"{roll}{MONTHS[month[roll] % 4]}4"))
        else:
            market.minute(*bars)
        for ask, symbol in step["ask"]:
            if ask == "exit":
                desk.exit(symbol, "out", {"n": n})
            else:
                desk.enter(symbol, "in", {"n": n}, short=ask == "sell")
        assert len(desk.portfolio.busy()) <= places
        ledger += desk.entries
        ledger += book(desk, step["between"], ledger, n)
    return desk, ledger


def book(desk: Desk, what: str | None, ledger: list[Entry], n: int) -> Iterator[Entry]:
    """Book an operator's or courier's request between two steps."""
    entries = [entry for entry in ledger if isinstance(entry, Intent) and entry.is_entry]
    booked: Entry | None = None
    if what == "void" and entries:
        booked = Void(entries[-1].id, "refused", f"{n}-0")
    elif what in ("halt", "resume"):
        booked = Control("halt" if what == "halt" else "resume", "r", "anna", f"{n}-0")
    if booked is not None:
        desk.restore(booked)
        yield booked


@settings(deadline=None)
@given(script=steps, traded=traded_sets, places=st.integers(1, 3))
def test_account_is_the_fold_of_what_was_written(
    script: list[dict[str, Any]], traded: tuple[TradedInstrument, ...], places: int
) -> None:
    desk, ledger = play(script, traded, places)
    again = make_desk(*traded).portfolio
    for entry in ledger:
        again.apply(decode(encode(entry)))
    assert again == desk.portfolio


@settings(deadline=None)
@given(script=steps, traded=traded_sets, places=st.integers(1, 3))
def test_ids_are_unique_and_the_same_in_every_run(
    script: list[dict[str, Any]], traded: tuple[TradedInstrument, ...], places: int
) -> None:
    _, first = play(script, traded, places)
    _, second = play(script, traded, places)
    assert [encode(entry) for entry in first] == [encode(entry) for entry in second]
    ids = [entry.id for entry in first if isinstance(entry, Intent)]
    assert len(set(ids)) == len(ids)


@settings(deadline=None)
@given(script=steps, traded=traded_sets, places=st.integers(1, 3))
def test_money_adds_up_and_every_exit_is_of_the_contract_of_its_entry(
    script: list[dict[str, Any]], traded: tuple[TradedInstrument, ...], places: int
) -> None:
    desk, ledger = play(script, traded, places)
    by_symbol = {t.symbol: t for t in traded}
    intents = {entry.id: entry for entry in ledger if isinstance(entry, Intent)}
    filled = {entry.intent: entry for entry in ledger if isinstance(entry, Fill)}
    assert len(filled) == sum(isinstance(entry, Fill) for entry in ledger)
    voided = {entry.intent for entry in ledger if isinstance(entry, Void)}
    profit: dict[str, float] = defaultdict(float)
    for fill in filled.values():
        intent = intents[fill.intent]
        if intent.entry in voided:
            continue  # the trade was taken back
        assert (fill.contract, fill.quantity) == (intent.contract, intent.quantity)
        assert intent.step - MINUTE <= fill.time
        if intent.is_entry:
            assert fill.side == (1 if intent.action == "buy" else -1)
            continue
        assert intent.entry is not None
        opened = filled[intent.entry]
        assert opened.contract == fill.contract
        assert opened.side == -fill.side
        t = by_symbol[fill.symbol]
        points = (fill.price - opened.price) * opened.side
        expected = points * fill.quantity * t.point_value - 2 * t.commission * fill.quantity
        assert fill.pnl == pytest.approx(expected)
        profit[fill.symbol] += expected
    open_cost = sum(abs(p.quantity) * by_symbol[p.symbol].commission for p in desk.portfolio.positions.values())
    assert desk.portfolio.realised == pytest.approx(sum(profit.values()))
    assert desk.portfolio.cash == pytest.approx(CASH + sum(profit.values()) - open_cost)
    for position in desk.portfolio.positions.values():
        assert position.contract == filled[position.entry].contract
