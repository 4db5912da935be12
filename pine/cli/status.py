"""``pine status``: what runs, how far it is, and what is wrong."""

import sys
import time
from typing import TYPE_CHECKING, Final

import click

from pine.cli.context import FINE, WRONG, config_suffix, configuration, exits, explained, print_json
from pine.cli.options import config_option

if TYPE_CHECKING:
    from pine.core.config import Config

EVERY_SECONDS: Final = 1.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@config_option
@click.pass_context
@exits
def status(ctx: click.Context, as_json: bool, watch: bool) -> None:
    """Say what runs, how far it is, and what is wrong.

    Exit code 1 if something is wrong: hub or worker of an enabled strategy not running, no data in an open market,
    orders whose outcome is unknown, webhooks owed and no courier, no server. Starts nothing.
    """
    if as_json and watch:
        raise click.UsageError("--json is one document; leave --watch out")
    config = configuration(ctx)
    from pine.bus.connection import VISIT_SECONDS, connect
    from pine.core.errors import BusError
    from pine.ops.status import Observer, without_server

    if watch:
        sys.exit(_watch(ctx, config))
    try:
        client = connect(config, start=False, silence=VISIT_SECONDS)
    except BusError as error:
        facts = without_server(config, time.time_ns(), explained(ctx, error))
    else:
        try:
            facts = Observer(config, client, config_suffix(ctx)).look(time.time_ns())
        finally:
            client.close()
    if as_json:
        print_json(facts)
    else:
        from pine.cli.status_view import console, picture

        screen = console()
        screen.print(picture(facts, screen.width))
    sys.exit(WRONG if facts["problems"] else FINE)


def _watch(ctx: click.Context, config: "Config") -> int:
    """Draw once a second until Ctrl-C, also while the server is away; return the exit code of the last look."""
    import redis
    from rich.live import Live

    from pine.bus.connection import VISIT_SECONDS, connect
    from pine.cli.status_view import away, console, picture
    from pine.core.errors import BusError
    from pine.ops.status import Observer

    observer: Observer | None = None
    code = FINE
    with Live(console=console(), screen=console().is_terminal, auto_refresh=False) as live:
        try:
            while True:
                try:
                    if observer is None:
                        observer = Observer(
                            config, connect(config, start=False, silence=VISIT_SECONDS), config_suffix(ctx)
                        )
                    facts = observer.look(time.time_ns())
                    code = WRONG if facts["problems"] else FINE
                    live.update(picture(facts, live.console.width, wrong_first=True), refresh=True)
                except (redis.RedisError, BusError) as error:
                    observer, code = None, WRONG
                    live.update(away(explained(ctx, error)), refresh=True)
                time.sleep(EVERY_SECONDS)  # the pace of the picture; Ctrl-C ends it
        except KeyboardInterrupt:
            return code
