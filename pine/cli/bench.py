"""``pine bench``: how fast pine is, measured beside what else could do the same."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pine import __version__
from pine.cli.context import FINE, WRONG, exits, print_json

if TYPE_CHECKING:
    from pine.bench.row import Result
    from pine.bench.run import Run

COULD_NOT: Final = 2


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--repeat", type=click.IntRange(1), help="Pairs of runs of each row, instead of its own number; memory has one."
)
@click.option("--quick", is_flag=True, help="Tiny data: shows that everything works, not how fast it is.")
@click.option("--peer", type=click.Choice(["nautilus"]), help="Also run the replay rows' bars through another engine.")
@click.option("--python", help="Python program that has the peer installed; this one if left out.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Write an HTML page of the scale tables.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@exits
def bench(
    names: tuple[str, ...],
    repeat: int | None,
    quick: bool,
    peer: str | None,
    python: str | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure pine side by side with what else does the same work, as ratios in one run.

    Rows: live, bulk, decision, steps, replay, replay-minutely, cores, restart, archive, memory, help, status; all of
    them without a NAME. Both sides of a row run in turns on the same generated data, and must come to the same.
    scale-symbols and scale-strategies show how cost grows. Needs no network and no configuration (docs/performance.md).

    Exit code 1 if an aim is not met, with --quick that is not judged; 2 if a row could not be measured.
    """
    _check(names, peer, python, plot)
    from pine.bench.machine import describe
    from pine.bench.run import Run

    machine = describe()
    run = Run(names, repeat, quick, None if peer is None else python or sys.executable)
    try:
        with _telling() as tell:
            run.measure(tell)
    finally:  # also of a run that somebody cuts short
        _show(machine, run, plot, as_json=as_json)
    if run.refused:
        sys.exit(COULD_NOT)
    sys.exit(FINE if quick or all(result.met for result in run.results) else WRONG)


def _check(names: tuple[str, ...], peer: str | None, python: str | None, plot: Path | None) -> None:
    """Refuse, before anything is measured, what could not be done after it."""
    from pine.bench.catalog import SCALES, rows

    rows([name for name in names if name not in SCALES])
    if plot is not None and not set(names) & set(SCALES):
        raise click.UsageError(f"--plot draws {' and '.join(SCALES)}: name one of them")
    if plot is not None and not plot.absolute().parent.is_dir():
        raise click.UsageError(f"--plot: {plot.absolute().parent} is no folder")
    if python is not None and peer is None:
        raise click.UsageError("--python goes with --peer")
    if peer is None:
        return
    if names and not any(name.startswith("replay") for name in names):
        raise click.UsageError("--peer runs the replay rows' bars: name one of them, or none")
    from pine.bench.peer import check

    check(python or sys.executable)


def _show(machine: dict[str, Any], run: "Run", plot: Path | None, *, as_json: bool) -> None:
    if plot is not None and run.grown:
        from pine.bench.plot import write

        write(plot, run.grown)
    if as_json:
        print_json(_document(machine, run))
    else:
        from pine.cli.bench_view import show

        show(machine, run)


@contextlib.contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show on standard error what is being done, while a terminal looks on; otherwise a line for each."""
    if not sys.stderr.isatty():
        yield lambda text: click.echo(text, err=True)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def _document(machine: dict[str, Any], run: "Run") -> dict[str, Any]:
    from attrs import asdict

    from pine.core.times import isoformat

    return {
        "pine": __version__,
        "at": isoformat(time.time_ns()),
        "machine": machine,
        "quick": run.quick,
        "rows": [_row(result, quick=run.quick) for result in run.results],
        "scales": [asdict(table) for table in run.grown],
        "peers": [asdict(found) for found in run.peers],
        "refused": run.refused,
    }


def _row(result: "Result", *, quick: bool) -> dict[str, Any]:
    row = result.row

    def spread(found: Any) -> dict[str, Any]:
        return {"median": found.median, "quartiles": found.quartiles, "values": list(found.values)}

    return {
        "name": row.name,
        "path": row.path,
        "against": row.against,
        "size": result.size,
        "same": result.same,
        "unit": row.unit,
        "clock": row.clock,
        "aim": {"at_least": row.aim.at_least, "at_most": row.aim.at_most},
        "ratio": result.ratio,
        "met": None if quick else result.met,
        "ratios": spread(result.ratios),
        "ratios_wall": spread(result.ratios_wall),
        "baseline": spread(result.baseline),
        "pine": spread(result.ours),
        "notes": dict(result.notes),
    }
