"""What replays came to, as a table for any width and as a document."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import asdict, field, frozen

from pine.cli.columns import fits, terminal_width
from pine.core.times import isoformat, to_datetime

if TYPE_CHECKING:
    from rich.table import Table

    from pine.replay.jobs import Done, OnProgress
    from pine.replay.jobs import Progress as Reached
    from pine.replay.parity import Verdict
    from pine.replay.record import Record
    from pine.replay.statistics import Statistics

WIDEST: Final = 110
TOLD: Final = 5


@frozen(eq=False)
class Run:
    """One strategy's replay with everything that is told of it."""

    done: "Done"
    record: "Record"
    statistics: "Statistics"
    verdict: "Verdict | None" = None
    notes: tuple[str, ...] = field(factory=tuple)


def show(runs: "Sequence[Run]") -> None:
    """Print the verdicts first, then a summary, then what to look at."""
    from rich.console import Console

    from pine.cli import parity_view

    for run in runs:
        if run.verdict is not None:
            click.echo(parity_view.text(run.verdict))
            click.echo()
    width = terminal_width() or WIDEST
    console = Console(width=width)
    across = _across(runs)
    console.print(across if fits(across, width) else _down(runs))
    for run in runs:
        click.echo(f"{run.done.strategy}: {_span(run)}, record in {run.done.folder}")
        for text in (
            _refused(run)
            + _told("open at the end", run.statistics.open)
            + _told("alert", run.done.alerts)
            + _told("missing", run.done.holes)
            + _told("note", run.done.notes)
            + list(run.notes)
        ):
            click.echo(f"  {text}")


def document(runs: "Sequence[Run]") -> dict[str, Any]:
    """Return everything for ``--json``."""
    from pine.cli import parity_view

    return {
        "runs": [
            {
                "strategy": run.done.strategy,
                "from": isoformat(run.record.facts.begin),
                "to": isoformat(run.record.facts.end),
                "record": str(run.done.folder),
                "steps": run.done.steps,
                "seconds": round(run.done.seconds, 3),
                **asdict(run.statistics),
                "alerts": list(run.done.alerts),
                "missing": list(run.done.holes),
                "notes": list(run.done.notes),
                "parity": None if run.verdict is None else parity_view.document(run.verdict),
            }
            for run in runs
        ]
    }


def _figures(run: Run) -> list[tuple[str, str]]:
    figures = run.statistics
    speed = run.done.steps / run.done.seconds if run.done.seconds else 0.0
    return [
        ("entries / exits", f"{figures.entries} / {figures.exits}"),
        ("P&L $", f"{figures.pnl:,.2f}"),
        ("win rate", _percent(figures.win_rate)),
        ("max drawdown $", f"{figures.max_drawdown:,.2f}"),
        ("Sharpe", "" if figures.sharpe is None else f"{figures.sharpe:.2f}"),
        ("steps", f"{run.done.steps:,}"),
        ("steps/s", f"{speed:,.0f}"),
    ]


def _percent(part: float | None) -> str:
    return "" if part is None else f"{part:.0%}"


def _across(runs: "Sequence[Run]") -> "Table":
    from rich.table import Table

    table = Table("strategy")
    for name, _ in _figures(runs[0]):
        table.add_column(name, justify="right")
    for run in runs:
        table.add_row(run.done.strategy, *(value for _, value in _figures(run)))
    return table


def _down(runs: "Sequence[Run]") -> "Table":
    from rich.table import Table

    table = Table("strategy", *(run.done.strategy for run in runs))
    for row in zip(*(_figures(run) for run in runs), strict=True):
        table.add_row(row[0][0], *(value for _, value in row))
    return table


def _span(run: Run) -> str:
    return f"{isoformat(run.record.facts.begin)} to {isoformat(run.record.facts.end)}"


def _refused(run: Run) -> list[str]:
    kinds = [f"{kind} {count:,}" for kind, count in run.statistics.refused.items()]
    return [f"entries refused: {', '.join(kinds)}"] if kinds else []


def _told(what: str, lines: Sequence[str]) -> list[str]:
    more = [f"{what}: and {len(lines) - TOLD} more"] if len(lines) > TOLD else []
    return [f"{what}: {line}" for line in lines[:TOLD]] + more


@contextlib.contextmanager
def stepping(strategies: Sequence[str]) -> "Iterator[OnProgress]":
    """Show how far each strategy is, how many steps a second, and how long it will take, while a terminal looks on."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[day]} {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {name: progress.add_task(name, total=None, day="", rate="") for name in strategies}
        rate = _Rate()

        def tell(strategy: str, at: "Reached") -> None:
            progress.update(
                tasks[strategy],
                total=at.end - at.begin,
                completed=max(0, at.at - at.begin),
                day=f"{to_datetime(at.at):%Y-%m-%d}",
                rate=rate.of(strategy, at.steps),
            )

        yield tell


class _Rate:
    """Steps a second since the first word of each strategy."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[float, int]] = {}

    def of(self, strategy: str, steps: int) -> str:
        import time

        began, first = self._first.setdefault(strategy, (time.monotonic(), steps))
        passed = time.monotonic() - began
        return f"{(steps - first) / passed:,.0f}/s" if passed > 0 else ""


@contextlib.contextmanager
def reading(total: int) -> Iterator[Callable[[int], None]]:
    """Show how much of the files was read, while a terminal looks on."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("trades"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("trades", total=total)
        yield lambda count: progress.advance(task, count)
