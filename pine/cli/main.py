"""The ``pine`` command."""

from pathlib import Path
from typing import Final

import click

from pine import __version__
from pine.bus.ending import end_with_input
from pine.cli.lazy import LazyGroup

_SECTIONS: Final = {
    "First steps": {
        "demo": "pine.cli.demo:demo",
        "init": "pine.cli.init:init",
        "check": "pine.cli.check:check",
    },
    "Run": {
        "up": "pine.cli.up:up",
        "hub": "pine.cli.processes:hub",
        "worker": "pine.cli.processes:worker",
        "courier": "pine.cli.processes:courier",
        "archive": "pine.cli.archive:archive",
        "server": "pine.cli.server:server",
        "legacy": "pine.cli.legacy:legacy",
    },
    "Look": {
        "status": "pine.cli.status:status",
        "dashboard": "pine.cli.dashboard:dashboard",
        "bars": "pine.cli.bars:bars",
        "orders": "pine.cli.orders:orders",
        "trades": "pine.cli.blotter:trades",
        "positions": "pine.cli.positions:positions",
        "alerts": "pine.cli.alerts:alerts",
        "metrics": "pine.cli.metrics:metrics",
    },
    "Act": {
        "halt": "pine.cli.control:halt",
        "resume": "pine.cli.control:resume",
        "flatten": "pine.cli.control:flatten",
    },
    "Prove": {
        "replay": "pine.cli.replay:replay",
        "parity": "pine.cli.replay:parity",
        "backtest": "pine.cli.replay:backtest",
        "bench": "pine.cli.bench:bench",
    },
    "History": {
        "import": "pine.cli.importing:import_",
        "backfill": "pine.cli.backfill:backfill",
        "audit": "pine.cli.audit:audit",
        "trim": "pine.cli.trim:trim",
    },
    "Strategies": {
        "strategies": "pine.cli.strategies:strategies",
        "features": "pine.cli.features:features",
        "train": "pine.cli.train:train",
        "models": "pine.cli.models:models",
    },
    "Without an account": {
        "sandbox": "pine.cli.sandbox:sandbox",
    },
}
"""Where each command is defined, under the heading by which people look for it."""


@click.group(
    cls=LazyGroup,
    sections=_SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
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
