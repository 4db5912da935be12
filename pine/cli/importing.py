"""``pine import``: DBN files into the archive."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pine.cli.context import configuration, exits, print_json
from pine.cli.options import Time, config_option

if TYPE_CHECKING:
    from pine.hub.imports import Imported

_Told = tuple[Callable[[int], None], Callable[[int], None]]


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--from", "begin", type=Time(), help="The files hold everything since then, if their headers say less.")
@click.option("--to", "end", type=Time(), help="The files hold everything until then, if their headers say less.")
@click.option("--replace", is_flag=True, help="Put bars in the place of different ones in the archive.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def import_(
    ctx: click.Context, files: tuple[Path, ...], begin: int | None, end: int | None, replace: bool, as_json: bool
) -> None:
    """Build bars from DBN FILES (trades, ohlcv-1s or ohlcv-1m) and put them into the archive.

    With the hub's own aggregator and lead contracts; needs no key and no server. A minute, hour or day that is not
    wholly in the files makes no bar. Running it again changes nothing; nothing is written if a file is damaged, two
    overlap, or the archive has something else.
    """
    config = configuration(ctx)
    from pine.hub.imports import import_files

    with _progress() as (on_start, on_bytes):
        done = import_files(config, files, begin=begin, end=end, replace=replace, on_start=on_start, on_bytes=on_bytes)
    if as_json:
        print_json(_document(done))
    else:
        _tell(done)


def _document(done: "Imported") -> dict[str, Any]:
    from attrs import asdict

    from pine.core.times import isoformat

    return {
        "files": [str(path) for path in done.files],
        "repeated": [{"file": str(path), "same_as": str(other)} for path, other in done.repeated],
        "roots": {
            root: {
                "covered": [[isoformat(begin), isoformat(end)] for begin, end in done.covered[root]],
                **{table: asdict(added) for table, added in tables.items()},
            }
            for root, tables in done.added.items()
        },
        "counts": done.counts,
    }


def _tell(done: "Imported") -> None:
    from pine.core.times import isoformat

    for path, other in done.repeated:
        click.echo(f"{path}: left out, the same as {other}")
    for root, tables in done.added.items():
        parts = []
        for table, added in tables.items():
            more = [f"{n:,} {word}" for n, word in ((added.equal, "there"), (added.replaced, "replaced")) if n]
            parts.append(f"{table} {added.added:,} new" + "".join(f", {text}" for text in more))
        click.echo(f"{root}: {'; '.join(parts)}")
        for begin, end in done.covered[root]:
            click.echo(f"  minutes covered from {isoformat(begin)} to {isoformat(end)}")
    read = {kind: count for kind, count in done.counts.items() if kind in ("trades", "bars")}
    left_out = {kind: count for kind, count in sorted(done.counts.items()) if kind not in read and count}
    click.echo(", ".join(f"{count:,} {kind}" for kind, count in read.items()) or "no records")
    for kind, count in left_out.items():
        click.echo(f"  left out: {count:,} {kind.replace('_', ' ')}")


@contextlib.contextmanager
def _progress() -> Iterator[_Told]:
    """Show how far it is, how fast and how long it will take, while a terminal looks on; otherwise nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None, lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("importing", total=None)
        yield (
            lambda total: progress.update(task, total=total),
            lambda count: progress.advance(task, count),
        )
