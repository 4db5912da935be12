"""A page that shows what runs earned and whether they agree: one HTML file, everything in it, no network."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pine.core.times import isoformat, to_datetime
from pine.replay.cause import described
from pine.replay.charts import candles, equity
from pine.replay.page import chart, table, whole_page, write_page
from pine.replay.parity import Verdict
from pine.replay.record import Record
from pine.replay.statistics import Statistics

if TYPE_CHECKING:
    from pine.core.config import Config

Shown = tuple[Record, Statistics, Verdict | None]


def write_report(config: "Config", runs: Sequence[Shown], path: Path) -> None:
    """Write the page, over what is there, whole or not at all.

    Parameters
    ----------
    config
        Whose sessions are drawn.
    runs
        Records with their statistics, and what they were compared with.
    path
        The file.

    Raises
    ------
    PineError
        If it cannot be written.
    """
    write_page(path, page(config, runs))


def page(config: "Config", runs: Sequence[Shown]) -> str:
    """Return the whole page."""
    names = ", ".join(record.facts.strategy for record, _, _ in runs)
    body = [
        f"<h1>{html.escape(names)}</h1>",
        f'<p class="muted">{_span(runs[0][0])} UTC</p>',
        *(_verdict(verdict) for _, _, verdict in runs if verdict is not None),
        "<h2>Figures</h2>",
        _figures(runs),
        "<h2>Equity and drawdown</h2>",
        '<p class="muted">Realised, in dollars after commissions, at each exit.</p>',
        chart(equity([record for record, _, _ in runs]), "equity"),
    ]
    for n, (record, _, _) in enumerate(runs):
        body.append(f"<h2>Trades of {html.escape(record.facts.strategy)}</h2>")
        for symbol in record.facts.symbols:
            drawn = candles(record, symbol, config.session_rule(symbol))
            body.append(f"<h3>{html.escape(symbol)}</h3>")
            body.append('<p class="muted">no bars</p>' if drawn is None else chart(drawn, f"candles-{n}-{symbol}"))
    for _, _, verdict in runs:
        if verdict is not None:
            body.append(_parity(verdict))
    body.append(_settings(runs))
    return whole_page(names, body)


def _verdict(verdict: Verdict) -> str:
    pair = f"{verdict.left.facts.name} and {verdict.right.facts.name}"
    if verdict.same:
        rows = sum(count.left for count in verdict.tables)
        text = f"<b>Same</b>: {html.escape(pair)}, {rows:,} rows of {len(verdict.tables)} tables."
        return f'<p class="verdict">{text}</p>'
    assert verdict.first is not None
    assert verdict.cause is not None
    return (
        f'<p class="verdict different"><b>Different</b> from {isoformat(verdict.first.step)} on: {html.escape(pair)}. '
        f"First: {html.escape(described(verdict.first))}. Cause: {html.escape(verdict.cause.text)}.</p>"
    )


def _figures(runs: Sequence[Shown]) -> str:
    rows = [["", *(record.facts.strategy for record, _, _ in runs)]]
    told = [_told(statistics) for _, statistics, _ in runs]
    rows += [[name, *(figures[n][1] for figures in told)] for n, (name, _) in enumerate(told[0])]
    return table(rows)


def _told(figures: Statistics) -> list[tuple[str, str]]:
    def number(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    return [
        ("entries / exits", f"{figures.entries} / {figures.exits}"),
        ("trades", f"{figures.trades:,}"),
        ("profit and loss $", number(figures.pnl, ",.2f")),
        ("win rate", number(figures.win_rate, ".1%")),
        ("profit factor", number(figures.profit_factor, ".2f")),
        ("Sharpe (sessions, × √252)", number(figures.sharpe, ".2f")),
        ("max drawdown $", number(figures.max_drawdown, ",.2f")),
        ("entries refused", ", ".join(f"{kind} {count:,}" for kind, count in figures.refused.items()) or "none"),
        ("exposure", number(figures.exposure, ".1%")),
    ]


def _parity(verdict: Verdict) -> str:
    tables = [["table", "left", "right", "only left", "only right"]]
    tables += [
        [count.table, f"{count.left:,}", f"{count.right:,}", f"{count.only_left:,}", f"{count.only_right:,}"]
        for count in verdict.tables
    ]
    columns = [["column", "rows", "differ", "largest difference"]]
    columns += [
        [
            f"{count.table}.{count.column}",
            f"{count.compared:,}",
            f"{count.differ:,}",
            "" if count.largest is None else f"{count.largest:.10g}",
        ]
        for count in verdict.columns
    ]
    settings = [["setting that differs", "left", "right"]]
    settings += [[name, str(left), str(right)] for name, left, right in verdict.settings]
    names = f"{verdict.left.facts.name} (left), {verdict.right.facts.name} (right)"
    first = "".join(f"<li>{html.escape(described(found))}</li>" for found in verdict.firsts)
    return (
        f"<h2>Parity: {html.escape(names)}</h2>"
        + (f"<p>First difference of each table:</p><ol>{first}</ol>" if first else "")
        + table(tables)
        + table(columns, differing=2)
        + (table(settings) if len(settings) > 1 else "")
    )


def _settings(runs: Sequence[Shown]) -> str:
    flat = [_flat(record.facts.settings) for record, _, _ in runs]
    names = list(dict.fromkeys(name for settings in flat for name in settings))
    rows = [["setting", *(record.facts.strategy for record, _, _ in runs)]]
    rows += [[name, *(settings.get(name, "") for settings in flat)] for name in names]
    return f"<details><summary>Settings</summary>{table(rows)}</details>"


def _flat(settings: dict[str, Any], place: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in settings.items():
        where = f"{place}.{name}" if place else name
        found |= _flat(value, where) if isinstance(value, dict) else {where: str(value)}
    return found


def _span(record: Record) -> str:
    return f"{to_datetime(record.facts.begin):%Y-%m-%d %H:%M} to {to_datetime(record.facts.end):%Y-%m-%d %H:%M}"
