"""``pine audit``: what a hub recorded of a session against Databento Historical."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pine.cli.context import COULD_NOT_RUN, FINE, WRONG, configuration, exits, print_json
from pine.cli.options import config_option
from pine.cli.sources import look, progress, roots, tell_retries

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.history.audit import Audit, Report
    from pine.history.historical import Price

LAST: Final = "last"
_DAYS: Final = {"today": 0, "yesterday": 1}


class Day(click.ParamType[date | str]):
    """A date, or ``today`` or ``yesterday``, UTC; or ``last``, which is left as it is."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date | str:
        """Read the text."""
        if isinstance(value, date):
            return value
        if value == LAST:
            return LAST
        if value in _DAYS:
            return datetime.now(UTC).date() - timedelta(days=_DAYS[value])
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"found {value!r}, expected a date such as 2024-03-05, yesterday, or last", param, ctx)


@click.command()
@click.option(
    "--session",
    "day",
    type=Day(),
    required=True,
    help="Date, UTC, on which the session ends; or yesterday; or last, the newest that is over.",
)
@click.option("--symbols", multiple=True, help="Roots, comma-separated or repeated; else all in instruments.")
@click.option("--price", is_flag=True, help="Say what comparing costs, and buy nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document with every difference.")
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), help="Write every difference to a file.")
@config_option
@click.pass_context
@exits
def audit(
    ctx: click.Context, day: date | str, symbols: tuple[str, ...], price: bool, as_json: bool, csv: Path | None
) -> None:
    """Compare what the hub recorded of a session with Databento's own minutes, bar by bar.

    The record is what came live, on the streams or in the archive; hours and days are compared with the fold of the
    vendor's minutes. What is bought for it, for at most databento.max_cost_usd, is kept apart from every record and
    not bought again. Exit code 0 all equal, 1 any difference, or a hole that the hub named and nobody filled, 2
    something could not be compared.
    """
    config = configuration(ctx)
    named = tuple(name.strip() for text in symbols for name in text.split(",") if name.strip())
    wanted = roots(config, named or tuple(config.instruments))
    if price and (as_json or csv):
        raise click.UsageError("--price buys and compares nothing; leave --json and --csv out")
    with look(config) as (client, reason):
        if reason and not as_json:
            click.echo(f"note: {reason}; only the archive's record is compared", err=True)
        work = _audit(config, client)
        if not isinstance(day, date):
            day = work.last_day(wanted, time.time_ns())
        if price:
            click.echo(_priced(work, wanted, day))
            return
        reports = _compared(work, wanted, day)
    if csv is not None:
        _write_csv(csv, reports)
    if as_json:
        print_json(document(day, reports))
    else:
        from pine.cli import audit_view

        audit_view.show(day, reports)
    sys.exit(exit_code(reports))


def _verdict(reports: "Sequence[Report]") -> str:
    """Return the worst verdict, but that what was not compared is told only where all the rest is equal."""
    verdicts = {report.verdict for report in reports}
    return next((one for one in ("different", "incomplete", "not compared") if one in verdicts), "equal")


def exit_code(reports: "Sequence[Report]") -> int:
    """Return 0 if all are equal, 1 if anything differs or is incomplete, else 2."""
    verdicts = {report.verdict for report in reports}
    if verdicts & {"different", "incomplete"}:
        return WRONG
    return FINE if verdicts == {"equal"} else COULD_NOT_RUN


def _audit(config: "Config", client: Any) -> "Audit":
    from pine.history.archive import Archive
    from pine.history.audit import Audit
    from pine.history.comparison import Comparison
    from pine.history.historical import HistoricalSource
    from pine.history.recorded import Record
    from pine.hub.lead import choose_lead

    tell_retries()
    comparison = Comparison(HistoricalSource(config, choose_lead), Archive.of(config))
    record = Record.of(config, client)
    return Audit(
        config.session_rule, record, comparison, config.hub.bar_clock, config.hub.fill_quiet_minutes, config.hub.clock
    )


def _priced(work: "Audit", wanted: Sequence[str], day: date) -> str:
    here, away = work.sessions(wanted, day, time.time_ns())
    for report in away:
        click.echo(f"{report.symbol}: {report.reason}", err=True)
    return f"comparing {len(here)} sessions costs {work.total(here)}" if here else "there is nothing to compare"


def _compared(work: "Audit", wanted: Sequence[str], day: date) -> "list[Report]":
    with _shown(len(wanted)) as on_root:
        here, away = work.sessions(wanted, day, time.time_ns())
        found = {report.symbol: report for report in away}
        for report in work.run(here, _say_price):
            found[report.symbol] = report
            on_root(report.symbol)
    return [found[symbol] for symbol in wanted]


def _say_price(price: "Price") -> None:
    click.echo(f"buying from Databento Historical for {price}", err=True)


@contextlib.contextmanager
def _shown(count: int) -> Iterator[Callable[[str], None]]:
    """Show how many roots are done."""
    with progress() as shown:
        task = None if shown is None else shown.add_task("comparing", total=count)

        def on_root(symbol: str) -> None:
            if shown is not None and task is not None:
                shown.update(task, description=symbol, advance=1)

        yield on_root


def document(day: date, reports: "Sequence[Report]") -> dict[str, Any]:
    """Return everything that was found, as JSON has it."""
    from attrs import asdict

    from pine.core.times import isoformat

    return {
        "session": str(day),
        "verdict": _verdict(reports),
        "cost_usd": sum(report.cost for report in reports),
        "symbols": {
            report.symbol: {
                "verdict": report.verdict,
                "reason": report.reason or None,
                "from": None if report.span is None else isoformat(report.span[0]),
                "to": None if report.span is None else isoformat(report.span[1]),
                "contract": report.contract or None,
                "counts": {timeframe.value: asdict(count) for timeframe, count in report.counts.items()},
                "volume": {"recorded": report.volume[0], "vendor": report.volume[1]},
                "notes": list(report.notes),
                "cost_usd": report.cost,
                "holes": [
                    {
                        "from": isoformat(hole.begin),
                        "to": isoformat(hole.end),
                        "minutes": hole.minutes,
                        "refilled": hole.refilled,
                    }
                    for hole in report.holes
                ],
                "differences": list(_rows(report)),
            }
            for report in reports
        },
    }


def _rows(report: "Report") -> Iterator[dict[str, Any]]:
    from pine.core.times import isoformat

    for found in report.mismatches:
        yield {
            "timeframe": found.timeframe.value,
            "timestamp": isoformat(found.start),
            "kind": found.kind,
            "field": found.field,
            "recorded": found.recorded,
            "vendor": found.vendor,
            "late_trades_possible": found.late,
        }


def _write_csv(path: Path, reports: "Sequence[Report]") -> None:
    import csv

    from pine.core.errors import PineError

    names = ("symbol", "timeframe", "timestamp", "kind", "field", "recorded", "vendor", "late_trades_possible")
    try:
        with path.open("w", newline="") as file:
            rows = csv.DictWriter(file, names, lineterminator="\n")
            rows.writeheader()
            for report in reports:
                rows.writerows({"symbol": report.symbol, **row} for row in _rows(report))
    except OSError as error:
        raise PineError(f"--csv {path}: cannot be written: {error.strerror}") from None
