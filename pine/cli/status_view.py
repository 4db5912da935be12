"""How the state of the system looks on a terminal."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pine.cli.columns import fits
from pine.ops.status import span

WIDTH: Final = 100
_RIGHT: Final = frozenset(
    ["minutes", "hours", "days", "steps left", "bars left", "cash", "day P&L", "stop at", "owed", "unknown"]
)
"""Columns of numbers."""

_WRAPS: Final = "intents"
"""The one column whose cells may go over several lines."""

_Row = Mapping[str, Text | str]
"""Cells by the titles of their columns."""


def console() -> Console:
    """Return a console as wide as the terminal; where there is none, wide enough for everything."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH)


def away(reason: str) -> RenderableType:
    """Return what to show while the server cannot be asked."""
    return Text(f"✗ {reason}", style="bold red")


def picture(facts: dict[str, Any], width: int = WIDTH, *, wrong_first: bool = False) -> RenderableType:
    """Return everything that `pine.ops.status` found, for so many columns.

    What is wrong comes last, next to the prompt; `wrong_first` for a screen whose end may be cut off.
    """
    if facts["server"] is None:
        return _verdict(facts)
    parts: list[RenderableType] = [_head(facts), _symbols(facts["symbols"], width - 2)]
    if facts["strategies"]:
        known = facts["server"]["cannot_write"] is None
        parts += _strategies_and_orders(facts["strategies"], width - 2, known=known)
    parts.insert(0 if wrong_first else len(parts), _verdict(facts))
    return Group(*(Padding(part, (0, 1, 1, 1)) for part in parts))


def _head(facts: dict[str, Any]) -> Table:
    server, hub = facts["server"], facts["hub"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    megabytes = f"{server['memory_bytes'] / 1e6:.1f} MB"
    table.add_row(
        "server",
        Text(
            f"{server['url']}, {_master(server)}{server['version']}, fsync {server['fsync'] or 'not known'}, "
            f"{megabytes}, {server['keys']} keys, up {span(server['uptime_s'])}, run {server['run_id'][:8]}"
        ),
    )
    table.add_row("promise", server["promise"])
    running = _runs(hub["running"], known=server["cannot_write"] is None)
    beat = hub["heartbeat"]
    if hub["running"]:
        running += Text(f", {hub['holder']}, token {hub['token']}")
    if hub["running"] and beat:
        plural = "" if beat["connections"] == 1 else "s"
        running += Text(f", up {span(beat['uptime_s'])}, {beat['connections']} connection{plural}")
        running += Text(f", {beat['unpublished']} unpublished")
    table.add_row("hub", running)
    table.add_row("market", _market(hub))
    return table


def _master(server: dict[str, Any]) -> str:
    """Return which of several servers it is."""
    if server["master"] is None:
        return ""
    count = server["replicas"]
    return f"master {server['master']}, {count} replica{'' if count == 1 else 's'}, "


def _market(hub: dict[str, Any]) -> Text:
    text = Text("open" if hub["market_open"] else "closed", style="bold" if hub["market_open"] else "dim")
    text += Text(f", watermark {_when(hub['watermark'], '%a %m-%d %H:%M:%S')}", style="")
    step = hub["last_step"]
    text += Text(", no step yet" if step is None else f", last step {_when(step, '%a %m-%d %H:%M')} UTC")
    if hub["data_age_s"] is not None:
        text += Text(f", data {span(hub['data_age_s'])} old", style="bold red" if hub["stale"] else "")
    return text


def _symbols(symbols: dict[str, Any], width: int) -> Table:
    titles = ("root", "last minute", "lead", "minutes", "hours", "days")
    rows: list[_Row] = []
    for name, symbol in symbols.items():
        counts = (f"{count:,}" for count in symbol["bars"].values())
        cells = (name, _when(symbol["last_minute"], "%a %m-%d %H:%M"), symbol["lead"] or "-", *counts)
        rows.append(dict(zip(titles, cells, strict=True)))
    return _fitting(titles, rows, width, ("days", "hours", "minutes", "lead", "last minute"))[0]


def _strategies_and_orders(strategies: dict[str, Any], width: int, *, known: bool) -> list[RenderableType]:
    """Return two tables; whether a worker runs goes to the second where the first has no room for it.

    Who holds no lease may run all the same unless it is `known` that leases can be renewed.
    """
    titles = ("strategy", "worker", "last step", "steps left", "bars left", "positions", "cash", "day P&L", "stop at")
    spared = ("bars left", "worker", "stop at", "last step", "cash", "day P&L", "positions", "steps left")
    first, shown = _fitting(titles, [_strategy(*item, known=known) for item in strategies.items()], width, spared)
    worker = () if "worker" in shown else ("worker",)
    titles = ("strategy", *worker, "courier", "sent", "owed", "unknown", "intents")
    rows = [_orders(*item, known=known) for item in strategies.items()]
    tables: list[RenderableType] = [
        first,
        _fitting(titles, rows, width, ("intents", "sent", "courier", "owed", "unknown"))[0],
    ]
    refused = {name: strategy["refused"] for name, strategy in strategies.items() if strategy["refused"]}
    return [*tables, _refused(refused)] if refused else tables


def _refused(refused: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table of each strategy's newest entry that was asked for and not made."""
    rows: list[_Row] = [
        {
            "strategy": name,
            "last refusal": _when(one["step"], "%m-%d %H:%M"),
            "entry": f"{one['ask']} {one['symbol']}",
            "why": one["why"],
        }
        for name, one in refused.items()
    ]
    return _table(tuple(rows[0]), rows, folded={"why"})


def _strategy(name: str, strategy: dict[str, Any], *, known: bool) -> "_Row":
    bars = [lag for lag in strategy["bar_lag"].values() if lag is not None]
    pnl = strategy["day_pnl"]
    return {
        "strategy": name,
        "worker": _worker(strategy, known=known),
        "last step": _when(strategy["last_step"], "%m-%d %H:%M"),
        "steps left": _behind(strategy),
        "bars left": f"{sum(bars):,}" if bars else "-",
        "positions": Text(_held(strategy["positions"]), style=_different(strategy)),
        "cash": f"{strategy['cash']:,.2f}",
        "day P&L": Text(f"{pnl:+,.2f}", style="green" if pnl > 0 else "red" if pnl < 0 else ""),
        "stop at": Text(f"{-strategy['daily_stop_loss']:,.0f}", style="bold red" if _is_stopped(strategy) else "dim"),
    }


def _held(positions: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{p['quantity']:+d} {p['contract']}" for p in positions) or "flat"


def _different(strategy: Mapping[str, Any]) -> str:
    """Return how positions look: on paper, and as they were sent."""
    return "bold red" if strategy["differs"] or strategy["courier"]["overdue"] else ""


def _is_stopped(strategy: Mapping[str, Any]) -> bool:
    """Tell whether the day's loss keeps a strategy from entering."""
    return bool(strategy["day_pnl"] <= -strategy["daily_stop_loss"])


def _worker(strategy: dict[str, Any], *, known: bool) -> Text:
    if not strategy["enabled"] and not strategy["worker"]["running"]:
        return Text("disabled", style="dim")
    status = strategy["worker"]["status"] or ""
    word = next((word for word in ("waiting", "warming up") if status.startswith(word)), None)
    shown = strategy["worker"]["running"] and word is not None
    text = Text(str(word), style="yellow") if shown else _runs(strategy["worker"]["running"], known=known)
    if strategy["halted"] is not None:
        text += Text(" halted", style="bold yellow")
    return text


def _behind(strategy: dict[str, Any]) -> Text:
    if strategy["lag"] is None:
        return Text("not begun", style="dim")
    if strategy["lag"] == 0:
        return Text("0", style="green")
    since = "" if strategy["lag_s"] is None else f" ({span(strategy['lag_s'])})"
    return Text(f"{strategy['lag']:,}{since}", style="yellow")


def _orders(name: str, strategy: dict[str, Any], *, known: bool) -> "_Row":
    courier = strategy["courier"]
    style = {"running": "green", "paper only": "dim"}.get(courier["state"], "yellow")
    state = "not known" if courier["state"] == "not running" and not known else courier["state"]
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(courier["intents"].items()))
    unknown = len(courier["unknown"])
    return {
        "strategy": name,
        "worker": _worker(strategy, known=known),
        "courier": Text(state, style=style),
        "sent": "-" if strategy["sent"] is None else Text(_held(strategy["sent"]), style=_different(strategy)),
        "owed": str(courier["owed"]),
        "unknown": Text(str(unknown), style="bold red" if unknown else ""),
        "intents": counts or "none",
    }


def _verdict(facts: dict[str, Any]) -> Text:
    lines = [Text(f"✗ {problem}", style="bold red") for problem in facts["problems"]]
    lines += [
        Text(f"! {note}", style="bold red" if note.startswith("kill switch") else "yellow") for note in facts["notes"]
    ]
    if not facts["problems"]:
        fine = "nothing must be mended" if facts["notes"] else "nothing is wrong"
        lines.append(Text(f"✓ {fine}", style="bold green"))
    return Text("\n").join(lines)


def _fitting(
    titles: Sequence[str], rows: "Sequence[_Row]", width: int, spared: Sequence[str]
) -> tuple[Table, list[str]]:
    """Return a table no wider than `width`, and its columns: those that can be spared go whole, the first named first.

    The first column, the names, always stays; if even what is never spared is too wide, names go over several lines.
    """
    for gone in range(len(spared) + 1):
        shown = [title for title in titles if title not in spared[:gone]]
        if fits(_table(shown, [_wrapped(row) for row in rows]), width):
            return _table(shown, rows, folded={_WRAPS}), shown
    return _table(shown, rows, folded={titles[0]}), shown


def _wrapped(row: "_Row") -> "_Row":
    """Return a row with the longest word of the cell that may go over several lines: so wide it has to be."""
    if _WRAPS not in row:
        return row
    return {**row, _WRAPS: max(str(row[_WRAPS]).split(), key=len)}


def _table(shown: Sequence[str], rows: "Sequence[_Row]", folded: Collection[str] = ()) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1), show_edge=False)
    for title in shown:
        justify: Literal["left", "right"] = "right" if title in _RIGHT else "left"
        table.add_column(title, justify=justify, no_wrap=title not in folded, overflow="fold")
    for row in rows:
        cells = (row[title] for title in shown)
        table.add_row(
            *(cell if isinstance(cell, Text) else Text(cell) for cell in cells)
        )  # a person's words, no markup
    return table


def _runs(running: bool, *, known: bool) -> Text:
    if not running and not known:
        return Text("not known", style="yellow")
    return Text("running", style="green") if running else Text("NOT RUNNING", style="bold red")


def _when(moment: str | None, shape: str) -> str:
    return "-" if moment is None else f"{datetime.fromisoformat(moment):{shape}}"
