"""``pine up``: everything that the configuration asks for, on one machine."""

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from pine.cli.context import FINE, WRONG, configuration, configuration_path, exits, print_json
from pine.cli.loading import load_parts
from pine.cli.options import config_option

if TYPE_CHECKING:
    from pine.core.config import Config


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--only", metavar="NAMES", help="Only these, separated by commas; the same as naming them.")
@click.option("--dashboard", is_flag=True, help="The dashboard, too.")
@click.option("--metrics", is_flag=True, help="The endpoint for Prometheus, too.")
@click.option("--quiet", is_flag=True, help="Log lines only, without the table of states at the bottom.")
@click.option("--show", is_flag=True, help="Say how the running pine up is; exit code 1 if something fails.")
@click.option("--start", metavar="NAME", help="Have the running pine up start NAME, also one that is new in pine.yaml.")
@click.option("--stop", metavar="NAME", help="Have the running pine up end NAME in order, and nothing else.")
@click.option("--restart", metavar="NAME", help="Have the running pine up end NAME in order and start it again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with --show, --start, --stop, --restart.")
@config_option
@click.pass_context
@exits
def up(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    only: str | None,
    dashboard: bool,
    metrics: bool,
    quiet: bool,
    show: bool,
    as_json: bool,
    **wishes: str | None,
) -> None:
    """Run server, hub, archive and all enabled strategies with their couriers, and see that they go on.

    NAME is hub, archive or a strategy; without one, everything. A process that ends is started again, after a pause
    that grows; one that cannot run at all is tried again every few minutes, and shown as failing.

    Ctrl-C, SIGTERM or SIGHUP ends everything in order: workers, couriers once nothing is owed, hub, the rest, and the
    embedded server if it was started here. A second one ends everything at once. Exit code 0 if all ended in order,
    1 if something was failing, 2 if pine up runs already.
    """
    asked = [(wish, name) for wish, name in wishes.items() if name is not None] + [("show", "")] * show
    if len(asked) > 1 or (asked and (names or only)):
        raise click.UsageError("--show, --start, --stop and --restart are asked of the running pine up, one at a time")
    if asked:
        sys.exit(_ask(load_parts(ctx), *asked[0], as_json=as_json))  # the running one judges the rest
    if as_json:
        raise click.UsageError("--json goes with --show, --start, --stop or --restart")
    words = [*names, *(part.strip() for part in (only or "").split(",") if part.strip())]
    extras = [name for name, wanted in (("dashboard", dashboard), ("metrics", metrics)) if wanted]
    sys.exit(_run(ctx, words, extras, quiet=quiet))


def _run(ctx: click.Context, words: list[str], extras: list[str], *, quiet: bool) -> int:
    config = configuration(ctx)
    from pine.cli import logs
    from pine.cli.up_view import screen, told_to
    from pine.ops.supervisor.members import chosen, planned
    from pine.ops.supervisor.output import Relay
    from pine.ops.supervisor.run import Supervisor

    members = chosen(planned(config, _commands(ctx, config, extras)), [*words, *extras] if words else [], config)
    os.environ.setdefault(
        "PINE_LOG", "json"
    )  # here and in every process: the view makes sentences of it for a terminal
    logs.set_up("up")
    relay = Relay(screen(quiet=quiet), config.data_dir / "logs")
    relay.start()
    try:
        with told_to(relay):
            return Supervisor(config, members, relay, lambda: _judged(ctx)).run()
    finally:
        relay.close()


def _judged(ctx: click.Context) -> "Config":
    """Return the configuration of now, as far as it says who there is; a new process has found no mistake in it."""
    from pine.ops.supervisor.judge import judge

    judge(configuration_path(ctx))
    return load_parts(ctx)


def _commands(ctx: click.Context, config: "Config", extras: list[str]) -> list[str]:
    """Return the further commands to run: alerts if somebody is to be told, and what was asked for."""
    group = ctx.find_root().command
    known = group.list_commands(ctx) if isinstance(group, click.Group) else []
    alerts = ["alerts"] if any(config.alerts.urls) and "alerts" in known else []
    for name in extras:
        if name not in known:
            raise click.UsageError(f"there is no pine {name}")
    return [*alerts, *extras]


def _ask(config: "Config", wish: str, name: str, *, as_json: bool) -> int:
    from pine.ops.supervisor.door import ask

    facts = ask(config.data_dir, {"do": wish, "name": name})
    if as_json:
        print_json(facts)
    else:
        _print(facts)
    return WRONG if any(process["failing"] for process in facts["processes"]) else FINE


def _print(facts: dict[str, Any]) -> None:
    from pine.cli.status_view import console
    from pine.cli.up_view import table

    console().print(table(facts))
