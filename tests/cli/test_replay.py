"""pine replay, backtest and parity as a person runs them."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "hub"))

from files import made_market, write

from pine.bus import keys
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.writer import Writer
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR
from pine.core.times import isoformat, to_ms
from pine.orders.entries import Control, Origin, encode
from pine.replay import record as records
from pine.replay.trades import trades_of

MARKET = made_market("2024-01-08")
BEGIN = int(MARKET.trades["ts_recv"][0]) // NS_PER_HOUR * NS_PER_HOUR
END = (int(MARKET.trades["ts_recv"][-1]) // NS_PER_DAY + 1) * NS_PER_DAY
CONFIG = """\
data_dir: data
warm_up: off
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, instruments: [ES, GC], params: {entry_setting: none, stop_percent: 0.3}}
  two: {type: breakout, instruments: [GC], params: {lookback: 5, atr_length: 3}}
  odd: {type: ibs, enabled: false, instruments: [ES]}
"""


@pytest.fixture
def desk(pine):
    """A folder with an archive of five sessions."""
    pine.config(CONFIG)
    write(pine.folder / "trades.dbn.zst", MARKET.trades, MARKET.symbols, BEGIN, END)
    assert pine.quick("import", "trades.dbn.zst").code == 0
    return pine


def one(desk, *more: str) -> dict:
    ran = desk.quick("replay", "--strategy", "one", "--json", *more)
    return {"code": ran.code, **(json.loads(ran.out) if ran.out else {}), "err": ran.err}


def test_a_run_is_the_same_as_itself_and_different_with_another_parameter(desk) -> None:
    first = one(desk)
    assert first["code"] == 0
    (run,) = first["runs"]
    assert run["entries"] > 10
    assert run["exits"] >= run["entries"] - 1
    folder = run["record"]
    assert Path(folder).parent == desk.folder / "data" / "runs"
    again = one(desk, "--against", folder)
    assert (again["code"], again["runs"][0]["parity"]["verdict"]) == (0, "same")
    assert one(desk, "--against", Path(folder).name)["code"] == 0

    desk.config(CONFIG.replace("stop_percent: 0.3", "stop_percent: 0.05"))
    other = one(desk, "--against", folder)
    parity = other["runs"][0]["parity"]
    assert (other["code"], parity["verdict"], parity["cause"]["kind"]) == (1, "different", "settings")
    assert "stop_percent 0.3 against 0.05" in parity["cause"]["text"]
    assert len(parity["bars"]) == 5

    pair = (folder, other["runs"][0]["record"])
    shown = desk.quick("parity", *pair)
    assert shown.code == 1
    assert shown.out.startswith("DIFFERENT from 2024-01-")
    assert "cause: same inputs; settings differ" in shown.out
    assert json.loads(desk.quick("parity", *pair, "--json").out)["first"]["step"] == parity["first"]["step"]
    assert desk.quick("parity", folder, folder).code == 0


@pytest.mark.long
def test_several_strategies_are_told_in_one_table(desk) -> None:
    shown = desk.quick("replay")
    assert shown.code == 0
    assert "one" in shown.out
    assert "two" in shown.out
    assert "odd" not in shown.out
    assert shown.out.count("record in") == 2


def test_trades_from_files_are_the_same_run_as_their_import(desk) -> None:
    folder = one(desk)["runs"][0]["record"]
    again = one(desk, "--source", str(desk.folder / "trades.dbn.zst"), "--against", folder)
    assert (again["code"], again["runs"][0]["parity"]["verdict"]) == (0, "same")


@pytest.mark.long  # tests/replay/test_bus.py shows it without the command
def test_a_worker_on_a_bus_is_the_same_run_as_the_engine(desk) -> None:
    folder = one(desk)["runs"][0]["record"]
    before = {path: path.stat().st_mtime_ns for path in (desk.folder / "data" / "archive").rglob("*")}
    again = one(desk, "--via", "bus", "--against", folder, "--report", "page.html")
    assert (again["code"], again["runs"][0]["parity"]["verdict"]) == (0, "same"), again["err"]
    assert {table["table"] for table in again["runs"][0]["parity"]["tables"]} >= {"bars", "flights", "intents"}
    assert (desk.folder / "page.html").read_text().count('class="chart"') == 3
    assert desk.quick("parity", folder, again["runs"][0]["record"]).code == 0
    assert {path.name for path in (desk.folder / "data").iterdir()} == {"archive", "runs"}
    assert {path: path.stat().st_mtime_ns for path in (desk.folder / "data" / "archive").rglob("*")} == before


def test_what_cannot_be_compared_is_exit_code_2(desk) -> None:
    two = json.loads(desk.quick("replay", "--strategy", "two", "--json").out)["runs"][0]["record"]
    cases = {
        "expected flight, legacy, a run folder or a file": ["--against", "nothing"],
        "found no ledger": ["--against", "flight"],
        "expected the same symbols": ["--against", two],
    }
    for message, arguments in cases.items():
        ran = desk.quick("replay", "--strategy", "one", *arguments)
        assert ran.code == 2, ran.out
        assert message in ran.err
    both = desk.quick("replay", "--against", two)
    assert (both.code, "with --strategy" in both.err) == (2, True)
    assert desk.quick("parity", "nothing", two).code == 2
    damaged = Path(two) / "values.parquet"
    damaged.write_bytes(b"")
    ran = desk.quick("parity", two, two)
    assert (ran.code, "sha256" in ran.err) == (2, True)


def test_against_flight_leaves_out_who_never_ran_as_long_as_somebody_has(desk) -> None:
    ran = desk.quick("replay", "--against", "flight")
    assert (ran.code, "found no ledger" in ran.err, "left out" in ran.err) == (2, True, False)
    server = EmbeddedServer(desk.folder / "data")
    server.ensure()
    client = client_for(server.url)
    writer = Writer(client, "worker:one", 1)
    begin = to_ms(BEGIN)
    writer.append(keys.ledger("one"), f"{begin}-1", {"entry": encode(Origin(begin, begin))})
    halted = Control("halt", "lunch", "anna", "1-0")
    writer.append(keys.ledger("one"), f"{begin + 60_000}-1", {"entry": encode(halted)})
    writer.commit()
    client.close()
    ran = desk.quick("replay", "--against", "flight", "--json")
    assert (ran.code, ran.err) == (0, "two: left out, no worker has run yet\n")
    told = json.loads(ran.out)
    assert ([run["strategy"] for run in told["runs"]], told["never_ran"]) == (["one"], ["two"])
    assert desk.quick("replay", "--against", "flight", "--strategy", "two").code == 2


def test_a_command_line_that_cannot_be_done_is_named(desk) -> None:
    cases = {
        "did you mean one": ["--strategy", "onee"],
        "expected history, tape, or DBN files": ["--source", "history", "--source", "tape"],
        "found no tape": ["--source", "tape"],
        "expected COLUMN=NUMBER": ["--against", "flight", "--tolerance", "x"],
        "expected some from": ["--from", "2030-01-01"],
        "is not one of 'engine', 'bus'": ["--via", "air"],
        "expected later than --from": ["--from", "2024-01-10", "--to", "2024-01-09"],
        "nothing is compared without --against": ["--tolerance", "ibs=1"],
    }
    for message, arguments in cases.items():
        ran = desk.quick("replay", *arguments)
        assert ran.code == 2, ran.err
        assert message in ran.err


def test_a_table_of_values_is_compared_with_what_was_seen(desk) -> None:
    import polars as pl

    folder = one(desk)["runs"][0]["record"]
    record = records.read(Path(folder))
    ibs = record.table("values").filter(
        pl.col("name") == "ibs", pl.col("symbol") == "ES", pl.col("value").is_not_null()
    )
    hours = record.table("bars").filter(pl.col("timeframe") == "hourly", pl.col("symbol") == "ES")
    rows = [f"{isoformat(step)},ES,ibs,{value!r}" for step, value in ibs.select("step", "value").iter_rows()]
    rows += [
        f"{isoformat(step)},ES,hourly.close,{value!r}" for step, value in hours.select("step", "close").iter_rows()
    ]
    path = desk.folder / "values.csv"
    path.write_text("\n".join(["time,symbol,column,value", *rows]) + "\n")
    assert one(desk, "--against", str(path))["code"] == 0

    wrong = rows[30].rsplit(",", 1)
    rows[30] = f"{wrong[0]},{float(wrong[1]) + 1e-6!r}"
    path.write_text("\n".join(["time,symbol,column,value", *rows]) + "\n")
    found = one(desk, "--against", str(path))
    assert found["code"] == 1
    assert found["runs"][0]["parity"]["first"]["step"] == rows[30].split(",")[0]
    assert one(desk, "--against", str(path), "--tolerance", "ibs=1e-5")["code"] == 0

    path.write_text("time,symbol,column,value\n2024-01-09T15:00:00,ES,rsi,1\n")
    ran = desk.quick("replay", "--strategy", "one", "--against", path)
    assert (ran.code, "found rsi; the run has" in ran.err) == (2, True)


def test_the_old_system_s_trades_are_compared_with_ours(desk) -> None:
    folder = one(desk)["runs"][0]["record"]
    trades = trades_of(records.read(Path(folder)))
    path = desk.folder / "trades.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE trades (id INTEGER PRIMARY KEY, symbol, side, entry_time, entry_price, entry_size, exit_time,"
            " exit_price, exit_size, pnl, pnl_percent, exit_reason, ml_score, ibs_entry, ibs_exit, created_at)"
        )
        connection.executemany(
            "INSERT INTO trades (symbol, side, entry_time, entry_price, entry_size, exit_time, exit_price, pnl)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    row["symbol"],
                    "long",
                    isoformat(row["entry_time"]),
                    row["entry_price"],
                    row["quantity"],
                    isoformat(row["exit_time"]),
                    row["exit_price"],
                    row["pnl"],
                )
                for row in trades.iter_rows(named=True)
            ],
        )
    connection.close()
    assert one(desk, "--against", str(path))["code"] == 0
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM trades WHERE id = 3")
    connection.close()
    found = one(desk, "--against", str(path))
    assert found["code"] == 1
    first = found["runs"][0]["parity"]["first"]
    assert (first["table"], first["left"]) == ("trades", None)
    assert first["right"]["entry_time"] == isoformat(trades["entry_time"][2])


def test_a_backtest_deducts_its_costs_and_writes_a_page_that_needs_no_network(desk) -> None:
    free = json.loads(desk.quick("backtest", "--strategy", "one", "--commission", "0", "--json").out)
    page = Path(free["report"])
    assert page == Path(free["runs"][0]["record"]) / "report.html"
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "Equity and drawdown" in text
    assert text.count('class="chart"') == 3
    assert 'src="http' not in text
    assert "<link" not in text
    dear = json.loads(
        desk.quick(
            "backtest",
            "--strategy",
            "one",
            "--commission",
            "10",
            "--slippage-ticks",
            "1",
            "--report",
            "x.html",
            "--json",
        ).out
    )
    assert (desk.folder / "x.html").exists()
    assert dear["runs"][0]["pnl"] < free["runs"][0]["pnl"] - 10
    settings = records.read(Path(dear["runs"][0]["record"])).facts.settings
    assert (settings["commission"], settings["slippage ticks"]) == (10.0, 1.0)


@pytest.mark.long  # tests/replay/test_sources.py shows it without the command
def test_the_single_process_reference_thinks_the_same(desk) -> None:
    # In a process of its own: Databento's reader leaves its files to the collector.
    ran = desk("replay", "--strategy", "one", "--source", "trades.dbn.zst", "--against", "legacy", "--json")
    parity = json.loads(ran.out)["runs"][0]["parity"]
    assert (ran.code, parity["verdict"]) == (0, "same"), parity["first"]
    counts = {table["table"]: table["left"] for table in parity["tables"]}
    assert counts.keys() == {"bars", "fills", "account", "values", "decisions", "intents"}
    assert all(counts.values())
    ran = desk.quick("replay", "--strategy", "one", "--against", "legacy")
    assert (ran.code, "runs on trades" in ran.err) == (2, True)
