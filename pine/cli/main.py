"""The ``pine`` command."""

from pathlib import Path
from typing import Final

import click

from pine import __version__
from pine.bus.ending import end_with_input
from pine.cli.lazy import LazyGroup

_PLACES: Final = {
    "alerts": "pine.cli.alerts:alerts",
    "archive": "pine.cli.archive:archive",
    "audit": "pine.cli.audit:audit",
    "backfill": "pine.cli.backfill:backfill",
    "backtest": "pine.cli.replay:backtest",
    "bars": "pine.cli.bars:bars",
    "bench": "pine.cli.bench:bench",
    "check": "pine.cli.check:check",
    "courier": "pine.cli.processes:courier",
    "dashboard": "pine.cli.dashboard:dashboard",
    "demo": "pine.cli.demo:demo",
    "features": "pine.cli.features:features",
    "flatten": "pine.cli.control:flatten",
    "halt": "pine.cli.control:halt",
    "hub": "pine.cli.processes:hub",
    "import": "pine.cli.importing:import_",
    "init": "pine.cli.init:init",
    "legacy": "pine.cli.legacy:legacy",
    "metrics": "pine.cli.metrics:metrics",
    "models": "pine.cli.models:models",
    "orders": "pine.cli.orders:orders",
    "parity": "pine.cli.replay:parity",
    "positions": "pine.cli.positions:positions",
    "replay": "pine.cli.replay:replay",
    "resume": "pine.cli.control:resume",
    "sandbox": "pine.cli.sandbox:sandbox",
    "server": "pine.cli.server:server",
    "status": "pine.cli.status:status",
    "strategies": "pine.cli.strategies:strategies",
    "trades": "pine.cli.blotter:trades",
    "train": "pine.cli.train:train",
    "trim": "pine.cli.trim:trim",
    "up": "pine.cli.up:up",
    "worker": "pine.cli.processes:worker",
}
"""Where each command is defined."""


@click.group(
    cls=LazyGroup, places=_PLACES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="pine")
@click.option(
    "-c",
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration file; else PINE_CONFIG, else pine.yaml in this folder.",
)
def cli(config: Path | None) -> None:  # read from the context by the commands
    """Futures strategies on live CME data that never forget.

    One hub turns live trades into session bars on durable streams; one worker per strategy reads them, decides, and
    writes order intents to a ledger; a courier posts each intent to the strategy's webhook.

    Exit codes: 0 fine, 1 it ran and found something wrong, 2 it could not run.
    """


def main() -> None:
    """Run the command line."""
    end_with_input()
    cli()
