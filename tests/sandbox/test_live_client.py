"""The vendor's own client cannot tell the gateway from the real one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import databento as db
import numpy as np
import pytest

from pine.sandbox.background import GatewayThread
from pine.sandbox.gateway import Gateway
from pine.sandbox.market import GeneratedMarket, write_market
from pine.sandbox.tape import Tape

from .client import KEY

Serve = Callable[[Gateway], GatewayThread]


def run_client(port: int, start: int | None = 0, **options: Any) -> tuple[list[Any], dict[int, str]]:
    """Take everything until the gateway closes."""
    client = db.Live(key=KEY, gateway="127.0.0.1", port=port, heartbeat_interval_s=30, **options)
    records: list[Any] = []
    client.add_callback(records.append)
    client.subscribe("GLBX.MDP3", "trades", ["ES.FUT", "GC.FUT"], stype_in="parent", start=start)
    client.start()
    client.block_for_close(timeout=30)
    symbols = {number: str(symbol) for number, symbol in client.symbology_map.items()}
    return records, symbols


def trade_bytes(records: list[Any]) -> bytes:
    return b"".join(bytes(record) for record in records if isinstance(record, db.TradeMsg))


def test_gateway_process_delivers_every_record_in_order(tmp_path: Path) -> None:
    path = tmp_path / "market.dbn.zst"
    market = write_market(path, ["ES", "GC"], 2, seed=3, trades_per_day=2_000)
    program = "import sys; from pathlib import Path; from pine.sandbox.gateway import run_gateway; "
    program += f"sys.exit(run_gateway([Path({str(path)!r})], then='close', key={KEY!r}))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())
        assert listening["event"] == "listening"
        assert listening["records"] == len(market.trades)
        assert listening["first"].startswith("2024-03-03T23:00:")

        records, symbols = run_client(listening["port"])

        assert trade_bytes(records) == market.trades.tobytes()
        assert symbols == market.symbols
        assert json.loads(process.stdout.readline()) == {"event": "session", "id": 1}
        ended = json.loads(process.stdout.readline())
        assert ended == {"event": "tape_end", "ts": int(market.trades["ts_recv"][-1]) + 26 * 3600 * 10**9}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_zstd_stream_holds_the_same_records(serve: Serve, tape: Tape, market: GeneratedMarket) -> None:
    thread = serve(Gateway(tape, then="close"))
    records, _ = run_client(thread.port, compression=db.Compression.ZSTD)
    assert trade_bytes(records) == market.trades.tobytes()


def test_wrong_key_is_refused_and_the_right_one_is_not(serve: Serve, tape: Tape) -> None:
    thread = serve(Gateway(tape, then="close", key="db-" + "x" * 29))
    with pytest.raises(db.BentoError, match=r"Authentication failed\."):
        run_client(thread.port)
    other = serve(Gateway(tape, then="close", key=KEY))
    assert run_client(other.port)[0]


@pytest.mark.parametrize("first_session", [True, False], ids=["before any session", "after a whole session"])
def test_start_gives_exactly_the_records_from_then_on(
    serve: Serve, tape: Tape, market: GeneratedMarket, first_session: bool
) -> None:
    thread = serve(Gateway(tape, then="close"))
    if not first_session:
        run_client(thread.port)
    start = int(market.trades["ts_event"][len(market.trades) // 2])
    records, _ = run_client(thread.port, start=start)
    expected = market.trades[market.trades["ts_event"] >= start]
    assert trade_bytes(records) == expected.tobytes()
    completed = [i for i, r in enumerate(records) if str(getattr(r, "code", "")) == "replay_completed"]
    assert len(completed) == 1
    replayed = sum(isinstance(record, db.TradeMsg) for record in records[: completed[0]])
    assert replayed == (0 if first_session else len(expected))


def test_client_that_was_cut_off_gets_the_rest_by_replay(serve: Serve, tape: Tape, market: GeneratedMarket) -> None:
    thread = serve(Gateway(tape, then="close"))
    client = db.Live(key=KEY, gateway="127.0.0.1", port=thread.port)
    before: list[db.TradeMsg] = []

    def take_some(record: Any) -> None:
        if isinstance(record, db.TradeMsg) and len(before) < 1_000:
            before.append(record)
        elif before:
            client.terminate()

    client.add_callback(take_some)
    client.subscribe("GLBX.MDP3", "trades", ["ES.FUT", "GC.FUT"], stype_in="parent", start=0)
    client.start()
    client.block_for_close(timeout=30)

    cut = before[-1].ts_event
    kept = [record for record in before if record.ts_event < cut]
    after, _ = run_client(thread.port, start=cut)
    got = np.frombuffer(trade_bytes(kept) + trade_bytes(after), market.trades.dtype)
    for number in market.symbols:
        assert got[got["instrument_id"] == number].tobytes() == (
            market.trades[market.trades["instrument_id"] == number].tobytes()
        )
