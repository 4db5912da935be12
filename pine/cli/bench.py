"""``pine bench``: how fast pine is, measured beside what else could do the same."""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pine.cli.context import FINE, WRONG, exits, print_json

if TYPE_CHECKING:
    from pine.bench.peer import Peer
    from pine.bench.row import Result
    from pine.bench.scale import Table


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

    Exit code 1 if an aim is not met; with --quick that is not judged.
    """
    from pine.bench.catalog import SCALES, rows
    from pine.bench.machine import describe
    from pine.bench.measure import compare
    from pine.bench.row import Bench
    from pine.bench.scale import tables

    chosen = rows([name for name in names if name not in SCALES]) if _has_rows(names) else []
    machine = describe()
    results: list[Result] = []
    grown: list[Table] = []
    peers: list[Peer] = []
    with _telling() as tell, tempfile.TemporaryDirectory(prefix="pine-bench-") as made:
        for row in chosen:
            folder = Path(made) / row.name
            folder.mkdir()
            results.append(compare(row, Bench(folder, quick, tell), repeat))
        for name in SCALES:
            if name in names:
                grown += tables(name, Bench(Path(made), quick, tell))
        if peer is not None:
            from pine.bench.peer import measure

            peers.append(measure(Bench(Path(made), quick, tell), python or sys.executable, repeat))
    if plot is not None:
        from pine.bench.plot import write

        write(plot, grown)
    if as_json:
        print_json(_document(machine, results, grown, peers, quick=quick))
    else:
        from pine.cli.bench_view import show

        show(machine, results, grown, peers, quick=quick)
    sys.exit(FINE if quick or all(result.met for result in results) else WRONG)


def _has_rows(names: tuple[str, ...]) -> bool:
    from pine.bench.catalog import SCALES

    return not names or any(name not in SCALES for name in names)


@contextlib.contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show on standard error what is being done, while a terminal looks on; otherwise a line for each."""
    if not sys.stderr.isatty():
        yield lambda text: click.echo(text, err=True)
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def _document(
    machine: dict[str, Any], results: "list[Result]", grown: "list[Table]", peers: "list[Peer]", *, quick: bool
) -> dict[str, Any]:
    from attrs import asdict

    return {
        "machine": machine,
        "quick": quick,
        "rows": [_row(result, quick=quick) for result in results],
        "scales": [asdict(table) for table in grown],
        "peers": [asdict(found) for found in peers],
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
