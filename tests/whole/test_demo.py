"""From trades to webhooks through real processes."""

import json
from pathlib import Path

import databento
import polars as pl
import pytest
from stagecraft import Performance, run

LEADS = {"ES": "ESH4", "GC": "GCJ4", "6E": "6EH4", "CL": "CLJ4"}
"""Leads of the generated market's first two sessions, by its listing: each root's front contract."""


def group_by(tape: Path, contract: str, every: str, offset: str) -> pl.DataFrame:
    """Bars of one contract by receive time, made by polars alone."""
    store = databento.DBNStore.from_bytes(tape.read_bytes())
    ids = [int(span["symbol"]) for span in store.metadata.mappings[contract]]
    trades = store.to_ndarray()
    trades = trades[[i in ids for i in trades["instrument_id"]]]
    ticks = pl.DataFrame({"t": trades["ts_recv"], "price": trades["price"] / 1e9, "size": trades["size"]})
    start = (
        pl.col("t").cast(pl.Datetime("ns", "UTC")).dt.offset_by(offset).dt.truncate(every).dt.offset_by(f"-{offset}")
    )
    price = pl.col("price")
    return ticks.group_by(start.alias("t"), maintain_order=True).agg(
        price.first().alias("open"),
        price.max().alias("high"),
        price.min().alias("low"),
        price.last().alias("close"),
        pl.col("size").sum().cast(pl.Int64).alias("volume"),
    )


@pytest.mark.parametrize("symbol", LEADS)
@pytest.mark.parametrize(
    ("timeframe", "every", "offset"), [("1min", "1m", "0m"), ("hourly", "1h", "0m"), ("daily", "1d", "1h")]
)
def test_bars_equal_a_group_by_of_the_same_file(
    performance: Performance, tape: Path, symbol: str, timeframe: str, every: str, offset: str
) -> None:
    document = performance.bars[symbol, timeframe]
    assert document["holes"] == []
    start = pl.col("timestamp").str.to_datetime(time_zone="UTC").cast(pl.Datetime("ns", "UTC"))
    ours = pl.DataFrame(document["bars"]).with_columns(t=start)
    theirs = group_by(tape, LEADS[symbol], every, offset)
    assert len(theirs) >= 2
    assert ours.select(theirs.columns).equals(theirs)
    assert set(ours["contract_symbol"]) == {LEADS[symbol]}


def test_every_intent_is_posted_once_with_an_accepted_body(performance: Performance) -> None:
    bodies = [json.loads(line) for line in (performance.folder / "webhooks.jsonl").read_text().splitlines()]
    assert len(bodies) == performance.facts["webhooks"] >= 20
    assert all(request["accepted"] and request["status"] == 200 for request in bodies)
    intents = [request["body"]["extras"]["intent"] for request in bodies]
    assert len(set(intents)) == len(intents)
    for request in bodies:
        assert request["path"] == f"/trading/webhook/{request['body']['extras']['strategy']}"


def test_both_strategies_trade_their_overlapping_instruments(performance: Performance) -> None:
    traded: dict[str, set[str]] = {"ibs_a": set(), "ibs_b": set()}
    for line in (performance.folder / "webhooks.jsonl").read_text().splitlines():
        extras = json.loads(line)["body"]["extras"]
        traded[extras["strategy"]].add(extras["symbol"])
    assert traded["ibs_a"] & traded["ibs_b"]
    accounts = performance.facts["strategies"]
    assert accounts["ibs_a"]["cash"] != accounts["ibs_b"]["cash"]


def test_entries_and_exits_alternate_per_symbol_and_exits_name_the_entry(performance: Performance) -> None:
    open_entries: dict[tuple[str, str], str] = {}
    for line in (performance.folder / "webhooks.jsonl").read_text().splitlines():
        body = json.loads(line)["body"]
        place = (body["extras"]["strategy"], body["extras"]["symbol"])
        if body["action"] == "exit":
            assert place in open_entries
            del open_entries[place]
        else:
            assert place not in open_entries
            open_entries[place] = body["extras"]["intent"]


def test_recorded_trades_are_traded_without_models(performance: Performance) -> None:
    assert performance.facts["models"] is None
    refused = [strategy["refused"] for strategy in performance.facts["strategies"].values()]
    assert all("model" not in counts for counts in refused)
    assert any("max positions" in counts for counts in refused)


def test_every_process_ends_in_order_with_exit_code_zero(performance: Performance) -> None:
    assert performance.facts["exit_codes"] == {
        "worker ibs_a": 0,
        "worker ibs_b": 0,
        "hub": 0,
        "gateway": 0,
        "broker": 0,
    }


def test_no_log_holds_a_warning_about_the_bars_or_a_secret(performance: Performance) -> None:
    logs = "".join(path.read_text() for path in (performance.folder / "logs").iterdir())
    assert "disagree" not in logs
    assert "Traceback" not in logs
    assert "db-demo" not in logs
    assert "trading/webhook" not in logs


def test_a_kept_folder_works_with_the_other_commands(performance: Performance) -> None:
    where = ("-c", str(performance.folder / "pine.yaml"))
    printed = run("bars", "ES", "--timeframe", "daily", *where)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout.splitlines()[-1] == "2 bars"
    assert run("server", "status", *where).returncode == 1
