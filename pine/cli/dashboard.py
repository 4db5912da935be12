"""``pine dashboard``: the live page."""

import click

from pine.cli.context import config_suffix, configuration, exits
from pine.cli.options import config_option


@click.command()
@click.option("--host", help="Where to listen; dashboard.host if left out.")
@click.option("--port", type=click.IntRange(1, 65_535), help="At which port; dashboard.port if left out.")
@config_option
@click.pass_context
@exits
def dashboard(ctx: click.Context, host: str | None, port: int | None) -> None:
    """Serve the live page: strategies, candles, orders, events, and the buttons to halt, resume and flatten.

    On this machine only, unless the host says otherwise; then dashboard.token must be set, and the page asks for it.
    Starts nothing, waits for the server while it is away, and runs until SIGINT or SIGTERM.
    """
    from pine.cli import logs

    logs.set_up()
    config = configuration(ctx)
    from pine.web.run import run_dashboard

    run_dashboard(config, host, port, config_suffix(ctx))
