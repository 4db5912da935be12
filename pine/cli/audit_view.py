"""How an audit looks on a terminal: a line per root, what has to be known, the first differences."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from pine.cli.columns import columns, fits
from pine.cli.status_view import console
from pine.core.timeframe import Timeframe
from pine.core.times import to_datetime
from pine.history.audit import Report
from pine.history.differences import Mismatch

TOLD: Final = 20
_MARKS: Final = {
    "equal": "✓ equal",
    "incomplete": "✗ incomplete",
    "different": "✗ different",
    "not compared": "– not compared",
}
_STYLES: Final = {"equal": "green", "incomplete": "bold red", "different": "bold red", "not compared": "yellow"}


def show(day: date, reports: Sequence[Report]) -> None:
    """Print everything."""
    screen = console()
    screen.print(_verdicts(day, reports, screen.width))
    for report in reports:
        for text in [report.reason, *_holes(report), *report.notes]:
            if text:
                _line(screen, f"{report.symbol}: {text}")
    found = [(report.symbol, mismatch) for report in reports for mismatch in report.mismatches]
    if found:
        for text in ["", *_differences(found[:TOLD])]:
            _line(screen, text)
    if len(found) > TOLD:
        _line(screen, f"{len(found) - TOLD:,} more of {len(found):,} differences: --csv FILE or --json has all")
    cost = sum(report.cost for report in reports)
    if cost:
        _line(screen, f"bought for ${cost:.4f}")


def _holes(report: Report) -> Iterator[str]:
    """Yield a line for each hole that the hub named, and what it makes of the verdict."""
    for hole in report.holes:
        bars = f"{hole.minutes:,} minute{'' if hole.minutes == 1 else 's'} of Databento's"
        state = "refilled: the archive has it" if hole.refilled else "not refilled"
        yield f"a gap that the hub named, {_moment(hole.begin)} to {_moment(hole.end)} ({bars}), {state}"
    if report.verdict == "incomplete":
        left = [hole.minutes for hole in report.holes if not hole.refilled]
        plural = "a named hole" if len(left) == 1 else "named holes"
        yield f"equal but for {sum(left):,} minute{'' if sum(left) == 1 else 's'} in {plural}"


def _moment(ts: int) -> str:
    return f"{to_datetime(ts):%Y-%m-%d %H:%M}"


def _line(screen: Console, text: str) -> None:
    screen.print(text, soft_wrap=True, markup=False)


def _verdicts(day: date, reports: Sequence[Report], width: int) -> Table:
    wide = _verdict_table(day, reports, short=False)
    return wide if fits(wide, width) else _verdict_table(day, reports, short=True)


def _verdict_table(day: date, reports: Sequence[Report], *, short: bool) -> Table:
    """Return a line per root: recorded and vendor's bars of each length, how many are equal, contracts traded."""
    table = Table(box=SIMPLE, title=f"session {day}", title_justify="left", padding=(0, 1))
    table.add_column("root", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    lengths = (Timeframe.MINUTE,) if short else tuple(Timeframe)
    if not short:
        table.add_column("contract", no_wrap=True)
    for timeframe in lengths:
        table.add_column({"1min": "minutes", "hourly": "hours", "daily": "days"}[timeframe.value], justify="right")
    if not short:
        table.add_column("volume", justify="right")
    table.add_column("differences", justify="right")
    for report in reports:
        cells = []
        for timeframe in lengths:
            count = report.counts.get(timeframe)
            cells.append("" if count is None else _part(count.equal, max(count.recorded, count.vendor + count.quiet)))
        volume = "" if not report.counts else _part(*report.volume)
        verdict = f"[{_STYLES[report.verdict]}]{_MARKS[report.verdict]}[/]"
        differences = "" if report.verdict == "not compared" else f"{len(report.mismatches):,}"
        contract, traded = ([], []) if short else ([report.contract], [volume])
        table.add_row(report.symbol, verdict, *contract, *cells, *traded, differences)
    return table


def _part(some: int, of: int) -> str:
    return f"{of:,}" if some == of else f"{some:,} of {of:,}"


def _differences(found: Sequence[tuple[str, Mismatch]]) -> list[str]:
    rows = [("root", "bars", "time (UTC)", "what", "field", "recorded", "vendor", "")]
    for symbol, one in found:
        time = f"{to_datetime(one.start):%m-%d %H:%M}"
        values = (_value(one.recorded), _value(one.vendor), "late?" if one.late else "")
        rows.append((symbol, one.timeframe.value, time, one.kind, one.field, *values))
    return columns(rows, frozenset({5, 6}))


def _value(value: float | str | None) -> str:
    if value is None:
        return "-"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
