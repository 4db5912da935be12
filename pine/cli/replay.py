"""``pine replay``, ``pine backtest`` and ``pine parity``."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pine.cli.context import FINE, WRONG, configuration, exits, print_json
from pine.cli.options import Speed, Time, config_option
from pine.cli.sources import look
from pine.cli.trades import HISTORY, spooled, trade_files

if TYPE_CHECKING:
    from pine.cli.replay_view import Run
    from pine.core.config import Config
    from pine.replay.against import Against, Reference
    from pine.replay.jobs import Done, Job
    from pine.replay.plans import Wish
    from pine.replay.record import Record
    from pine.replay.tape import Spool

LEGACY = "legacy"
VIA_HELP = (
    "The worker's engine (the default), or worker processes that read a private server. Both give the same record."
)

F = TypeVar("F", bound=Callable[..., Any])


def _run_options(command: F) -> F:
    """Add the options that replay and backtest share."""
    options = [
        click.option("--from", "begin", type=Time(), help="Decide from then on; else from where the warm-up is known."),
        click.option("--to", "end", type=Time(), help="Until then; else to the end."),
        click.option(
            "--strategy",
            "strategies",
            multiple=True,
            metavar="NAME",
            help="Again for more; else all enabled.",
        ),
        click.option(
            "--source",
            "sources",
            multiple=True,
            default=(HISTORY,),
            metavar="history|tape|FILE",
            help="Bars of streams and archive (the default), or trades: the hub's tape, or DBN files, each named.",
        ),
        click.option(
            "--warm-up",
            type=click.Choice(["configured", "off"]),
            default="configured",
            help="Feed history first as the configuration says, or only the session under way. Trades: what they hold.",
        ),
        click.option(
            "--against", metavar="WHAT", help="Compare with flight (the worker's records), legacy, a run, a file."
        ),
        click.option(
            "--tolerance", "tolerances", multiple=True, metavar="COLUMN=NUMBER", help="A column may differ by so much."
        ),
        click.option(
            "--report",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Write an HTML page; needs no network.",
        ),
        click.option("--json", "as_json", is_flag=True, help="One JSON document."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_run_options
@click.option("--speed", type=Speed(), default="max", help="max, or how many times faster than real time.")
@click.option("--via", type=click.Choice(["engine", "bus"]), default="engine", help=VIA_HELP)
@config_option
@click.pass_context
@exits
def replay(ctx: click.Context, /, speed: float | None, via: str, **options: Any) -> None:
    """Run strategies again over recorded bars or trades, through the worker's own engine.

    Nothing is posted and no ledger is written: the account is in memory. What each run saw and thought is kept in a
    folder under data_dir/runs. With --against it is compared value by value: exit code 0 is the same, 1 different, 2
    could not be compared. Against flight a run begins where the worker did, and is asked what it was asked.

    With --via bus everything is published as a hub does it on a server of the run's own, which goes away with it, and
    read by pine worker processes, one for each strategy, all at once. Nothing of the desk is touched.
    """
    from pine.bus.ending import interrupt_on_end
    from pine.replay.run import Costs

    config = configuration(ctx)
    interrupt_on_end()  # what is unpacked or started for a while goes with the command, however it is ended
    with look(config):
        _run(config, Costs(), speed, via=via, **options)


@click.command()
@_run_options
@click.option("--commission", type=click.FloatRange(0), help="Dollars per contract and side, for every instrument.")
@click.option("--slippage-ticks", type=click.FloatRange(0), default=0.0, help="Ticks by which every fill is worse.")
@config_option
@click.pass_context
@exits
def backtest(ctx: click.Context, /, commission: float | None, slippage_ticks: float, **options: Any) -> None:
    """Replay strategies with costs, and write a report.

    As pine replay, from an empty account; the report goes into the first run's folder unless --report names a file.
    """
    from pine.bus.ending import interrupt_on_end
    from pine.replay.run import Costs

    config = configuration(ctx)
    interrupt_on_end()  # what is unpacked or started for a while goes with the command, however it is ended
    with look(config):
        _run(config, Costs(commission, slippage_ticks), None, in_front=True, **options)


@click.command()
@click.argument("left", type=click.Path(path_type=Path))
@click.argument("right", type=click.Path(path_type=Path))
@click.option("--from", "begin", type=Time(), help="Compare what came after then.")
@click.option("--to", "end", type=Time(), help="Compare what came until then.")
@click.option(
    "--tolerance", "tolerances", multiple=True, metavar="COLUMN=NUMBER", help="A column may differ by so much."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@exits
def parity(
    left: Path, right: Path, begin: int | None, end: int | None, tolerances: tuple[str, ...], as_json: bool
) -> None:
    """Compare two run folders, LEFT and RIGHT, value by value.

    Exit code 0: the same. 1: different; the first difference in event time, and what it comes from, is named. 2: they
    cannot be compared.
    """
    from pine.cli import parity_view
    from pine.core.errors import CannotCompare, DataError
    from pine.replay import record as records
    from pine.replay.parity import compare
    from pine.replay.tolerance import Tolerances

    try:
        sides = records.read_named(left), records.read_named(right)
    except DataError as error:
        raise CannotCompare(str(error)) from error
    verdict = compare(*sides, Tolerances.parse(tolerances), begin, end)
    if as_json:
        print_json(parity_view.document(verdict))
    else:
        click.echo(parity_view.text(verdict))
    sys.exit(FINE if verdict.same else WRONG)


def references(trades: Sequence[Path]) -> "dict[str, Reference]":
    """Return further systems that a replay can be compared with, by name; they run on trades."""

    def reference(config: "Config", ours: "Record") -> "Record":
        from pine.cli.reference import legacy_record
        from pine.core.errors import CannotCompare

        if not trades:
            raise CannotCompare(f"--against {LEGACY}: runs on trades; add --source tape, or DBN files")
        return legacy_record(config, ours, trades)

    return {LEGACY: reference}


def _run(
    config: "Config",
    costs: Any,
    speed: float | None,
    *,
    begin: int | None,
    end: int | None,
    strategies: tuple[str, ...],
    sources: tuple[str, ...],
    warm_up: str,
    against: str | None,
    tolerances: tuple[str, ...],
    report: Path | None,
    as_json: bool,
    in_front: bool = False,
    via: str = "engine",
) -> None:
    from pine.core.times import isoformat
    from pine.replay.against import FLIGHT, Against
    from pine.replay.jobs import RUNS
    from pine.replay.plans import Wish
    from pine.replay.tolerance import Tolerances

    if begin is not None and end is not None and begin >= end:
        raise click.UsageError(f"--to: found {isoformat(end)}, expected later than --from {isoformat(begin)}")
    if tolerances and against is None:
        raise click.UsageError("--tolerance: nothing is compared without --against")
    if against is not None and not Path(against).exists() and (config.data_dir / RUNS / against).is_dir():
        against = str(config.data_dir / RUNS / against)  # the name of a run is enough
    chosen = _strategies(config, strategies)
    files = trade_files(config, sources, None if against == FLIGHT else begin, end)
    compared = None if against is None else Against(against, Tolerances.parse(tolerances), references(files))
    wish = Wish(begin, end, costs, speed, warm_up == "configured")
    if compared is not None:
        compared.check()
        wish = _as_compared(compared, wish, chosen)
    lived = against == FLIGHT
    never_ran: list[str] = []
    if lived and not strategies:
        chosen, never_ran = _that_lived(config, chosen)
    with spooled(config, chosen, files) as tape:
        done = _replay(_jobs(config, chosen, wish, tape, lived=lived), via)
    if any(item.folder is None for item in done):
        click.echo("stopped before the end; no record is kept", err=True)
        sys.exit(WRONG)
    runs = [_looked_at(config, item, compared, begin, end) for item in done]
    if report is not None or in_front:
        path = report or (runs[0].done.folder or Path()) / "report.html"
        _write_report(config, runs, path)
    from pine.cli import replay_view

    if as_json:
        further = {"report": str(path)} if report is not None or in_front else {}
        print_json(replay_view.document(runs) | {"never_ran": never_ran} | further)
    else:
        replay_view.show(runs)
        if report is not None or in_front:
            click.echo(f"report: {path}")
    wrong = any(run.done.alerts or (run.verdict is not None and not run.verdict.same) for run in runs)
    sys.exit(WRONG if wrong else FINE)


def _strategies(config: "Config", names: Sequence[str]) -> list[str]:
    """Return what is to run: what is named, else everything enabled."""
    from pine.core.errors import PineError
    from pine.worker.run import check_name

    for name in names:
        check_name(config, name)
    chosen = list(dict.fromkeys(names)) or [name for name, setting in config.strategies.items() if setting.enabled]
    if not chosen:
        raise PineError("strategies: found none that is enabled; name one with --strategy")
    return chosen


def _that_lived(config: "Config", names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the strategies whose worker has run, and those that are left out, which is said.

    Raises
    ------
    PineError
        If no worker has ever run.
    """
    from pine.core.errors import PineError
    from pine.history.archive import Archive
    from pine.replay.flights import has_begun
    from pine.replay.jobs import streams_of

    with streams_of(config) as client:
        lived = [name for name in names if has_begun(name, Archive.of(config), client)]
    if not lived:
        raise PineError(f"{', '.join(names)}: found no ledger on streams or in the archive: no worker has run yet")
    never_ran = [name for name in names if name not in lived]
    for name in never_ran:
        click.echo(f"{name}: left out, no worker has run yet", err=True)
    return lived, never_ran


def _as_compared(against: "Against", wish: "Wish", chosen: Sequence[str]) -> "Wish":
    """Return the wish with the time of the run that it is compared with, where none was asked for."""
    from attrs import evolve

    from pine.core.errors import CannotCompare

    if not against.is_named and len(chosen) > 1:
        raise CannotCompare(
            f"--against {against.what}: is of one strategy; choose one of {', '.join(chosen)} with --strategy"
        )
    run = against.run
    if run is None or wish.begin is not None or wish.end is not None:
        return wish
    return evolve(wish, begin=run.begin, end=run.end)


def _jobs(config: "Config", chosen: Sequence[str], wish: "Wish", tape: "Spool | None", *, lived: bool) -> "list[Job]":
    from pine.replay.jobs import Job, run_folder

    return [Job(config, name, wish, run_folder(config, name), lived, tape) for name in chosen]


def _replay(jobs: "list[Job]", via: str) -> "list[Done]":
    from pine.cli.replay_view import stepping

    names = [job.strategy for job in jobs]
    if via == "bus":
        from pine.replay.bus import PUBLISHED, run_on_bus

        with stepping([PUBLISHED, *names]) as on_progress:
            return run_on_bus(jobs, on_progress)
    from pine.replay.jobs import run_jobs

    with stepping(names) as on_progress:
        return run_jobs(jobs, on_progress)


def _looked_at(config: "Config", done: "Done", against: "Against | None", begin: int | None, end: int | None) -> "Run":
    from pine.cli.replay_view import Run
    from pine.replay import record as records
    from pine.replay.statistics import statistics_of

    assert done.folder is not None
    record = records.read(done.folder)
    verdict = None if against is None else against.verdict(config, record, begin, end)
    return Run(done, record, statistics_of(record, config.desk_session), verdict)


def _write_report(config: "Config", runs: "Sequence[Run]", path: Path) -> None:
    from pine.replay.report import write_report

    write_report(config, [(run.record, run.statistics, run.verdict) for run in runs], path)
