"""``pine orders``: intents and what became of them."""

import getpass
from typing import Any

import click

from pine.cli.context import configuration, exits, print_json, visit
from pine.cli.options import config_option


class OrdersGroup(click.Group):
    """Takes the name of a strategy where other groups expect a subcommand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``orders NAME`` as ``orders --strategy NAME``."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["--strategy", *args]
        return super().parse_args(ctx, args)


@click.group(cls=OrdersGroup, invoke_without_command=True, subcommand_metavar="[STRATEGY] | resolve INTENT …")
@click.option("--strategy", metavar="STRATEGY", help="Only this strategy's; the option's name may be left out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def orders(ctx: click.Context, strategy: str | None, as_json: bool) -> None:
    """List intents with fills and the state of their webhooks."""
    if ctx.invoked_subcommand is not None:
        return
    config = configuration(ctx)
    from pine.ops.orders import list_orders
    from pine.worker.run import check_name

    if strategy is not None:
        check_name(config, strategy)
    with visit(config) as client:
        found = list_orders(client, [strategy] if strategy else config.strategies)
    if as_json:
        print_json({"count": len(found), "orders": found})
    else:
        _print_table(found)


@orders.command()
@click.argument("intent")
@click.option("--posted", is_flag=True, help="The broker took it.")
@click.option("--not-posted", is_flag=True, help="The broker never got it.")
@click.option("--who", default=getpass.getuser, help="Who says so; you, if left out.")
@config_option
@click.pass_context
@exits
def resolve(ctx: click.Context, intent: str, posted: bool, not_posted: bool, who: str) -> None:
    """Settle INTENT, whose outcome is unknown, after a look at the broker's own list.

    Say --posted or --not-posted; an entry that was not posted is voided on paper, for good.
    """
    if posted == not_posted:
        raise click.UsageError("say either --posted or --not-posted, as the broker's own list has it", ctx)
    config = configuration(ctx)
    from pine.ops.orders import resolve as settle

    strategy = intent.split("-", 1)[0]
    with visit(config) as client:
        settle(client, strategy, intent, posted=posted, who=who)
    click.echo(f"{intent}: {'posted' if posted else 'not posted'}")


def _print_table(found: list[dict[str, Any]]) -> None:
    numbers = ("price", "fill", "pnl")
    titles = "".join(f"{name:>11}" for name in numbers)
    lines = [f"{'time (UTC)':<17}{'action':<7}{'qty':>4}  {'contract':<9}{titles}  {'state':<11}intent, reason"]
    for order in found:
        cells = "".join(" " * 11 if order[name] is None else f"{order[name]:>11.10g}" for name in numbers)
        state = order["state"] + (" void" if order["void"] else "")
        what = f"{order['action']:<7}{order['quantity']:>4}  {order['contract']:<9}"
        time = order["time"][:16].replace("T", " ")
        lines.append(f"{time} {what}{cells}  {state:<11}{order['intent']}  {order['reason']}")
    unknown = sum(order["state"] == "unknown" for order in found)
    hint = f", {unknown} UNKNOWN: pine orders resolve ID --posted, or --not-posted" if unknown else ""
    lines.append(f"{len(found)} intents{hint}")
    click.echo("\n".join(lines))
