"""``pine orders``: intents and what became of them."""

from typing import Any, Final

import click

from pine.cli.columns import columns, terminal_width
from pine.cli.context import config_suffix, configuration, exits, print_json, visit
from pine.cli.options import StrategyGroup, config_option, who_option

NUMBERS: Final = frozenset({2, 3, 4})
"""Columns of the table that are aligned to the right."""

ANSWER: Final = 36
"""Columns for a state and what came of the newest try, on a terminal; elsewhere it is told whole."""


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
        posting = {name for name, setting in config.strategies.items() if setting.webhook}
        found = list_orders(client, [strategy] if strategy else config.strategies, posting)
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
    """Return the intents as text, one line each; on a narrow terminal without the price, or two lines each.

    Parameters
    ----------
    found
        What `pine.ops.orders.list_orders` returns.
    width
        Columns of the terminal; nothing if there is none.
    option
        What a suggested command needs at its end to find the same configuration.
    """
    left = [("time (UTC)", "order", "price", "fill", "pnl")]
    right = [("state", "reason", "intent")]
    decimals = _decimals(found)
    for order in found:
        time = order["time"][5:16].replace("T", " ")  # the intent's id has the year
        pnl = "" if order["pnl"] is None else f"{order['pnl']:+,.2f}"
        what = f"{order['action']} {order['quantity']} {order['contract']}"
        prices = (_price(order[name], decimals[order["contract"]]) for name in ("price", "fill"))
        left.append((time, what, *prices, pnl))
        state = _state(order)
        right.append((state if width is None else _cut(state, ANSWER), order["reason"], order["intent"]))
    rows = [(*a, *b) for a, b in zip(left, right, strict=True)]
    lines = columns(rows, NUMBERS)
    if width is not None and max(map(len, lines)) > width:  # the fill says nearly the same as the price
        lines = columns([(*row[:2], *row[3:]) for row in rows], frozenset({2, 3}))
    if width is not None and max(map(len, lines)) > width:
        pairs = zip(columns(left, NUMBERS), columns(right, frozenset()), strict=True)
        lines = [line for first, second in pairs for line in (first, f"    {second}")]
    unknown = sum(order["state"] == "unknown" for order in found)
    hint = f", {unknown} UNKNOWN: pine orders resolve ID --posted{option}, or --not-posted" if unknown else ""
    return "\n".join([*lines, f"{len(found)} intents{hint}"])


def _state(order: dict[str, Any]) -> str:
    """Return how far an order has come, and why no further."""
    state = order["state"] + (" void" if order["void"] else "")
    text = " ".join(order["text"].split())
    return f"{state}: {text}" if text and order["state"] != "posted" else state


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _decimals(found: list[dict[str, Any]]) -> dict[str, int]:
    """Return with how many decimals the prices of each contract are told: as many as one of them needs."""
    most: dict[str, int] = {}
    for order in found:
        needed = (len(f"{order[name] or 0:.10g}".partition(".")[2]) for name in ("price", "fill"))
        most[order["contract"]] = max(most.get(order["contract"], 0), *needed)
    return most


def _price(price: float | None, decimals: int) -> str:
    return "" if price is None else f"{price:.{decimals}f}"
