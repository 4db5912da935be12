"""``pine backfill`` as a person runs it: what is missing, the price, what was bought, what could not be had."""

import json

import pytest

from pine.core.timeframe import Timeframe
from pine.core.times import parse_time
from pine.history.archive import Archive
from pine.sandbox.history import HistoryServer

from .conftest import Shell
from .test_bars import config_of, is_running, sold

SPAN = ("--from", "2024-03-04T23:00", "--to", "2024-03-06T23:00")


def allow(pine: Shell, dollars: float) -> None:
    path = pine.folder / "pine.yaml"
    path.write_text(
        path.read_text().replace("  historical_gateway", f"  max_cost_usd: {dollars}\n  historical_gateway")
    )


def test_it_is_priced_bought_once_and_told(pine: Shell, gateway: HistoryServer) -> None:
    ran = pine("backfill", "ES", "gc", *SPAN, "--dry-run")
    assert ran.code == 0
    assert "answered without the streams" in ran.err
    es, gc, total = ran.out.splitlines()
    assert es.startswith("ES: missing 2024-03-04 23:00 to 2024-03-06 23:00, 2 sessions; at most $0.")
    assert gc.startswith("GC: missing ")
    assert total.startswith("together at most $0.")
    assert sold(gateway) == 0
    assert not (pine.folder / "data").exists()
    ran = pine.quick("backfill", "ES", "GC", *SPAN)
    assert ran.code == 0
    assert ran.out.splitlines()[-1].endswith(f"bars bought for ${_spent(gateway):.4f}")
    archive = Archive.of(config_of(pine))
    for root in ("ES", "GC"):
        assert archive.covered(root, Timeframe.MINUTE) == [
            (parse_time("2024-03-04T23:00"), parse_time("2024-03-06T23:00"))
        ]
    count = sold(gateway)
    ran = pine.quick("backfill", "ES", "GC", *SPAN)
    assert (ran.code, sold(gateway)) == (0, count)
    assert ran.out == "ES: nothing is missing\nGC: nothing is missing\n0 bars bought for $0.0000\n"
    assert json.loads(pine.quick("bars", "ES", "--timeframe", "daily", *SPAN, "--json").out)["count"] == 2
    assert pine.quick("archive", "verify").code == 0
    assert not is_running(pine)


def _spent(server: HistoryServer) -> float:
    return sum(float(request["cost"]) for request in server.requests)


def test_json_is_one_document_and_what_could_not_be_had_is_exit_code_1(pine: Shell, gateway: HistoryServer) -> None:
    ran = pine.quick("backfill", "--all", "--from", "2024-03-04T23:00", "--to", "2024-03-12T23:00", "--json")
    assert ran.code == 1
    document = json.loads(ran.out)
    assert (document["dry_run"], document["max_cost_usd"]) == (False, 5.0)
    assert document["cost_usd"] == pytest.approx(_spent(gateway))
    es, euro = document["symbols"]["ES"], document["symbols"]["6E"]
    (left,) = es["not_available"]
    assert left["to"] == "2024-03-12T23:00:00+00:00"
    assert es["left"] == es["not_available"]
    assert (es["bars"] > 100, es["cost_usd"] > 0, es["reason"]) == (True, True, None)
    assert "6E.FUT" in euro["reason"]
    assert (euro["bars"], euro["left"]) == (0, [{"from": "2024-03-04T23:00:00+00:00", "to": left["to"]}])
    ran = pine.quick("backfill", "--all", "--from", "2024-03-04T23:00", "--to", "2024-03-12T23:00")
    assert ran.code == 1
    assert "ES: Databento has nothing of 2024-03-0" in ran.out
    assert "6E: still missing 2024-03-04 23:00 to 2024-03-12 23:00: databento: " in ran.out


def test_without_an_end_it_is_what_the_vendor_has(pine: Shell, gateway: HistoryServer) -> None:
    ran = pine.quick("backfill", "ES", "--from", "2024-03-04T23:00", "--json")
    assert ran.code == 0
    (hole,) = json.loads(ran.out)["symbols"]["ES"]["missing"]
    assert hole["to"].startswith("2024-03-07T2")


def test_the_ceiling_is_for_all_roots_together(pine: Shell, gateway: HistoryServer) -> None:
    each = json.loads(pine.quick("backfill", "ES", "GC", *SPAN, "--dry-run", "--json").out)["symbols"]
    allow(pine, max(root["price_usd"] for root in each.values()) / 2)
    ran = pine.quick("backfill", "ES", "GC", *SPAN, "--dry-run")
    assert (ran.code, "databento.max_cost_usd allows $0.0" in ran.out) == (0, True)
    ran = pine.quick("backfill", "ES", "GC", *SPAN)
    assert ran.code == 2
    assert "databento.max_cost_usd: found a price of $" in ran.err
    schemas = {r["fields"].get("schema") for r in gateway.requests if r["endpoint"] == "timeseries.get_range"}
    assert "ohlcv-1m" not in schemas
    assert not (pine.folder / "data" / "archive").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name one or more SYMBOLs, or --all"),
        (("ES", "--all"), "name one or more SYMBOLs, or --all"),
        (("EX",), "instruments: found no 'EX'"),
        (("ES", "--to", "2024-03-04"), "--to: expected a time after --from"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(pine: Shell, arguments: tuple[str, ...], words: str) -> None:
    ran = pine.quick("backfill", *arguments, "--from", "2024-03-05")
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


def test_it_needs_a_beginning_and_a_key(pine: Shell) -> None:
    assert "--from" in pine.quick("backfill", "ES").err
    ran = pine.quick("backfill", "ES", "--from", "2024-03-05")
    assert (ran.code, ran.out) == (2, "")
    assert "databento.api_key: environment variable DATABENTO_API_KEY is not set" in ran.err
