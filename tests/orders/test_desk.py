"""The desk: what becomes an intent, and what is refused."""

from desks import MES, MINUTE, START, Market, fills, make_desk, ns

from pine.orders.entries import Control, Intent

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
