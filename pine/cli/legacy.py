"""``pine legacy``: the single-process reference."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pine.cli.context import COULD_NOT_RUN, FINE, configuration, exits, print_json
from pine.cli.options import config_option

if TYPE_CHECKING:
    from pine.legacy.files import Summary
    from pine.legacy.preflight import Check


@click.command()
@click.argument("name")
@click.option("--live", is_flag=True, help="Post orders to the strategy's webhook; without it nothing is ever posted.")
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="New file for everything that happens, as JSON lines.",
)
@click.option(
    "--dbn",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Run over a DBN file of trades instead of Databento Live; may be repeated.",
)
@click.option("--check", is_flag=True, help="Only the checks before the start.")
@click.option("--fail-fast/--all-checks", default=True, show_default=True, help="End at the first check that fails.")
@click.option("--buy", is_flag=True, help="Buy warm-up bars that are missing from Databento Historical.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --check or --dbn.")
@config_option
@click.pass_context
@exits
def legacy(
    ctx: click.Context,
    name: str,
    live: bool,
    record: Path | None,
    dbn: tuple[Path, ...],
    check: bool,
    fail_fast: bool,
    buy: bool,
    as_json: bool,
) -> None:
    """Run the strategy NAME in one process, without server, hub, worker or courier: the reference to compare with.

    Databento Live to minute bars, hours and days in memory, Backtrader with its own indicators, a paper account. It
    decides what pine decides from the same trades. Positions are kept in memory only.

    Runs until SIGINT or SIGTERM: what has closed is decided on first, an open minute is dropped.
    """
    if dbn and (live or check or buy):
        raise click.UsageError("--dbn reads files: leave --live, --check and --buy out")
    if as_json and not (dbn or check):
        raise click.UsageError("--json needs --check or --dbn")
    from pine.cli import logs

    logs.set_up("legacy", name)
    config = configuration(ctx)
    from pine.legacy.files import run_files
    from pine.legacy.run import LegacyRun

    if dbn:
        from pine.worker.run import check_strategy

        check_strategy(config, name)
        with _progress() as on_records:
            summary = run_files(config, name, dbn, record, on_records)
        _print_summary(summary, as_json=as_json)
        return
    run = LegacyRun(config, name, live, record, buy)
    checks = run.preflight(fail_fast=fail_fast)
    _print_checks(checks, as_json=as_json)
    if not all(item.passed for item in checks):
        sys.exit(COULD_NOT_RUN)
    sys.exit(FINE if check else run.run())


def _print_checks(checks: "list[Check]", *, as_json: bool) -> None:
    if as_json:
        print_json({"checks": [{"name": c.name, "passed": c.passed, "text": c.text} for c in checks]})
        return
    for item in checks:
        click.echo(f"{'ok    ' if item.passed else 'FAILED'} {item.name}: {item.text}", err=True)


def _print_summary(summary: "Summary", *, as_json: bool) -> None:
    from attrs import asdict

    if as_json:
        print_json(asdict(summary))
        return
    bars = ", ".join(f"{count:,} {timeframe}" for timeframe, count in summary.bars.items())
    click.echo(f"{summary.trades:,} trades; bars: {bars or 'none'}")
    for kind, count in summary.left_out.items():
        click.echo(f"  left out: {count:,} {kind.replace('_', ' ')}")
    held = ", ".join(f"{quantity} {contract}" for contract, quantity in summary.positions.items())
    click.echo(
        f"{summary.intents} intents, {summary.fills} fills, realised {summary.pnl:,.2f} dollars, cash "
        f"{summary.cash:,.2f}, open: {held or 'nothing'}"
    )


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Show how many records were read and how fast, while a terminal looks on; otherwise nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), "records", MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("records", total=None)
        yield lambda count: progress.advance(task, count)
