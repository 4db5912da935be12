"""How the state of the system looks on a terminal."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pine.cli.columns import fits
from pine.ops.status import span

WIDTH: Final = 100


def console() -> Console:
    """Return a console as wide as the terminal; where there is none, wide enough for everything."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH)


def away(reason: str) -> RenderableType:
    """Return what to show while the server cannot be asked."""
    return Text(f"✗ {reason}", style="bold red")


def picture(facts: dict[str, Any], width: int = WIDTH) -> RenderableType:
    """Return everything that `pine.ops.status` found, for so many columns: first how it runs, last what is wrong."""
    if facts["server"] is None:
        return _verdict(facts)
    parts: list[RenderableType] = [_head(facts), _symbols(facts["symbols"])]
    if facts["strategies"]:
        parts += _strategies_and_orders(facts["strategies"], width - 2)
    parts.append(_verdict(facts))
    return Group(*(Padding(part, (0, 1, 1, 1)) for part in parts))


def _head(facts: dict[str, Any]) -> Table:
    server, hub = facts["server"], facts["hub"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    megabytes = f"{server['memory_bytes'] / 1e6:.1f} MB"
    table.add_row(
        "server",
        f"{server['url']}, {server['version']}, fsync {server['fsync'] or 'not known'}, {megabytes}, "
        f"{server['keys']} keys, up {span(server['uptime_s'])}, run {server['run_id'][:8]}",
    )
    running = _runs(hub["running"])
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


def _market(hub: dict[str, Any]) -> Text:
    text = Text("open" if hub["market_open"] else "closed", style="bold" if hub["market_open"] else "dim")
    text += Text(f", watermark {_when(hub['watermark'], '%a %m-%d %H:%M:%S')}", style="")
    step = hub["last_step"]
    text += Text(", no step yet" if step is None else f", last step {_when(step, '%a %m-%d %H:%M')} UTC")
    if hub["data_age_s"] is not None:
        text += Text(f", data {span(hub['data_age_s'])} old", style="bold red" if hub["stale"] else "")
    return text


def _symbols(symbols: dict[str, Any]) -> Table:
    table = _table(("root", "last minute", "lead", "minutes", "hours", "days"), right=("minutes", "hours", "days"))
    for name, symbol in symbols.items():
        counts = (f"{count:,}" for count in symbol["bars"].values())
        table.add_row(name, _when(symbol["last_minute"], "%a %m-%d %H:%M"), symbol["lead"] or "-", *counts)
    return table


def _strategies_and_orders(strategies: dict[str, Any], width: int) -> list[RenderableType]:
    """Return two tables; if the first is too wide, what it can spare is left out or goes to the second."""
    wide = _strategies(strategies, narrow=False)
    if fits(wide, width):
        return [wide, _orders(strategies, narrow=False)]
    return [_strategies(strategies, narrow=True), _orders(strategies, narrow=True)]


def _strategies(strategies: dict[str, Any], *, narrow: bool) -> Table:
    spared = ("worker", "bars left") if narrow else ()
    columns = ("strategy", "worker", "last step", "steps left", "bars left", "positions", "cash", "day P&L")
    shown = [name for name in columns if name not in spared]
    table = _table(shown, right=("steps left", "bars left", "cash", "day P&L"), folded=("strategy",) if narrow else ())
    for name, strategy in strategies.items():
        bars = [lag for lag in strategy["bar_lag"].values() if lag is not None]
        held = "\n".join(f"{p['quantity']:+d} {p['contract']}" for p in strategy["positions"]) or "flat"
        pnl = strategy["day_pnl"]
        cells: tuple[Text | str, ...] = (
            name,
            _worker(strategy),
            _when(strategy["last_step"], "%m-%d %H:%M"),
            _behind(strategy),
            f"{sum(bars):,}" if bars else "-",
            held,
            f"{strategy['cash']:,.2f}",
            Text(f"{pnl:+,.2f}", style="green" if pnl > 0 else "red" if pnl < 0 else ""),
        )
        table.add_row(*(cell for title, cell in zip(columns, cells, strict=True) if title not in spared))
    return table


def _worker(strategy: dict[str, Any]) -> Text:
    if not strategy["enabled"] and not strategy["worker"]["running"]:
        return Text("disabled", style="dim")
    status = strategy["worker"]["status"] or ""
    word = next((word for word in ("waiting", "warming up") if status.startswith(word)), None)
    shown = strategy["worker"]["running"] and word is not None
    text = Text(str(word), style="yellow") if shown else _runs(strategy["worker"]["running"])
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


def _orders(strategies: dict[str, Any], *, narrow: bool) -> Table:
    columns = ("strategy", *(("worker",) if narrow else ()), "courier", "owed", "unknown", "intents")
    table = _table(columns, right=("owed", "unknown"), folded=("strategy", "intents") if narrow else ("intents",))
    for name, strategy in strategies.items():
        courier = strategy["courier"]
        style = {"running": "green", "paper only": "dim"}.get(courier["state"], "yellow")
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(courier["intents"].items()))
        unknown = len(courier["unknown"])
        table.add_row(
            name,
            *((_worker(strategy),) if narrow else ()),
            Text(courier["state"], style=style),
            str(courier["owed"]),
            Text(str(unknown), style="bold red" if unknown else ""),
            counts or "none",
        )
    return table


def _verdict(facts: dict[str, Any]) -> Text:
    lines = [Text(f"✗ {problem}", style="bold red") for problem in facts["problems"]]
    lines += [
        Text(f"! {note}", style="bold red" if note.startswith("kill switch") else "yellow") for note in facts["notes"]
    ]
    if not facts["problems"]:
        lines.append(Text("✓ nothing is wrong", style="bold green"))
    return Text("\n").join(lines)


def _table(columns: Iterable[str], right: Iterable[str], folded: Iterable[str] = ()) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1), show_edge=False)
    for name in columns:
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=name not in folded, overflow="fold"
        )
    return table


def _runs(running: bool) -> Text:
    return Text("running", style="green") if running else Text("NOT RUNNING", style="bold red")


def _when(moment: str | None, shape: str) -> str:
    return "-" if moment is None else f"{datetime.fromisoformat(moment):{shape}}"
