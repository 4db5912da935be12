"""``pine metrics``: what Prometheus reads."""

import sys

import click

from pine.cli.context import FINE, WRONG, configuration, exits, explained
from pine.cli.options import config_option


@click.command()
@click.option("--print", "once", is_flag=True, help="Print one scrape and end; exit code 1 without a server.")
@config_option
@click.pass_context
@exits
def metrics(ctx: click.Context, once: bool) -> None:
    """Serve metrics of hub, workers, couriers and server to Prometheus.

    At metrics.host and metrics.port, this machine only by default. Runs until SIGINT or SIGTERM and starts no server:
    without one a scrape says pine_up 0.
    """
    config = configuration(ctx)
    if once:
        from pine.ops.metrics import exposition

        troubles: list[Exception | None] = []
        click.echo(exposition(config, troubles.append), nl=False)
        for trouble in filter(None, troubles):
            click.echo(f"Error: {explained(ctx, trouble)}", err=True)
        sys.exit(WRONG if troubles else FINE)
    from pine.cli import logs

    logs.set_up()
    from pine.ops.metrics import run_metrics

    sys.exit(run_metrics(config))
