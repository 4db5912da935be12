"""The vendor's own client cannot tell the Historical stand-in from the real one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import databento as db
import numpy as np
import pytest
import requests
from databento.common.error import BentoWarning
from standin import stand_ins

from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from pine.core.times import parse_time
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_data import HistoryData
from pine.sandbox.market import GeneratedMarket, write_market
from pine.sandbox.tape import Tape

from .client import KEY

DATASET = "GLBX.MDP3"
START, END = parse_time("2024-03-04"), parse_time("2024-03-05")

Serve = Callable[..., HistoryServer]


@pytest.fixture(scope="module")
def data(tape: Tape) -> HistoryData:
    return HistoryData(tape)


@pytest.fixture
def serve(data: HistoryData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    with stand_ins(tmp_path, monkeypatch) as start:
        yield partial(start, data)


def client(server: HistoryServer, key: str = KEY) -> db.Historical:
    return db.Historical(key, gateway=server.gateway)


def get(server: HistoryServer, **changes: Any) -> Any:
    asked = {"dataset": DATASET, "schema": "ohlcv-1m", "symbols": "ES.FUT", "stype_in": "parent"}
    return client(server).timeseries.get_range(**(asked | {"start": START, "end": END} | changes))


def numbers(market: GeneratedMarket, root: str) -> list[int]:
    return [number for number, name in market.symbols.items() if name.startswith(root)]


def test_trades_arrive_byte_for_byte(serve: Serve, market: GeneratedMarket) -> None:
    store = get(serve(), schema="trades", symbols=["ES.FUT", "GC.FUT"])
    made = market.trades[(market.trades["ts_recv"] >= START) & (market.trades["ts_recv"] < END)]
    assert store.to_ndarray().tobytes() == made.tobytes()
    assert store.metadata.stype_in == "parent"
    assert {label: rows[0]["symbol"] for label, rows in store.mappings.items()} == {
        name: str(number) for number, name in market.symbols.items()
    }


@pytest.mark.parametrize(
    ("schema", "width"), [("ohlcv-1m", NS_PER_MINUTE), ("ohlcv-1h", NS_PER_HOUR), ("ohlcv-1d", NS_PER_DAY)]
)
def test_bars_hold_the_trades_of_their_interval(serve: Serve, market: GeneratedMarket, schema: str, width: int) -> None:
    bars = get(serve(), schema=schema).to_ndarray()
    es = np.isin(market.trades["instrument_id"], numbers(market, "ES"))
    made = market.trades[es & (market.trades["ts_recv"] >= START) & (market.trades["ts_recv"] < END)]
    assert bars["volume"].sum() == made["size"].sum()
    one = bars[len(bars) // 2]
    inside = made[
        (made["instrument_id"] == one["instrument_id"])
        & (made["ts_recv"] >= one["ts_event"])
        & (made["ts_recv"] < one["ts_event"] + np.uint64(width))
    ]
    assert (one["open"], one["close"]) == (inside["price"][0], inside["price"][-1])
    assert (one["high"], one["low"]) == (inside["price"].max(), inside["price"].min())


@pytest.mark.filterwarnings("ignore::Warning")  # the client's own, of its pandas
def test_frames_name_what_was_asked(serve: Serve) -> None:
    server = serve()
    assert set(get(server, symbols="ES.c.0", stype_in="continuous").to_df()["symbol"]) == {"ES.c.0"}
    assert set(get(server, symbols="ESH4", stype_in="raw_symbol").to_df()["symbol"]) == {"ESH4"}
    assert {"ESH4", "ESM4", "ESH4-ESM4"} <= set(get(server).to_df()["symbol"])


def test_instrument_id_gives_that_instrument(serve: Serve, market: GeneratedMarket) -> None:
    number = numbers(market, "GC")[0]
    assert set(get(serve(), symbols=number, stype_in="instrument_id").to_ndarray()["instrument_id"]) == {number}


def test_quotes_agree_with_what_is_delivered_and_charged(serve: Serve) -> None:
    server = serve()
    asked = {"dataset": DATASET, "schema": "ohlcv-1m", "symbols": "ES.FUT", "stype_in": "parent"}
    metadata = client(server).metadata
    count = metadata.get_record_count(start=START, end=END, **asked)  # type: ignore[arg-type]
    size = metadata.get_billable_size(start=START, end=END, **asked)  # type: ignore[arg-type]
    cost = metadata.get_cost(start=START, end=END, **asked)  # type: ignore[arg-type]
    assert len(get(server).to_ndarray()) == count
    assert size == 56 * count
    bought = server.requests[-1]
    assert (bought["endpoint"], bought["status"], bought["records"]) == ("timeseries.get_range", 200, count)
    assert bought["cost"] == cost > 0
    assert [request["cost"] for request in server.requests[:-1]] == [0, 0, 0]


def test_dataset_tells_its_range_per_schema(serve: Serve) -> None:
    metadata = client(serve()).metadata
    found: Any = metadata.get_dataset_range(DATASET)
    assert found["start"] == "2024-03-03T00:00:00.000000000Z"
    assert found["schema"]["ohlcv-1d"]["end"].endswith("T00:00:00.000000000Z")
    assert sorted(found["schema"]) == sorted(metadata.list_schemas(DATASET))


def test_symbology_is_resolved(serve: Serve, market: GeneratedMarket) -> None:
    symbology = client(serve()).symbology
    found = symbology.resolve(DATASET, "ESH4", "raw_symbol", "instrument_id", "2024-03-04", "2024-03-06")
    number = next(number for number, name in market.symbols.items() if name == "ESH4")
    assert found["result"] == {"ESH4": [{"d0": "2024-03-04", "d1": "2024-03-06", "s": str(number)}]}
    with pytest.raises(db.BentoClientError, match="symbology_invalid_request"):
        symbology.resolve(DATASET, "ESZ9", "raw_symbol", "instrument_id", "2024-03-04", "2024-03-06")


def test_partly_resolved_symbols_are_warned_of(serve: Serve) -> None:
    with pytest.warns(BentoWarning, match="ESZ9"):
        store = get(serve(), symbols=["ESH4", "ESZ9"], stype_in="raw_symbol")
    assert store.metadata.not_found == ["ESZ9"]


def test_wrong_key_is_refused_and_no_key_is_kept(serve: Serve) -> None:
    server = serve(key=KEY)
    with pytest.raises(db.BentoClientError, match="401 auth_authentication_failed") as error:
        client(server, "db-" + "x" * 29).metadata.list_schemas(DATASET)
    assert error.value.http_status == 401
    client(server).metadata.list_schemas(DATASET)
    assert KEY not in json.dumps(server.requests)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"end": parse_time("2030-01-01")}, "422 data_end_after_available_end"),
        ({"start": END}, "422 data_time_range_start_on_or_after_end"),
        ({"symbols": "ZZ.FUT"}, "422 symbology_invalid_request"),
        ({"schema": "mbo"}, "422 data_schema_not_supported"),
    ],
)
def test_bad_questions_raise_in_the_client(serve: Serve, changes: dict[str, Any], found: str) -> None:
    server = serve()
    with pytest.raises(db.BentoClientError, match=found):
        get(server, **changes)
    assert (server.requests[-1]["status"], server.requests[-1]["cost"]) == (422, 0)


def test_schema_that_nobody_knows_is_422(serve: Serve) -> None:
    server = serve()
    form = {"dataset": DATASET, "schema": "ohlcv-1min", "symbols": "ES.FUT", "start": START, "end": END}
    answer = requests.post(f"{server.gateway}/v0/timeseries.get_range", data=form, auth=(KEY, ""), timeout=10)
    assert answer.status_code == 422
    assert "ohlcv-1min" in answer.json()["detail"]["message"]


def test_planned_statuses_come_one_per_request(serve: Serve) -> None:
    server = serve("429:7", "500", "sound", "504")
    for status, kind in ((429, db.BentoClientError), (500, db.BentoServerError)):
        with pytest.raises(kind) as error:
            get(server)
        assert error.value.http_status == status  # type: ignore[attr-defined]
        assert error.value.headers.get("Retry-After") == ("7" if status == 429 else None)  # type: ignore[attr-defined]
    assert len(get(server).to_ndarray())
    with pytest.raises(db.BentoServerError, match="timed out"):
        get(server)
    assert [request["fault"] for request in server.requests] == ["429", "500", None, "504"]


def test_silence_and_hangup_raise_what_the_http_library_raises(serve: Serve) -> None:
    server = serve("timeout", "hangup")
    quick = client(server)
    quick.timeseries.TIMEOUT = 0.3  # type: ignore[assignment]
    asked: Any = {"dataset": DATASET, "schema": "ohlcv-1m", "symbols": "ESH4", "start": START, "end": END}
    with pytest.raises(requests.ReadTimeout):
        quick.timeseries.get_range(**asked)
    with pytest.raises(requests.ConnectionError):
        quick.timeseries.get_range(**asked)


def test_chunked_body_that_breaks_off_raises(serve: Serve) -> None:
    with pytest.raises(db.BentoError, match="Error streaming response"):
        get(serve("cut"), schema="trades")


def test_body_that_ends_with_its_connection_raises_nothing(serve: Serve) -> None:
    server = serve("close", "short:5")
    whole = server.data
    with pytest.warns(BentoWarning, match="truncated") as told:
        cut = get(server, schema="trades").to_ndarray()
    assert told
    short = get(server, schema="trades").to_ndarray()
    everything = get(server, schema="trades").to_ndarray()
    assert 0 < len(cut) < len(short) == len(everything) - 5
    assert len(everything) < whole.records


def test_faults_are_planned_at_run_time(serve: Serve) -> None:
    server = serve()
    change = requests.post(f"{server.gateway}/_sandbox/faults", json=["500@get_cost"], timeout=10)
    assert change.json() == {"success": True}
    assert requests.post(f"{server.gateway}/_sandbox/faults", json=["explode"], timeout=10).status_code == 400
    get(server)
    with pytest.raises(db.BentoServerError):
        client(server).metadata.get_cost(DATASET, START, END, symbols="ESH4")
    kept = requests.get(f"{server.gateway}/_sandbox/requests", timeout=10).json()
    assert [request["status"] for request in kept] == [200, 500]


def test_nobody_who_does_not_trust_the_authority_is_served(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(requests.exceptions.SSLError):
        get(server)


def test_process_tells_port_and_authority_and_ends_on_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = tmp_path / "market.dbn.zst", tmp_path / "asked.jsonl"
    write_market(path, ["ES"], 1, seed=3, trades_per_day=500)
    command = [sys.executable, "-m", "pine", "sandbox", "history", "--dbn", str(path), "--port", "0"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*command, "--out", str(out), "--fault", "503"], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())
        assert listening["event"] == "listening"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", listening["ca"])
        historical = db.Historical(KEY, gateway=f"https://127.0.0.1:{listening['port']}")
        with pytest.raises(db.BentoServerError):
            historical.metadata.list_schemas(DATASET)
        assert "ohlcv-1m" in historical.metadata.list_schemas(DATASET)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    kept = [json.loads(line) for line in out.read_text().splitlines()]
    assert [request["status"] for request in kept] == [503, 200]
    assert not Path(listening["ca"]).exists()
