"""What is looked at before a start, and what each failure says."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pine.bus.heartbeat import read_file
from pine.cli.main import cli
from pine.core.config import load_config
from pine.core.errors import PineError
from pine.legacy.heartbeat import Heartbeat, heartbeat_path, own_path, posting_alone
from pine.legacy.run import LegacyRun
from pine.sandbox.background import GatewayThread
from pine.sandbox.gateway import Gateway
from pine.sandbox.market import generate_market, write_market
from pine.sandbox.tape import Tape
from pine.strategies.catalog import PARAMS

TEXT = """
data_dir: data
databento: {api_key: %(key)s, gateway: "127.0.0.1:%(port)s"}
hub: {clock: tape}
instruments: {ES: {}}
strategies:
  one: {type: ibs, webhook: "%(webhook)s", instruments: [ES]}
  off: {type: ibs, enabled: false, instruments: [ES]}
"""
WEBHOOK = "https://webhooks.traderspost.io/trading/webhook/a/b"
NAMES = [
    "kill switch",
    "configuration",
    "databento key",
    "webhook",
    "symbols",
    "models",
    "earlier run",
    "gateway",
    "history",
]


@pytest.fixture(scope="module")
def gateway() -> object:
    market = generate_market(["ES"], 1, seed=1, trades_per_day=10)
    with GatewayThread(Gateway(Tape.of_trades(market.trades, market.symbols))) as running:
        yield running


def made(folder: Path, port: int, key: str = "db-1", webhook: str = WEBHOOK) -> Path:
    path = folder / "pine.yaml"
    path.write_text(TEXT % {"key": key, "port": port, "webhook": webhook})
    return path


def checks(path: Path, name: str = "one", *, live: bool = True, fail_fast: bool = False) -> dict[str, tuple[bool, str]]:
    run = LegacyRun(load_config(path, PARAMS, {}), name, live)
    return {check.name: (check.passed, check.text) for check in run.preflight(fail_fast=fail_fast)}


def test_everything_in_order(gateway: GatewayThread, tmp_path: Path) -> None:
    found = checks(made(tmp_path, gateway.port))
    assert list(found) == NAMES
    assert all(passed for passed, _ in found.values())
    assert WEBHOOK not in str(found)


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("databento key", {"key": '""'}, "databento.api_key: is empty, and this command needs it"),
        ("webhook", {"webhook": ""}, "strategies.one.webhook: is empty, and --live posts to it"),
        ("webhook", {"webhook": "http://example.com/x"}, "found an address of scheme 'http', expected https://"),
        ("webhook", {"webhook": "https://example.com/"}, "expected https://HOST/trading/webhook/"),
        ("gateway", {"port": 1}, "databento gateway 127.0.0.1:1: cannot be reached"),
    ],
)
def test_what_is_missing_is_named(
    gateway: GatewayThread, tmp_path: Path, name: str, settings: dict[str, object], text: str
) -> None:
    path = made(tmp_path, **{"port": gateway.port, **settings})  # type: ignore[arg-type]
    found = checks(path)
    assert list(found) == NAMES
    assert [check for check, (passed, _) in found.items() if not passed] == [name]
    assert text in found[name][1]
    assert list(checks(path, fail_fast=True)) == NAMES[: NAMES.index(name) + 1]


def test_without_live_no_webhook_is_needed_and_a_kill_switch_stops_nothing(
    gateway: GatewayThread, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("POLICY_KILLSWITCH=1\n")
    path = made(tmp_path, gateway.port, webhook="")
    assert all(passed for passed, _ in checks(path, live=False).values())
    assert checks(path)["kill switch"] == (False, f"kill switch: POLICY_KILLSWITCH is on in {tmp_path / '.env'}")


@pytest.mark.parametrize(
    ("name", "text"),
    [("onee", "strategy 'onee' is not configured; did you mean one?"), ("off", "strategy off is disabled")],
)
def test_a_strategy_that_cannot_run_ends_the_checks(tmp_path: Path, name: str, text: str) -> None:
    found = checks(made(tmp_path, 1), name)
    assert list(found) == NAMES[:2]
    assert found["configuration"][1].startswith(text)


def test_positions_that_a_posting_run_left_open_keep_the_next_from_posting(
    gateway: GatewayThread, tmp_path: Path
) -> None:
    path = made(tmp_path, gateway.port)
    beat = heartbeat_path(load_config(path, PARAMS, {}), "one")
    Heartbeat(beat, lambda: {"live": True, "positions": {"ESH4": 1}}).start()
    found = checks(path)
    assert [name for name, (passed, _) in found.items() if not passed] == ["earlier run"]
    assert "the run before ended with 1 ESH4 open" in found["earlier run"][1]
    assert all(passed for passed, _ in checks(path, live=False).values())
    config = load_config(path, PARAMS, {})
    assert own_path(config, "one", live=True) == beat
    assert own_path(config, "one", live=False) == beat.with_name("one.paper.heartbeat.json")
    Heartbeat(beat, lambda: {"live": True, "positions": {}}).start()
    assert own_path(config, "one", live=False) == beat


def test_the_command_says_each_line_and_ends_with_2(gateway: GatewayThread, tmp_path: Path) -> None:
    path = made(tmp_path, gateway.port, webhook="")
    fine = CliRunner().invoke(cli, ["legacy", "one", "--check", "-c", str(path)])
    assert (fine.exit_code, fine.stdout) == (0, "")
    assert [line.split(":")[0] for line in fine.stderr.splitlines()] == [f"ok     {name}" for name in NAMES]
    shown = CliRunner().invoke(cli, ["legacy", "one", "--live", "--check", "--json", "-c", str(path)])
    assert shown.exit_code == 2
    assert '"passed": false' in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--dbn", "x.dbn", "--live"], ["--dbn", "x.dbn", "--check"], ["--json"]],
)
def test_options_that_exclude_each_other_are_exit_code_2(arguments: list[str]) -> None:
    shown = CliRunner().invoke(cli, ["legacy", "one", *arguments])
    assert shown.exit_code == 2
    assert "Error: " in shown.output


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = made(tmp_path, 1)
    (tmp_path / "x.dbn").write_bytes(b"nothing")
    command = [sys.executable, "-m", "pine", "legacy", "one", "-c", str(path), "--dbn", str(tmp_path / "x.dbn")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "x.dbn: found no DBN file that can be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_heartbeat_file_is_whole_and_its_last_word_stays(tmp_path: Path) -> None:
    beat = Heartbeat(tmp_path / "a" / "one.json", lambda: {"queue_depths": {"ES": 0}})
    beat.start()
    assert read_file(beat.path)["status"] == "starting"
    beat.end("stopped")
    said = read_file(beat.path)
    assert (said["status"], said["queue_depths"]) == ("stopped", {"ES": 0})
    assert said["uptime_s"] >= 0
    assert [path.name for path in beat.path.parent.iterdir()] == ["one.json"]
    beat.path.write_text("{")
    assert read_file(beat.path) == {}


def test_a_record_that_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    path = made(tmp_path, 1)
    (tmp_path / "r.jsonl").write_text("kept")
    write_market(tmp_path / "x.dbn", ["ES"], 1, seed=1, trades_per_day=10)
    arguments = ["legacy", "one", "-c", str(path), "--dbn", str(tmp_path / "x.dbn"), "--record"]
    shown = CliRunner().invoke(cli, [*arguments, str(tmp_path / "r.jsonl")])
    assert shown.exit_code == 2
    assert "r.jsonl: expected a file that can be made anew: File exists" in shown.stderr
    assert (tmp_path / "r.jsonl").read_text() == "kept"
    unknown = CliRunner().invoke(cli, ["legacy", "two", "-c", str(path), "--dbn", str(tmp_path / "x.dbn")])
    assert unknown.exit_code == 2
    assert "strategy 'two' is not configured" in unknown.stderr


def test_an_entry_on_its_way_that_a_posting_run_left_keeps_the_next_from_posting(
    gateway: GatewayThread, tmp_path: Path
) -> None:
    path = made(tmp_path, gateway.port)
    beat = heartbeat_path(load_config(path, PARAMS, {}), "one")
    Heartbeat(beat, lambda: {"live": True, "positions": {}, "ordered": {"ESH4": 1}}).start()
    passed, text = checks(path)["earlier run"]
    assert not passed
    assert "the run before ended with 1 ESH4 open or on its way" in text


def test_two_runs_never_post_for_one_strategy(tmp_path: Path) -> None:
    config = load_config(made(tmp_path, 1), PARAMS, {})
    with (
        posting_alone(config, "one"),
        posting_alone(config, "two"),
        pytest.raises(PineError, match="another pine legacy --live posts for it"),
        posting_alone(config, "one"),
    ):
        pass
    with posting_alone(config, "one"):
        pass


def test_a_heartbeat_that_cannot_be_written_is_named_at_the_start_and_ends_nothing_later(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PineError, match="cannot be written"):
        Heartbeat(tmp_path / "file" / "one.json", dict).start()
    Heartbeat(tmp_path / "nowhere" / "one.json", dict).say("stopped")
