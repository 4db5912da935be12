"""The ``pine`` command."""

from pathlib import Path

import click

from pine import __version__
from pine.bus.ending import end_with_input
from pine.cli.alerts import alerts
from pine.cli.archive import archive
from pine.cli.audit import audit
from pine.cli.backfill import backfill
from pine.cli.bars import bars
from pine.cli.bench import bench
from pine.cli.blotter import trades
from pine.cli.check import check
from pine.cli.control import flatten, halt, resume
from pine.cli.dashboard import dashboard
from pine.cli.demo import demo
from pine.cli.features import features
from pine.cli.importing import import_
from pine.cli.init import init
from pine.cli.legacy import legacy
from pine.cli.metrics import metrics
from pine.cli.models import models
from pine.cli.orders import orders
from pine.cli.positions import positions
from pine.cli.processes import courier, hub, worker
from pine.cli.replay import backtest, parity, replay
from pine.cli.sandbox import sandbox
from pine.cli.server import server
from pine.cli.status import status
from pine.cli.strategies import strategies
from pine.cli.train import train
from pine.cli.trim import trim
from pine.cli.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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


for command in (
    demo,
    init,
    check,
    up,
    hub,
    worker,
    courier,
    legacy,
    status,
    dashboard,
    halt,
    resume,
    flatten,
    positions,
    trades,
    orders,
    strategies,
    bars,
    alerts,
    metrics,
    models,
    features,
    archive,
    import_,
    backfill,
    audit,
    replay,
    backtest,
    parity,
    train,
    trim,
    server,
    sandbox,
    bench,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    end_with_input()
    cli()
