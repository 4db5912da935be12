"""``pine trades``: the blotter."""

import csv
import io
from typing import Any, Final

import click

from pine.cli.columns import columns
from pine.cli.context import configuration, exits, print_json, visit
from pine.cli.options import Time, config_option

NUMBERS: Final = frozenset({3, 5, 7, 8})


@click.command()
@click.argument("name", required=False)
@click.option("--from", "begin", type=Time(), default=0, help="Only those that ended at this time or later.")
@click.option("--to", "end", type=Time(), default=1 << 62, help="Only those that ended before.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values with a header, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def trades(ctx: click.Context, name: str | None, begin: int, end: int, as_csv: bool, as_json: bool) -> None:
    """List finished trades of the strategy NAME, or of all: entry, exit and what they brought on paper.

    Entries that were voided, since they were never posted, are left out.
    """
    if as_csv and as_json:
        raise click.UsageError("say either --csv or --json", ctx)
    config = configuration(ctx)
    from pine.ops.trades import list_trades, sums
    from pine.worker.run import check_name

    if name is not None:
        check_name(config, name)
    with visit(config) as client:
        found = list_trades(client, [name] if name else config.strategies, begin, end)
    if as_json:
        print_json({"count": len(found), "sums": sums(found), "trades": found})
    elif as_csv:
        click.echo(_csv(found), nl=False)
    else:
        click.echo(_table(found, sums(found)))


def _csv(found: list[dict[str, Any]]) -> str:
    from pine.ops.trades import COLUMNS

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def _table(found: list[dict[str, Any]], totals: dict[str, dict[str, Any]]) -> str:
    if not found:
        return "no finished trades"
    titles = ("strategy", "contract", "side", "qty", "entered (UTC)", "at", "left", "at", "P&L", "why")
    rows = [
        (
            trade["strategy"],
            trade["contract"],
            trade["side"],
            str(trade["quantity"]),
            _short(trade["entered"]),
            f"{trade['entry_price']:.10g}",
            _short(trade["left"]),
            f"{trade['exit_price']:.10g}",
            f"{trade['pnl']:+,.2f}",
            f"{trade['entry_reason']} → {trade['exit_reason']}",
        )
        for trade in found
    ]
    lines = [
        f"{name}: {total['trades']} trade{'' if total['trades'] == 1 else 's'}, {total['won']} won, "
        f"{total['pnl']:+,.2f} dollars after {total['commission']:,.2f} of commissions"
        for name, total in totals.items()
    ]
    return "\n".join([*columns([titles, *rows], NUMBERS), *lines])


def _short(moment: str) -> str:
    return moment[:16].replace("T", " ")
