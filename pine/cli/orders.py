"""``pine orders``: intents and what became of them."""

from typing import Any, Final

import click

from pine.cli.columns import columns, terminal_width
from pine.cli.context import config_suffix, configuration, exits, print_json, visit
from pine.cli.options import StrategyGroup, config_option, who_option

NUMBERS: Final = frozenset({2, 4, 5, 6})
"""Columns of the table that are aligned to the right."""


@click.group(cls=StrategyGroup, invoke_without_command=True, subcommand_metavar="[STRATEGY] | resolve INTENT …")
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
        click.echo(table(found, terminal_width(), config_suffix(ctx)))


@orders.command()
@click.argument("intent")
@click.option("--posted", is_flag=True, help="The broker took it.")
@click.option("--not-posted", is_flag=True, help="The broker never got it.")
@who_option
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
    from pine.worker.run import check_name

    strategy = intent.split("-", 1)[0]
    check_name(config, strategy)
    with visit(config) as client:
        settle(client, strategy, intent, posted=posted, who=who)
    click.echo(f"{intent}: {'posted' if posted else 'not posted'}")


def table(found: list[dict[str, Any]], width: int | None, option: str = "") -> str:
    """Return the intents as text, one line each; two each if one is wider than the terminal.

    Parameters
    ----------
    found
        What `pine.ops.orders.list_orders` returns.
    width
        Columns of the terminal; nothing if there is none.
    option
        What a suggested command needs at its end to find the same configuration.
    """
    left = [("time (UTC)", "action", "qty", "contract", "price", "fill", "pnl")]
    right = [("state", "intent", "reason")]
    for order in found:
        time = order["time"][:16].replace("T", " ")
        pnl = "" if order["pnl"] is None else f"{order['pnl']:+,.2f}"
        what = (order["action"], str(order["quantity"]), order["contract"])
        left.append((time, *what, _price(order["price"]), _price(order["fill"]), pnl))
        right.append((order["state"] + (" void" if order["void"] else ""), order["intent"], order["reason"]))
    lines = columns([(*a, *b) for a, b in zip(left, right, strict=True)], NUMBERS)
    if width is not None and max(map(len, lines)) > width:
        pairs = zip(columns(left, NUMBERS), columns(right, frozenset()), strict=True)
        lines = [line for first, second in pairs for line in (first, f"    {second}")]
    unknown = sum(order["state"] == "unknown" for order in found)
    hint = f", {unknown} UNKNOWN: pine orders resolve ID --posted{option}, or --not-posted" if unknown else ""
    return "\n".join([*lines, f"{len(found)} intents{hint}"])


def _price(price: float | None) -> str:
    return "" if price is None else f"{price:.10g}"
