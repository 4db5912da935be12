"""``pine server``: the embedded stream server by hand."""

import sys
import time
from pathlib import Path

import click

from pine.cli.context import FINE, WRONG, configuration, exits, print_json
from pine.cli.options import config_option


@click.group()
def server() -> None:
    """Start, stop or look at the embedded stream server of a data directory."""


@server.command()
@config_option
@click.pass_context
@exits
def start(ctx: click.Context) -> None:
    """Start it unless it runs; it goes on until it is stopped."""
    embedded = _embedded(ctx)
    embedded.ensure()
    click.echo(f"running, process {embedded.pid()}, {embedded.url}")


@server.command()
@config_option
@click.pass_context
@exits
def run(ctx: click.Context) -> None:
    """Be it, in the foreground, until SIGTERM: for a service manager. Nothing to do where bus.url names another."""
    if configuration(ctx).bus.url != "embedded":
        click.echo("bus.url names a server of your own: nothing to run", err=True)
        return
    _embedded(ctx).become()


@server.command()
@click.option("--force", is_flag=True, help="Also while hub or workers use it; they would start it again.")
@config_option
@click.pass_context
@exits
def stop(ctx: click.Context, force: bool) -> None:
    """Stop it; everything acknowledged is on disk."""
    from pine.bus.connection import client_for
    from pine.bus.users import own_name, users
    from pine.core.errors import BusError

    embedded = _embedded(ctx)
    if embedded.is_running() and not force:
        client = client_for(embedded.url, name=own_name())
        others = users(one for one in client.client_list() if one["name"] != own_name())
        client.close()
        if others:
            raise BusError(f"used by {', '.join(others)}; end what is named, or use --force")
    click.echo("stopped" if embedded.stop() else "was not running")


@server.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def status(ctx: click.Context, as_json: bool) -> None:
    """Say whether it runs; exit code 1 if not."""
    embedded = _embedded(ctx)
    running = embedded.is_running()
    if as_json:
        print_json({"running": running, "pid": embedded.pid() if running else None, "url": embedded.url})
    else:
        click.echo(f"running, process {embedded.pid()}, {embedded.url}" if running else "not running")
    sys.exit(FINE if running else WRONG)


@server.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@config_option
@click.pass_context
@exits
def backup(ctx: click.Context, folder: Path) -> None:
    """Copy everything that it has acknowledged into FOLDER, which must be new or empty; it may go on running.

    Ledgers, bars, deliveries, all of it; a complete copy has a backup.json. To restore: end everything, put
    FOLDER/appendonlydir in the place of DATA_DIR/bus/appendonlydir, and read docs/operations.md before the first worker
    starts.
    """
    from pine.bus.backup import back_up
    from pine.bus.ending import interrupt_on_end

    interrupt_on_end()  # so that nothing is left of a backup that is not complete
    size = back_up(_embedded(ctx), folder.expanduser().absolute(), time.time_ns())
    click.echo(f"{size:,} bytes in {folder}")


def _embedded(ctx: click.Context):  # type: ignore[no-untyped-def]
    from pine.bus.embedded import EmbeddedServer
    from pine.core.errors import BusError

    config = configuration(ctx)
    if config.bus.url != "embedded":
        raise BusError("bus.url names a server of your own; pine server is for the embedded one")
    return EmbeddedServer(config.data_dir, config.bus.fsync)
