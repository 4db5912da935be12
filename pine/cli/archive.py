"""``pine archive``: finished sessions as Parquet."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from pine.cli.context import FINE, WRONG, configuration, exits, print_json, visit
from pine.cli.options import config_option

if TYPE_CHECKING:
    from pine.history.sealer import Sealed


@click.group(invoke_without_command=True, subcommand_metavar="| verify")
@click.option("--once", is_flag=True, help="Seal what is finished and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, at the end.")
@config_option
@click.pass_context
@exits
def archive(ctx: click.Context, once: bool, as_json: bool) -> None:
    """Seal finished sessions of everything on the server into Parquet files.

    Runs until SIGINT or SIGTERM and seals each session shortly after its close. What is sealed can be trimmed.
    """
    if ctx.invoked_subcommand is not None:
        return
    from pine.cli import logs

    logs.set_up("archive")
    config = configuration(ctx)
    from pine.history.run import run_archive, seal_once

    if once:
        with visit(config, hurry=False) as client, _progress() as on_channel:
            sealed = seal_once(config, client, on_channel, _say_who)
    else:
        sealed = run_archive(config)
    if as_json:
        print_json(_document(sealed))
    elif once:
        rows = sum(item.rows for item in sealed)
        click.echo(f"{len(sealed)} sessions of {len({item.table for item in sealed})} tables sealed, {rows} rows")


@archive.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def verify(ctx: click.Context, as_json: bool) -> None:
    """Recompute hashes and counts of every file; exit code 1 names what differs."""
    config = configuration(ctx)
    from pine.history.archive import Archive

    files: list[str] = []
    differences = Archive.of(config).verify(files.append)
    if as_json:
        found = [{"path": difference.path, "what": difference.what} for difference in differences]
        print_json({"files": len(files), "differences": found})
    else:
        for difference in differences:
            click.echo(f"{difference.path}: {difference.what}")
        click.echo(f"{len(files)} files, {len(differences)} differences")
    sys.exit(WRONG if differences else FINE)


def _document(sealed: "list[Sealed]") -> dict[str, object]:
    found = [{"table": item.table, "session": item.session, "rows": item.rows} for item in sealed]
    return {"count": len(sealed), "rows": sum(item.rows for item in sealed), "sealed": found}


def _say_who(holder: str) -> None:
    who = holder.rpartition("#")[0] or holder
    click.echo(f"{who} has the role; waiting some seconds, in case it was killed and cannot give it back", err=True)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar while a terminal looks on; otherwise nothing."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("sealing", total=None)
        yield lambda table, done, of: progress.update(task, description=table, completed=done, total=of)
