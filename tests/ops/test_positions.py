"""Paper, sent and the broker's list side by side; corrections are checked before they are asked for."""

from pathlib import Path

import pytest
from attrs import evolve
from booked import BUY, FILL, SELL, record

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.writer import Writer
from pine.core.bar import Bar
from pine.core.config import Config, load_config
from pine.core.errors import PineError
from pine.core.timeframe import Timeframe
from pine.core.times import parse_time
from pine.ops.correction import correct
from pine.ops.positions import compare, list_positions
from pine.ops.trades import list_trades, sums
from pine.orders.entries import Correction, Entry, Fill, Origin, encode
from pine.strategies.catalog import PARAMS

TEXT = """
data_dir: data
instruments: {ES: {}, GC: {}}
strategies:
  a: {type: ibs, webhook: "https://hooks.example/1", instruments: [ES, GC]}
  paper: {type: ibs, instruments: [ES]}
"""
NOW = parse_time("2024-03-05T15:00")
SOLD = Fill("a-2", "ES", "ESH4", -1, 1, 5110.0, BUY.step + 60, 1.25, 485.0)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "pine.yaml").write_text(TEXT)
    return load_config(tmp_path / "pine.yaml", PARAMS, {})


def book(client: Client, *entries: Entry) -> None:
    writer = Writer(client, "worker:a", 1)
    for n, entry in enumerate([Origin(0, 0), *entries], start=1):
        writer.append(keys.ledger("a"), streams.entry_id(BUY.step // 1_000_000, n), {"entry": encode(entry)})
    writer.commit()


def minute(client: Client) -> None:
    """Put a minute of ES on its stream that closes at the step of the ledger."""
    start = BUY.step - 60 * 10**9
    bar = Bar("ES", Timeframe.MINUTE, start, 5100.0, 5101.0, 5099.0, 5100.5, 10, 1, "ESH4")
    client.xadd(keys.bars("ES", Timeframe.MINUTE), {"bar": bar.to_json()}, id=streams.entry_id(start // 1_000_000))


def rows(client: Client, config: Config) -> list[tuple]:
    found = list_positions(config, client, ["a"])
    return [(r["contract"], r["paper"], r["due"], r["sent"], r["settled"], r["differs"]) for r in found]


@pytest.mark.parametrize(
    ("entries", "states", "expected"),
    [
        ([BUY], {}, [("ESH4", 0, 1, 0, False, False)]),
        ([BUY, FILL], {"a-1": "posted"}, [("ESH4", 1, 1, 1, True, False)]),
        ([BUY, FILL, SELL], {"a-1": "posted", "a-2": "posted"}, [("ESH4", 1, 0, 0, True, False)]),
        ([BUY, FILL, SELL, SOLD], {"a-1": "posted", "a-2": "rejected"}, [("ESH4", 0, 0, 1, True, True)]),
        ([BUY, FILL], {"a-1": "unknown"}, [("ESH4", 1, 1, 0, False, False)]),
        ([BUY, FILL, SELL, SOLD], {"a-1": "posted", "a-2": "posted"}, []),
    ],
)
def test_paper_and_sent_stand_side_by_side_and_differ_only_when_all_is_settled(
    entries, states, expected, client: Client, config: Config
) -> None:
    book(client, *entries)
    for intent, state in states.items():
        record(client, intent, state)
    assert rows(client, config) == expected


def test_the_brokers_list_is_compared_with_what_strategies_that_post_hold_together(
    client: Client, config: Config
) -> None:
    book(client, BUY, FILL)
    record(client, "a-1", "posted")
    held = list_positions(config, client, config.strategies)
    assert compare(held, {"ESH4": 1}) == [
        {"contract": "ESH4", "paper": 1, "due": 1, "sent": 1, "broker": 1, "on_its_way": False, "differs": False}
    ]
    found = {row["contract"]: (row["paper"], row["broker"]) for row in compare(held, {"6EH4": 2}) if row["differs"]}
    assert found == {"ESH4": (1, 0), "6EH4": (0, 2)}


def test_an_exit_on_its_way_is_compared_by_what_is_due(client: Client, config: Config) -> None:
    book(client, BUY, FILL, SELL)
    record(client, "a-1", "posted")
    (row,) = compare(list_positions(config, client, ["a"]), {"ESH4": 1})
    assert (row["paper"], row["due"], row["sent"], row["on_its_way"], row["differs"]) == (1, 0, 1, True, True)
    (row,) = compare(list_positions(config, client, ["a"]), {})
    assert (row["on_its_way"], row["differs"]) == (True, False)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("ZZ", 1, "ZZH4", 1.0), "ZZ: a does not trade it; it trades ES, GC"),
        (("ES", 1, "", 1.0), "expected the contract of"),
        (("ES", 1, "ESH4", None), "expected what .* cost on average"),
        (("ES", 1, "ESH4", float("nan")), "expected what .* cost on average"),
        (("ES", 1, "GCJ4", 5100.0), "found 'GCJ4', expected an outright of ES"),
        (("ES", 1, "ESM4", 5100.0), "ESM4: found a contract that has no bars now, expected ESH4"),
        (("ES", 1, "ESH2034", 5100.0), "ESH2034: found a contract that has no bars now"),
        (("ES", 1, "ESH4", 5.1), "found 5.1, and the last price is 5100.5; say --force"),
        (("ES", 10**20, "ESH4", 5100.0), "expected what .* cost on average"),
        (("GC", 1, "GCJ4", 2100.0), "GC: there is no bar of it yet"),
    ],
)
def test_a_correction_that_cannot_be_is_not_asked_for(asked, told: str, client: Client, config: Config) -> None:
    minute(client)
    with pytest.raises(PineError, match=told):
        correct(config, client, "a", *asked, who="anna", reason="r", force=False)
    assert not client.exists(keys.control("a"))


def test_a_correction_waits_for_an_order_on_its_way_unless_it_is_forced(client: Client, config: Config) -> None:
    minute(client)
    book(client, BUY, FILL, SELL)
    with pytest.raises(PineError, match="a-2 is on its way"):
        correct(config, client, "a", "ES", 0, "", None, who="anna", reason="r", force=False)
    answer = correct(config, client, "a", "ES", 2, "esh2024", 5101.5, who="anna", reason="r", force=True)
    assert (answer.step is not None, answer.effect) == (True, "it holds +2 ESH4 at 5101.5 on paper now")
    (row,) = list_positions(config, client, ["a"])
    assert (row["contract"], row["paper"], row["sent"], row["price"]) == ("ESH4", 2, 2, 5101.5)


def test_the_blotter_tells_each_trade_with_what_the_broker_said(client: Client, config: Config) -> None:
    closed = Correction("ES", "", 0, 5120.0, "by hand", "anna", "7-0", SOLD.time + 60, 98.0)
    book(client, BUY, FILL, SELL, SOLD, evolve(BUY, id="a-3"), evolve(FILL, intent="a-3"), closed)
    record(client, "a-1", "posted")
    first, second = list_trades(client, ["a"])
    assert (first["pnl"], first["commission"], first["entry_state"], first["exit_reason"]) == (
        485.0,
        2.5,
        "posted",
        "IBS exit",
    )
    assert (second["pnl"], second["exit_price"], second["exit_reason"]) == (98.0, 5120.0, "correction")
    assert sums([first, second]) == {"a": {"trades": 2, "won": 2, "pnl": 583.0, "commission": 3.75}}
    assert list_trades(client, ["a"], begin=SOLD.time + 1) == [second]
