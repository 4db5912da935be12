"""How the state of the system looks on a terminal."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pine.ops.status import span

WIDTH: Final = 100


def console() -> Console:
    """Return a console as wide as the terminal; where there is none, wide enough for everything."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH)


def away(reason: str) -> RenderableType:
    """Return what to show while the server cannot be asked."""
    return Text(f"✗ {reason}", style="bold red")


def picture(facts: dict[str, Any]) -> RenderableType:
    """Return everything that `pine.ops.status` found: first how it runs, last what is wrong."""
    parts: list[RenderableType] = [_head(facts), _symbols(facts["symbols"])]
    if facts["strategies"]:
        parts += [_strategies(facts["strategies"]), _orders(facts["strategies"])]
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
        running += Text(
            f", up {span(beat['uptime_s'])}, {beat['connections']} connections, {beat['unpublished']} unpublished"
        )
    table.add_row("hub", running)
    table.add_row("market", _market(hub))
    return table


def _market(hub: dict[str, Any]) -> Text:
    text = Text("open" if hub["market_open"] else "closed", style="bold" if hub["market_open"] else "dim")
    text += Text(f", watermark {_when(hub['watermark'], '%a %m-%d %H:%M:%S')}", style="")
    text += Text(f", last step {_when(hub['last_step'], '%a %m-%d %H:%M')} UTC")
    if hub["data_age_s"] is not None:
        text += Text(f", data {span(hub['data_age_s'])} old", style="bold red" if hub["stale"] else "")
    return text


def _symbols(symbols: dict[str, Any]) -> Table:
    table = _table(("root", "last minute", "lead", "minutes", "hours", "days"), right=("minutes", "hours", "days"))
    for name, symbol in symbols.items():
        counts = (f"{count:,}" for count in symbol["bars"].values())
        table.add_row(name, _when(symbol["last_minute"], "%a %m-%d %H:%M"), symbol["lead"] or "-", *counts)
    return table


def _strategies(strategies: dict[str, Any]) -> Table:
    columns = ("strategy", "worker", "last step", "steps left", "bars left", "positions", "cash", "day P&L")
    table = _table(columns, right=("steps left", "bars left", "cash", "day P&L"))
    for name, strategy in strategies.items():
        bars = [lag for lag in strategy["bar_lag"].values() if lag is not None]
        held = "\n".join(f"{p['quantity']:+d} {p['contract']}" for p in strategy["positions"]) or "flat"
        pnl = strategy["day_pnl"]
        table.add_row(
            name,
            _worker(strategy),
            _when(strategy["last_step"], "%m-%d %H:%M"),
            _behind(strategy),
            f"{sum(bars):,}" if bars else "-",
            held,
            f"{strategy['cash']:,.2f}",
            Text(f"{pnl:+,.2f}", style="green" if pnl > 0 else "red" if pnl < 0 else ""),
        )
    return table


def _worker(strategy: dict[str, Any]) -> Text:
    if not strategy["enabled"] and not strategy["worker"]["running"]:
        return Text("disabled", style="dim")
    waits = strategy["worker"]["running"] and (strategy["worker"]["status"] or "").startswith("waiting")
    text = Text("waiting", style="yellow") if waits else _runs(strategy["worker"]["running"])
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


def _orders(strategies: dict[str, Any]) -> Table:
    table = _table(("strategy", "courier", "owed", "unknown", "intents"), right=("owed", "unknown"))
    for name, strategy in strategies.items():
        courier = strategy["courier"]
        style = {"running": "green", "paper only": "dim"}.get(courier["state"], "yellow")
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(courier["intents"].items()))
        unknown = len(courier["unknown"])
        table.add_row(
            name,
            Text(courier["state"], style=style),
            str(courier["owed"]),
            Text(str(unknown), style="bold red" if unknown else ""),
            counts or "none",
        )
    return table


def _verdict(facts: dict[str, Any]) -> Text:
    lines = [Text(f"✗ {problem}", style="bold red") for problem in facts["problems"]]
    lines += [Text(f"! {note}", style="yellow") for note in facts["notes"]]
    if not facts["problems"]:
        lines.append(Text("✓ nothing is wrong", style="bold green"))
    return Text("\n").join(lines)


def _table(columns: Iterable[str], right: Iterable[str]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1), show_edge=False)
    for name in columns:
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=name not in ("positions", "intents")
        )
    return table


def _runs(running: bool) -> Text:
    return Text("running", style="green") if running else Text("NOT RUNNING", style="bold red")


def _when(moment: str | None, shape: str) -> str:
    return "-" if moment is None else f"{datetime.fromisoformat(moment):{shape}}"
