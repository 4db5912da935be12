"""``pine alerts``: watch, and send messages."""

import sys
from typing import TYPE_CHECKING

import click

from pine.cli.context import FINE, WRONG, config_suffix, configuration, exits, print_json
from pine.cli.options import config_option

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.ops.alerts.message import Message


@click.command()
@click.option("--test", "test", is_flag=True, help="Send a test message to every URL and say whether it went.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send and keep nothing.")
@click.option("--once", is_flag=True, help="Say what is wrong at the moment, send nothing, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --test or --once.")
@config_option
@click.pass_context
@exits
def alerts(ctx: click.Context, test: bool, dry_run: bool, once: bool, as_json: bool) -> None:
    """Watch everything and send a message when a person should know of something.

    Where to is alerts.urls, what is told alerts.on. Runs until SIGINT or SIGTERM and starts no server. What was told
    is kept on the server: nothing is told twice, whoever is restarted. A second one waits until the first is gone.

    Exit code 1 if a test message did not go, or --once found something wrong.
    """
    if test + dry_run + once > 1:
        raise click.UsageError("--test, --dry-run and --once do different things; name one of them")
    if as_json and not (test or once):
        raise click.UsageError("--json is one document; it goes with --test or --once")
    if once:
        sys.exit(_once(configuration(ctx), config_suffix(ctx), as_json=as_json))
    if test:
        sys.exit(_test(configuration(ctx), as_json=as_json))
    from pine.cli import logs

    logs.set_up()
    config = configuration(ctx)
    from pine.ops.alerts.run import run_alerts
    from pine.ops.alerts.services import Service, services

    found = [Service("terminal", _print)] if dry_run else services(config)
    sys.exit(run_alerts(config, found, config_suffix(ctx), dry=dry_run))


def _once(config: "Config", option: str, *, as_json: bool) -> int:
    from pine.ops.alerts.run import wrong_now

    found = wrong_now(config, option)
    if as_json:
        print_json({"wrong": found})
    else:
        for one in found:
            click.echo(f"{one['title']}: {one['body']}")
        if not found:
            click.echo("nothing is wrong")
    return WRONG if found else FINE


def _test(config: "Config", *, as_json: bool) -> int:
    from pine.ops.alerts.services import services, try_all

    went = try_all(services(config))
    if as_json:
        print_json({"services": [{"service": name, "sent": sent} for name, sent in went]})
    else:
        for name, sent in went:
            click.echo(f"{name}: {'sent' if sent else 'NOT SENT'}")
    return FINE if all(sent for _, sent in went) else WRONG


def _print(message: "Message") -> bool:
    mark = "!" if message.urgent else "✓" if message.good else "-"
    body = "".join(f"\n    {line}" for line in message.body.splitlines())
    click.echo(f"{mark} [{message.kind}] {message.title}{body}")
    return True
