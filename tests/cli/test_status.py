"""``pine status`` and ``pine trim`` as a person runs them."""

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from pine.bus import keys, streams
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease

from .conftest import Shell

SECONDS = 30.0


def test_without_a_server_there_is_nothing_to_tell_and_none_is_started(pine: Shell) -> None:
    ran = pine.quick("status")
    assert (ran.code, ran.err) == (1, "")
    assert "pine server start" in ran.out
    ran = pine.quick("status", "--json")
    facts = json.loads(ran.out)
    assert (ran.code, ran.err, facts["server"], facts["kill_switch"]) == (1, "", None, None)
    assert "pine server start" in facts["problems"][0]
    assert not (pine.folder / "data").exists()


def test_what_does_not_run_is_exit_code_1_and_what_does_is_0(pine: Shell, server: EmbeddedServer) -> None:
    ran = pine.quick("status")
    assert ran.code == 1
    assert "the hub is not running: pine hub" in ran.out
    assert "worker ibs_a is not running: pine worker ibs_a" in ran.out
    client = client_for(server.url)
    held = [Lease.try_acquire(client, role, "test") for role in (keys.HUB, "worker:ibs_a")]
    assert all(isinstance(lease, Lease) for lease in held)
    ran = pine.quick("status")
    assert (ran.code, "nothing is wrong" in ran.out) == (0, True)
    client.close()


def test_a_persons_words_are_shown_as_they_are(pine: Shell, server: EmbeddedServer) -> None:
    client = client_for(server.url)
    decisions = [{"symbol": "ES", "ask": "enter", "refused": "halted: x [/x] [red]y"}]
    client.xadd(keys.flight("ibs_a"), {"flight": json.dumps({"decisions": decisions})}, id="1000-0")
    client.close()
    ran = pine.quick("status")
    assert (ran.code, "halted: x [/x] [red]y" in ran.out) == (1, True), ran.err


def test_suggested_commands_find_the_same_configuration(pine: Shell, server: EmbeddedServer) -> None:
    problems = json.loads(pine.quick("status", "--json", "-c", "pine.yaml").out)["problems"]
    assert "the hub is not running: pine hub -c pine.yaml" in problems
    assert "worker ibs_a is not running: pine worker ibs_a -c pine.yaml" in problems
    server.stop()
    (problem,) = json.loads(pine.quick("status", "--json", "-c", "pine.yaml").out)["problems"]
    assert problem.endswith(f"no server runs in {server.data_dir}; start the hub, or pine server start -c pine.yaml")
    shutil.rmtree(server.folder / "appendonlydir")  # one that has run before is started for the look
    assert pine.quick("bars", "ES", "-c", "pine.yaml").err.endswith("pine server start -c pine.yaml\n")


def test_a_kill_switch_is_told_with_and_without_a_server(pine: Shell) -> None:
    path = pine.folder / ".env"
    path.write_text("POLICY_KILLSWITCH=1\n")
    for start in (False, True):
        if start:
            EmbeddedServer(pine.folder / "data").ensure()
        facts = json.loads(pine.quick("status", "--json").out)
        assert str(path) in facts["kill_switch"]
        assert facts["notes"] == [f"kill switch ON ({facts['kill_switch']}): entries are blocked"]
        assert (facts["server"] is not None) == start


def test_status_as_json_is_one_document(pine: Shell, server: EmbeddedServer) -> None:
    ran = pine.quick("status", "--json")
    facts = json.loads(ran.out)
    assert (ran.code, ran.err) == (1, "")
    assert facts["strategies"].keys() == {"ibs_a", "asleep"}
    assert pine.quick("status", "--json", "--watch").code == 2


def test_status_imports_nothing_heavy_also_when_the_market_is_open(pine: Shell, server: EmbeddedServer) -> None:
    client = client_for(server.url)
    client.xadd(keys.CLOCK, {"prev": ""}, id="1-0")
    client.close()
    heavy = ["pandas", "backtrader", "databento", "xgboost", "exchange_calendars", "polars"]
    script = (
        "import sys\nfrom pine.cli.main import cli\ntry: cli(['status'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=pine.folder, env=dict(pine.environment), capture_output=True, text=True
    )
    assert shown.stdout.splitlines()[-1] == "[]"
    assert "the hub is not running" in shown.stdout


@pytest.mark.parametrize("server_stops", [pytest.param(False, marks=pytest.mark.long), True])
def test_watching_goes_on_until_ctrl_c_also_without_the_server(
    server_stops: bool, pine: Shell, server: EmbeddedServer
) -> None:
    controller, terminal = pty.openpty()
    watching = subprocess.Popen(
        [sys.executable, "-m", "pine", "status", "--watch"],
        cwd=pine.folder,
        env={**pine.environment, "TERM": "xterm", "COLUMNS": "100", "LINES": "60"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        read_until(controller, "worker ibs_a is not running")
        if server_stops:
            server.stop()
            read_until(controller, "no server runs")
            server.ensure()
            read_until(controller, "worker ibs_a is not running")
        watching.send_signal(signal.SIGINT)
        rest = read_until(controller, None)
        assert "Traceback" not in rest
        assert watching.wait(SECONDS) == 1
    finally:
        watching.kill()
        watching.wait()
        os.close(controller)


def read_until(terminal: int, text: str | None) -> str:
    """Read what a terminal shows until a text is there, or to the end; the deadline is an error."""
    shown, deadline = "", time.monotonic() + SECONDS
    with contextlib.suppress(OSError):  # the other side closed it
        while text is None or text not in shown:
            assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], shown
            shown += os.read(terminal, 65536).decode(errors="replace")
    assert text is None or text in shown, shown
    return shown


def test_trim_without_a_server_says_so_and_starts_none(pine: Shell) -> None:
    for option in ((), ("--dry-run",)):
        ran = pine.quick("trim", *option)
        assert (ran.code, ran.out) == (2, "")
        assert "no server runs in" in ran.err
    assert not list(pine.folder.rglob("server.sock"))


def test_trim_says_what_goes_and_what_holds_the_rest(pine: Shell, server: EmbeddedServer) -> None:
    client = client_for(server.url)
    for day in range(1, 101):
        client.xadd(keys.CLOCK, {"prev": ""}, id=streams.entry_id(day * 86_400_000))
        client.xadd(keys.flight("asleep"), {"flight": "{}"}, id=streams.entry_id(day * 86_400_000))
    streams.ensure_group(client, keys.CLOCK, keys.ARCHIVE, "$")
    ran = pine.quick("trim", "--dry-run")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "69 entries would go"
    assert "not archived: no group archive" in ran.out
    facts = json.loads(pine.quick("trim", "--json").out)
    assert facts["removed"] == 69
    assert (client.xlen(keys.CLOCK), client.xlen(keys.flight("asleep"))) == (31, 100)
    client.close()
