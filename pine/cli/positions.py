"""``pine positions``: paper and sent side by side, corrections, and the broker's own list."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pine.cli.columns import columns
from pine.cli.context import FINE, WRONG, configuration, exits, print_json, visit
from pine.cli.options import StrategyGroup, config_option, one_line, who_option

if TYPE_CHECKING:
    from pine.ops.broker import LeftOut

TITLES: Final = ("strategy", "contract", "paper", "sent", "price", "last", "open P&L", "")
NUMBERS: Final = frozenset({2, 3, 4, 5, 6})


@click.group(
    cls=StrategyGroup, invoke_without_command=True, subcommand_metavar="[STRATEGY] | set NAME … | compare FILE"
)
@click.option("--strategy", metavar="STRATEGY", help="Only this strategy's; the option's name may be left out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def positions(ctx: click.Context, strategy: str | None, as_json: bool) -> None:
    """List positions on paper and as they were sent; exit code 1 if the two differ.

    What was sent is what the webhook took. It differs from paper while an order is on its way, which is no mistake,
    and when the broker refused an exit, which is.
    """
    if ctx.invoked_subcommand is not None:
        return
    config = configuration(ctx)
    from pine.ops.positions import list_positions
    from pine.worker.run import check_name

    if strategy is not None:
        check_name(config, strategy)
    with visit(config) as client:
        rows = list_positions(config, client, [strategy] if strategy else config.strategies)
    if as_json:
        print_json({"count": len(rows), "positions": rows})
    else:
        click.echo("\n".join(columns([TITLES, *map(_cells, rows)], NUMBERS)) if rows else "no positions")
    sys.exit(WRONG if any(row["differs"] for row in rows) else FINE)


@positions.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("symbol")
@click.argument("quantity", type=int)
@click.argument("contract", required=False, default="")
@click.option("--price", type=float, help="What it cost on average, in points; of 0 contracts, where it was closed.")
@click.option("--reason", required=True, callback=one_line, help="Why; it is kept with the correction.")
@who_option
@click.option(
    "--force", is_flag=True, help="Also while an order is on its way in the symbol; it is forgotten on paper."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def set_position(
    ctx: click.Context,
    name: str,
    symbol: str,
    quantity: int,
    contract: str,
    price: float | None,
    reason: str,
    who: str,
    force: bool,
    as_json: bool,
) -> None:
    """Take over what the broker has: strategy NAME holds QUANTITY of CONTRACT in SYMBOL.

    QUANTITY is negative when short; 0, without CONTRACT, says that there is none. With --price a position that the
    broker has closed there is realised; otherwise the paper position is taken back as if it had never been. Nothing is
    posted. Recorded in the ledger with who and why, so that a replay does the same.
    """
    config = configuration(ctx)
    from pine.ops.control import sentence
    from pine.ops.correction import correct

    with visit(config) as client:
        answer = correct(
            config,
            client,
            name,
            symbol,
            quantity,
            contract,
            price,
            who=who,
            reason=reason,
            force=force,
        )
    if as_json:
        print_json(answer.to_dict())
    else:
        click.echo(f"{answer.strategy}: {sentence(answer)}")
    sys.exit(FINE if answer.step is not None else WRONG)


@positions.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--strategy", "names", multiple=True, help="Only these strategies trade on that account; repeat it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def compare(ctx: click.Context, file: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Compare with a broker's list of positions, a CSV FILE; exit code 1 on differences.

    The file has a header with a column for the contract (contract, ticker, symbol …; ESZ4, ESZ24 or ESZ2024) and one
    for the quantity (quantity, qty, position, net …), negative when short, or with a column side that says long or
    short. Rows of anything but futures are left out and named. Strategies without a webhook are on paper only and left
    out. Due is what paper holds when orders on their way are filled; the broker should have it.
    """
    config = configuration(ctx)
    from pine.ops.broker import desk_roots, read_broker
    from pine.ops.positions import compare as compared
    from pine.ops.positions import list_positions
    from pine.worker.run import check_name

    for name in names:
        check_name(config, name)
    broker = read_broker(file, desk_roots(config), time.time_ns())
    with visit(config) as client:
        rows = compared(list_positions(config, client, names or config.strategies), broker.held)
    different = [row for row in rows if row["differs"]]
    if as_json:
        left_out = [row.to_dict() for row in broker.left_out]
        print_json({"count": len(rows), "differences": len(different), "contracts": rows, "left_out": left_out})
    else:
        kinds = ("paper", "due", "sent", "broker")
        cells = [(row["contract"], *(f"{row[kind]:+d}" for kind in kinds), _note(row)) for row in rows]
        lines = columns([("contract", *kinds, ""), *cells], frozenset({1, 2, 3, 4}))
        click.echo("\n".join([*lines, *_left_out(broker.left_out), _verdict(different)]))
    sys.exit(WRONG if different else FINE)


def _note(row: dict[str, Any]) -> str:
    return ", ".join(["DIFFERS"] * row["differs"] + ["on its way"] * row["on_its_way"])


def _left_out(rows: "Iterable[LeftOut]") -> list[str]:
    """Return a line for each kind of row in the broker's list that is no future."""
    lines: dict[str, list[str]] = {}
    for row in rows:
        lines.setdefault(row.kind, []).append(str(row.line))
    return [f"left out, no futures ({kind}): line {', '.join(numbers)}" for kind, numbers in lines.items()]


def _verdict(different: Iterable[dict[str, Any]]) -> str:
    found = [row["contract"] for row in different]
    if not found:
        return "the broker's list agrees"
    return f"{len(found)} different; once it is known which is right: pine positions set NAME SYMBOL QUANTITY CONTRACT"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    note = "DIFFERS" if row["differs"] else "on its way" if not row["settled"] or row["paper"] != row["due"] else ""
    return (
        row["strategy"],
        row["contract"],
        f"{row['paper']:+d}",
        "paper only" if row["sent"] is None else f"{row['sent']:+d}",
        _price(row["price"]),
        _price(row["last"]),
        "" if row["open_pnl"] is None else f"{row['open_pnl']:+,.2f}",
        note,
    )


def _price(price: float | None) -> str:
    return "" if price is None else f"{price:.10g}"
