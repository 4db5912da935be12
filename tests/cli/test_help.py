"""What the command line says of itself, and that saying it costs nothing."""

import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from pine import __version__
from pine.cli.main import cli

OPTIONS = {
    "": ["--config", "--version", "--help", "demo", "hub", "worker", "courier", "bars", "server", "sandbox"],
    "demo": ["--dbn", "--speed", "--days", "--seed", "--keep", "--json"],
    "up": [
        "NAME",
        "--only",
        "--dashboard",
        "--metrics",
        "--quiet",
        "--show",
        "--start",
        "--stop",
        "--restart",
        "--json",
        "--config",
    ],
    "hub": ["--config"],
    "worker": ["NAME", "--no-courier", "--config"],
    "courier": ["NAME", "--with-worker", "--config"],
    "bars": [
        "SYMBOL",
        "--timeframe",
        "--from",
        "--to",
        "--json",
        "--csv",
        "--parquet",
        "--plot",
        "--price",
        "--buy",
        "--config",
    ],
    "legacy": [
        "NAME",
        "--live",
        "--record",
        "--dbn",
        "--check",
        "--fail-fast",
        "--all-checks",
        "--buy",
        "--json",
        "--config",
    ],
    "alerts": ["--test", "--dry-run", "--once", "--json", "--config"],
    "metrics": ["--print", "--config"],
    "archive": ["--once", "--json", "--config", "verify"],
    "archive verify": ["--json", "--config"],
    "import": ["FILE", "--from", "--to", "--replace", "--json", "--config"],
    "backfill": ["SYMBOL", "--all", "--from", "--to", "--dry-run", "--json", "--config"],
    "audit": ["--session", "--symbols", "--price", "--json", "--csv", "--config"],
    "init": [
        "--dir",
        "--yes",
        "--force",
        "--data-dir",
        "--instruments",
        "--strategy",
        "--session-close",
        "--sandbox",
        "--secrets",
    ],
    "check": ["--strategy", "--offline", "--fail-fast", "--json", "--config"],
    "strategies": ["NAME", "--json", "--config"],
    "replay": [
        "--from",
        "--to",
        "--strategy",
        "--source",
        "--warm-up",
        "--against",
        "--tolerance",
        "--report",
        "--json",
        "--speed",
        "--via",
        "--config",
    ],
    "backtest": ["--from", "--to", "--strategy", "--commission", "--slippage-ticks", "--report", "--json", "--config"],
    "parity": ["LEFT", "RIGHT", "--from", "--to", "--tolerance", "--json"],
    "orders": ["--strategy", "--json", "--config", "resolve"],
    "orders resolve": ["--posted", "--not-posted", "--who", "--config"],
    "halt": ["NAME", "--all", "--reason", "--who", "--json", "--config"],
    "resume": ["NAME", "--all", "--reason", "--who", "--json", "--config"],
    "flatten": ["NAME", "--all", "--halt", "--yes", "--reason", "--who", "--json", "--config"],
    "positions": ["--strategy", "--json", "--config", "set", "compare"],
    "positions set": [
        "NAME",
        "SYMBOL",
        "QUANTITY",
        "CONTRACT",
        "--price",
        "--reason",
        "--who",
        "--force",
        "--json",
        "--config",
    ],
    "positions compare": ["FILE", "--strategy", "--json", "--config"],
    "trades": ["NAME", "--from", "--to", "--csv", "--json", "--config"],
    "models": ["NAME", "--folder", "--json", "--config"],
    "train": [
        "NAME",
        "--symbols",
        "--from",
        "--to",
        "--source",
        "--warm-up",
        "--features",
        "--slippage-ticks",
        "--seed",
        "--out",
        "--replace",
        "--report",
        "--json",
        "--config",
    ],
    "features": ["ADDRESS", "--filters", "--json"],
    "status": ["--json", "--watch", "--config"],
    "dashboard": ["--host", "--port", "--config"],
    "trim": ["--dry-run", "--json", "--config"],
    "server": ["start", "run", "stop", "status", "backup"],
    "server start": ["--config"],
    "server run": ["--config"],
    "server stop": ["--force", "--config"],
    "server status": ["--json", "--config"],
    "server backup": ["FOLDER", "--config"],
    "bench": ["NAME", "--repeat", "--quick", "--peer", "--python", "--plot", "--json"],
    "sandbox": ["gateway", "broker", "alerts", "market", "history"],
    "sandbox gateway": ["--dbn", "--host", "--port", "--speed", "--then", "--key"],
    "sandbox history": ["--dbn", "--host", "--port", "--cert-dir", "--key", "--out", "--until", "--fault"],
    "sandbox broker": ["--port", "--out", "--host", "--answer", "--delay", "--retry-after", "--times"],
    "sandbox alerts": ["--port", "--host", "--out", "--answer"],
    "sandbox market": ["--out", "--symbols", "--days", "--seed", "--start", "--trades-per-day"],
}
HEAVY = [
    "pandas",
    "databento",
    "databento_dbn",
    "backtrader",
    "polars",
    "xgboost",
    "numpy",
    "redis",
    "exchange_calendars",
]


def commands(command: click.Command = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            assert inner.name == name
            yield from commands(inner, f"{path} {name}".strip())


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "pine", *arguments], capture_output=True, text=True)


def test_every_command_is_in_the_table_above() -> None:
    assert {path for path, _ in commands()} == OPTIONS.keys()


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: path or "pine")
def test_help_names_every_option_and_says_what_each_is_for(path: str) -> None:
    shown = CliRunner().invoke(cli, [*path.split(), "--help"])
    assert shown.exit_code == 0
    assert [name for name in OPTIONS[path] if name not in shown.output] == []
    command = dict(commands())[path]
    described = [option for option in command.params if isinstance(option, click.Option)]
    assert [option.name for option in described if not option.help] == []
    assert [text for option in described for text in option.opts if text not in shown.output] == []
    assert command.help


def test_help_works_as_a_process_without_any_configuration() -> None:
    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Exit codes: 0 fine, 1 it ran and found something wrong, 2 it could not run." in shown.stdout
    assert run("-h").stdout == shown.stdout


def test_the_version_is_told() -> None:
    shown = run("--version")
    assert (shown.returncode, shown.stdout.strip()) == (0, f"pine, version {__version__}")


@pytest.mark.parametrize("arguments", [["nothing"], ["bars"], ["worker"], ["bars", "ES", "--junk"], ["server", "go"]])
def test_a_command_line_that_cannot_be_read_is_exit_code_2(arguments: list[str]) -> None:
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 2
    assert "Usage: " in shown.output


def test_a_command_that_is_mistyped_is_told_with_the_nearest() -> None:
    assert "Did you mean halt?" in CliRunner().invoke(cli, ["hlat"]).output
    assert "Did you mean" not in CliRunner().invoke(cli, ["zzzz"]).output


def test_every_command_stands_under_one_heading() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    listed = re.findall(r"^  (\w+) +[A-Z]", shown.partition("First steps:")[2], re.M)
    assert sorted(listed) == sorted(path for path in OPTIONS if path and " " not in path)


def test_saying_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from pine.cli.main import cli; cli(['--help'], standalone_mode=False);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (shown.stdout.splitlines()[-1], shown.stderr) == ("[]", "")
    assert "  worker " in shown.stdout


def test_a_command_imports_no_other() -> None:
    script = (
        "import sys; from pine.cli.main import cli; cli(['halt', '--help'], standalone_mode=False);"
        "print(sorted(name for name in sys.modules if name.startswith('pine.cli.')))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pine.cli.control" in shown.stdout.splitlines()[-1]
    assert "pine.cli.demo" not in shown.stdout.splitlines()[-1]


def test_reading_bars_imports_neither_pandas_nor_backtrader() -> None:
    script = (
        "import sys, pine.bus.connection, pine.bus.streams, pine.core.bar, pine.core.config, pine.strategies.catalog;"
        f"print([name for name in {[name for name in HEAVY if name != 'redis']} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (shown.stdout.strip(), shown.stderr) == ("[]", "")
