"""What a training came to, as tables for a terminal and as a document."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import asdict

from pine.cli.columns import terminal_width

if TYPE_CHECKING:
    from pine.replay.jobs import Done
    from pine.training.train import Terms, Trained

WIDEST = 110


def show(terms: "Terms", found: "Sequence[Trained]", folder: Path, page: Path, done: "Done") -> None:
    """Print figures, what was left out, and where everything is."""
    from rich.console import Console
    from rich.table import Table

    from pine.strategies.models.card import GENERATED
    from pine.training.told import TRAINED_ON_GENERATED, figures_table, left_out

    made = [each for each in found if each.card is not None]
    if terms.data == GENERATED:
        click.echo(TRAINED_ON_GENERATED)
    if made:
        rows = figures_table(made)
        table = Table(rows[0][0])
        for name in rows[0][1:]:
            table.add_column(name, justify="right")
        for row in rows[1:]:
            table.add_row(*row)
        Console(width=terminal_width() or WIDEST).print(table)
    for each in found:
        symbol = each.sample.symbol
        if each.card is None:
            click.echo(f"{symbol}: no model: {each.problem}")
        else:
            click.echo(f"{symbol}: {folder / terms.strategy / f'{symbol}.json'}")
        for text in left_out(each):
            click.echo(f"  left out: {text}")
    for alert in done.alerts:
        click.echo(f"alert: {alert}")
    for hole in done.holes:
        click.echo(f"missing: {hole}")
    click.echo(f"report: {page}")


def document(terms: "Terms", found: "Sequence[Trained]", folder: Path, page: Path, done: "Done") -> dict[str, Any]:
    """Return everything for ``--json``."""
    return {
        "strategy": terms.strategy,
        "data": terms.data,
        "seed": terms.seed,
        "slippage_ticks": terms.slippage_ticks,
        "folder": str(folder),
        "record": str(done.folder),
        "report": str(page),
        "alerts": list(done.alerts),
        "missing": list(done.holes),
        "models": [
            {
                "symbol": each.sample.symbol,
                "rows": len(each.sample.rows),
                "still_open": each.sample.still_open,
                "incomplete": each.sample.incomplete,
                "missing": dict(each.sample.missing),
                "problem": each.problem,
                "card": None if each.card is None else asdict(each.card),
                "gains": dict(each.gains),
            }
            for each in found
        ],
    }
