"""What ``pine bench`` prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from pine.bench.machine import in_words

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from pine.bench.row import Result, Spread
    from pine.bench.run import Run
    from pine.bench.scale import Table


def show(machine: dict[str, Any], run: "Run") -> None:
    """Print the machine, the rows, what each was given, how cost grows, and what could not be measured."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(in_words(machine))
    if run.results:
        console.print(_rows(run.results, quick=run.quick))
        for result in run.results:
            row, pairs = result.row, len(result.ratios.values)
            unit = f"{row.unit}{', of processor time' if row.clock == 'cpu' else ''}"
            console.print(
                f"[bold]{row.name}[/], {unit}: {row.path}, against {row.against}; {_count(pairs, 'pair')} of runs; "
                f"{result.size}; {result.same}"
            )
            for name, value in result.notes.items():
                console.print(f"  {name}: {_number(value)}")
    for table in run.grown:
        console.print(_grown(table))
    for peer in run.peers:
        console.print(peer.in_words())
    for name, reason in run.refused.items():
        console.print(f"[bold]{name}[/]: [red]not measured[/]: {escape(reason)}")


def _rows(results: "Sequence[Result]", *, quick: bool) -> "RichTable":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption="medians, quartiles below", caption_justify="left")
    for heading in ("row", "ratio", "aim", "met", "baseline", "pine"):
        table.add_column(heading, justify="right" if heading in ("ratio", "baseline", "pine") else "left", no_wrap=True)
    for result in results:
        table.add_row(
            result.row.name,
            "{}\n{}–{}".format(*(f"{value:.2f}" for value in (result.ratio, *result.ratios.quartiles))),
            str(result.row.aim),
            "–" if quick else "yes" if result.met else "[red]no[/]",
            _spread(result.baseline),
            _spread(result.ours),
        )
    return table


def _grown(grown: "Table") -> "RichTable":
    from rich.table import Table

    table = Table(title=grown.what)
    for heading in ("size", f"{grown.unit} a second", "memory, MB", "µs each"):
        table.add_column(heading, justify="right")
    for point in grown.points:
        table.add_row(str(point.size), _number(point.rate), _number(point.memory), f"{point.each:.2f}")
    return table


def _spread(spread: "Spread") -> str:
    low, high = spread.quartiles
    return f"{_number(spread.median)}\n{_number(low)}–{_number(high)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
