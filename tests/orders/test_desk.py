"""The desk: intents, paper fills and rolls, and an account that can be folded again from what was written."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.core.bar import Bar
from pine.core.config import TradedInstrument
from pine.core.period import SessionClose, SessionRule
from pine.core.timeframe import Timeframe
from pine.orders.desk import Desk
from pine.orders.entries import Control, Entry, Fill, Intent, Void, decode, encode
from pine.orders.portfolio import Portfolio
from pine.strategies.risk import RiskRules

MINUTE = 60 * 10**9
SESSION = SessionRule(SessionClose(23), "equity")
CASH = 100_000.0


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


START = ns("2024-03-12T15:00")

ES = TradedInstrument("ES", "ES", 2, 1.25, 50.0, None)
NQ = TradedInstrument("NQ", "NQ", 1, 1.25, 20.0, None)
MES = TradedInstrument("ES", "MES", 2, 0.5, 5.0, None)


def make_desk(
    *traded: TradedInstrument, live: bool = True, max_positions: int = 5, stop: float = 1e9, name: str = "s"
) -> Desk:
    by_symbol = {t.symbol: t for t in traded or (ES, NQ)}
    desk = Desk(name, Portfolio(CASH, SESSION), by_symbol, RiskRules(max_positions, stop))
    desk.live = live
    return desk


class Market:
    """Walks a desk through minutes, in the engine's order: minutes first, then rolls, then what the strategy asks."""

    def __init__(self, desk: Desk, start: int = START) -> None:
        self.desk = desk
        self.now = start
        self.written: list[Entry] = []

    def minute(self, *bars: tuple[str, float, float], roll: tuple[str, str] | None = None) -> list[Entry]:
        """One step with bars of (contract, open, close); return what was written at it before the strategy's turn."""
        begun = self.now
        self.now += MINUTE
        self.desk.begin(self.now)
        for contract, opened, closed in bars:
            self.desk.see(bar(contract, begun, opened, closed))
        if roll is not None:
            self.desk.roll(*roll)
        return self.desk.entries


def bar(contract: str, start: int, opened: float, closed: float) -> Bar:
    high, low = max(opened, closed), min(opened, closed)
    return Bar(contract[:-2], Timeframe.MINUTE, start, opened, high, low, closed, 1, 1, contract)


def fills(entries: list[Entry]) -> list[Fill]:
    return [entry for entry in entries if isinstance(entry, Fill)]


# ---- intents


def test_entry_says_what_to_trade_where_and_why() -> None:
    desk = make_desk(name="ibs_a")
    Market(desk).minute(("ESH4", 5100.0, 5101.25))
    intent = desk.enter("ES", "IBS entry", {"ibs": 0.1})
    assert intent == Intent(
        id="ibs_a-20240312T1501Z-ES-0",
        step=START + MINUTE,
        symbol="ES",
        action="buy",
        contract="ESH4",
        ticker="ESH2024",
        quantity=2,
        price=5101.25,
        reason="IBS entry",
        facts={"ibs": 0.1, "risk": {"busy": 0, "max_positions": 5, "day_pnl": 0.0, "daily_stop_loss": 1e9}},
    )
    assert desk.entries == [intent]
    assert desk.decisions == [{"symbol": "ES", "ask": "buy", "reason": "IBS entry", "refused": None}]


def test_short_entry_sells() -> None:
    desk = make_desk()
    Market(desk).minute(("ESH4", 5100.0, 5101.25))
    intent = desk.enter("ES", "fade", {}, short=True)
    assert intent is not None
    assert intent.action == "sell"


def test_exit_names_contract_quantity_and_entry_of_the_position() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    entry = desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5102.5))
    intent = desk.exit("ES", "out", {"ibs": 0.9})
    assert entry is not None
    assert intent == Intent(
        id="s-20240312T1502Z-ES-1",
        step=START + 2 * MINUTE,
        symbol="ES",
        action="exit",
        contract="ESH4",
        ticker="ESH2024",
        quantity=2,
        price=5102.5,
        reason="out",
        facts={"ibs": 0.9},
        entry=entry.id,
    )


def test_two_entries_of_one_step_have_different_ids() -> None:
    desk = make_desk()
    Market(desk).minute(("ESH4", 5100.0, 5100.0), ("NQH4", 18000.0, 18000.0))
    first, second = desk.enter("ES", "in", {}), desk.enter("NQ", "in", {})
    assert first is not None
    assert second is not None
    assert (first.id, second.id) == ("s-20240312T1501Z-ES-0", "s-20240312T1501Z-NQ-1")


def test_contract_is_resolved_against_the_day_of_the_data() -> None:
    desk = make_desk()
    Market(desk, ns("2019-12-01T23:00")).minute(("ESH0", 3100.0, 3100.0))
    intent = desk.enter("ES", "in", {})
    assert intent is not None
    assert (intent.contract, intent.ticker) == ("ESH0", "ESH2020")


def test_micros_are_traded_on_the_bars_of_the_full_contract() -> None:
    desk = make_desk(MES)
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    intent = desk.enter("ES", "in", {})
    assert intent is not None
    assert (intent.symbol, intent.contract, intent.ticker, intent.quantity) == ("ES", "MESH4", "MESH2024", 2)
    (fill,) = fills(market.minute(("ESH4", 5101.0, 5102.0)))
    assert (fill.contract, fill.price, fill.commission) == ("MESH4", 5101.0, 1.0)


# ---- what is refused


def test_nothing_is_written_while_not_live() -> None:
    desk = make_desk(live=False)
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    assert desk.enter("ES", "in", {}) is None
    assert desk.exit("ES", "out", {}) is None
    market.minute(("ESH4", 5100.0, 5100.0), roll=("ES", "ESM4"))
    assert desk.entries == []
    assert desk.portfolio == make_desk().portfolio


def test_position_from_the_ledger_is_left_alone_while_not_live() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5100.0))
    desk.live = False
    market.minute(("ESH4", 5000.0, 5000.0), roll=("ES", "ESM4"))
    assert desk.exit("ES", "out", {}) is None
    assert desk.entries == []
    assert set(desk.portfolio.positions) == {"ES"}


def test_entry_without_a_price_is_refused() -> None:
    desk = make_desk()
    Market(desk).minute()
    assert desk.enter("ES", "in", {}) is None
    assert desk.decisions == [{"symbol": "ES", "ask": "buy", "reason": "in", "refused": "no price yet"}]


def test_order_on_its_way_holds_one_of_the_places() -> None:
    desk = make_desk(max_positions=1)
    Market(desk).minute(("ESH4", 5100.0, 5100.0), ("NQH4", 18000.0, 18000.0))
    assert desk.enter("ES", "in", {}) is not None
    assert desk.enter("NQ", "in", {}) is None
    assert desk.decisions[-1]["refused"] == "max positions: 1 of 1"


def test_second_entry_in_a_symbol_is_refused_on_its_way_and_open() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    assert desk.enter("ES", "in", {}) is not None
    assert desk.enter("ES", "in", {}) is None
    market.minute(("ESH4", 5100.0, 5100.0))
    assert desk.enter("ES", "in", {}) is None


def test_halt_refuses_entries_and_lets_exits_go() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0), ("NQH4", 18000.0, 18000.0))
    desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5100.0))
    desk.restore(Control("halt", "CPI", "anna", "1-0"))
    assert desk.enter("NQ", "in", {}) is None
    assert desk.decisions[-1]["refused"] == "halted: CPI"
    assert desk.exit("ES", "out", {}) is not None
    assert len(fills(market.minute(("ESH4", 5100.0, 5100.0)))) == 1
    desk.restore(Control("resume", "done", "anna", "2-0"))
    assert desk.enter("NQ", "in", {}) is not None


def test_second_exit_is_refused_while_the_first_is_on_its_way() -> None:
    desk = make_desk()
    market = Market(desk)
    market.minute(("ESH4", 5100.0, 5100.0))
    assert desk.exit("ES", "out", {}) is None  # nothing is open
    desk.enter("ES", "in", {})
    assert desk.exit("ES", "out", {}) is None  # nothing is open yet
    market.minute(("ESH4", 5100.0, 5100.0))
    assert desk.exit("ES", "out", {}) is not None
    assert desk.exit("ES", "out", {}) is None


def test_daily_stop_refuses_entries_until_the_next_session() -> None:
    # 2 ES fall by 10 points: 1,000 dollars and four commissions of 1.25
    desk = make_desk(stop=1005.0)
    market = Market(desk, ns("2024-03-12T22:55"))
    market.minute(("ESH4", 5100.0, 5100.0), ("NQH4", 18000.0, 18000.0))
    desk.enter("ES", "in", {})
    market.minute(("ESH4", 5100.0, 5090.0))
    desk.exit("ES", "out", {})
    assert desk.enter("NQ", "in", {}) is not None  # not realised yet
    market.minute(("ESH4", 5090.0, 5090.0))
    assert desk.enter("ES", "in", {}) is None
    assert desk.decisions[-1]["refused"] == "daily stop: -1005.00 of -1005.00 dollars"
    market.minute(("ESH4", 5090.0, 5090.0))  # closes at 22:59
    assert desk.enter("ES", "in", {}) is None
    market.minute(("ESH4", 5090.0, 5090.0))  # closes at 23:00: the order would fill in the next session
    assert desk.enter("ES", "in", {}) is not None


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


# ---- any sequence

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
