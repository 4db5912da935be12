"""What a person sees while the demonstration runs."""

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from attrs import define, field
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pine.bus import keys, streams
from pine.cli.columns import fits
from pine.core.bar import Bar
from pine.core.timeframe import Timeframe
from pine.core.times import to_datetime
from pine.orders.entries import Entry, Fill, Intent, decode
from pine.sandbox.demo.stage import Stage

DECISIONS: Final = 10
BARS: Final = ("root", "minute", "open", "high", "low", "close", "volume", "contract", "minutes", "hours", "days")


@define
class View:
    """Shows progress on a terminal; says little elsewhere, and nothing when `quiet`."""

    quiet: bool = False
    console: Console = field(factory=lambda: Console(highlight=False))
    _live: Live | None = None
    _progress: Progress | None = None
    _decisions: deque[str] = field(factory=lambda: deque(maxlen=100))
    _seen: dict[str, str] = field(factory=dict)

    def say(self, text: str) -> None:
        """Print one line."""
        if not self.quiet:
            self.console.print(text, style="dim", markup=False)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Show a live picture while the block runs."""
        if self.quiet or not self.console.is_terminal:
            yield
            return
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[when]}"), TimeElapsedColumn()
        )
        self._progress.add_task("tape", total=None, when="")
        with Live(self._progress, console=self.console, refresh_per_second=5) as self._live:
            yield
        self._live = None

    def update(self, stage: Stage) -> None:
        """Draw again."""
        if self._live is not None:
            self._live.update(self._picture(stage))

    def _picture(self, stage: Stage) -> Group:
        watermark = stage.watermark()
        assert self._progress is not None
        if watermark:
            self._progress.update(self._progress.task_ids[0], when=f"{to_datetime(watermark):%a %Y-%m-%d %H:%M} UTC")
        self._collect(stage)
        rows = max(DECISIONS, self.console.height - len(stage.config.instruments) - 10)
        return Group(
            self._progress,
            self._bars(stage),
            Panel("\n".join(list(self._decisions)[-rows:]) or "none yet", title="decisions and orders"),
        )

    def _bars(self, stage: Stage) -> Table:
        rows = []
        for symbol in stage.config.instruments:
            counts = [str(stage.client.xlen(keys.bars(symbol, timeframe))) for timeframe in Timeframe]
            newest = stage.client.xrevrange(keys.bars(symbol, Timeframe.MINUTE), count=1)
            if newest:
                bar = Bar.from_json(newest[0][1][b"bar"])
                prices = [f"{value:.10g}" for value in (bar.open, bar.high, bar.low, bar.close)]
                cells = [f"{bar.timestamp:%m-%d %H:%M}", *prices, str(bar.volume), bar.contract_symbol]
            else:
                cells = [""] * 7
            rows.append([symbol, *cells, *counts])
        return latest_bars(rows, self.console.width)

    def _collect(self, stage: Stage) -> None:
        """Add what ledgers and deliveries have got since the last look."""
        for name in stage.strategies:
            for stream, describe in ((keys.ledger(name), _ledger_line), (keys.deliveries(name), _delivery_line)):
                first = f"({self._seen[stream]}" if stream in self._seen else "-"
                for identifier, fields in streams.read_range(stage.client, stream, first):
                    self._seen[stream] = identifier
                    line = describe(fields)
                    if line:
                        self._decisions.append(f"{name}  {line}")

    def summary(self, facts: dict[str, Any]) -> None:
        """Print how the run ended."""
        bars = Table(title="bars")
        for name in ("root", "minutes", "hours", "days", "lead contracts"):
            bars.add_column(name, justify="left" if name in ("root", "lead contracts") else "right")
        for symbol, counts in facts["bars"].items():
            bars.add_row(symbol, *(f"{count:,}" for count in counts.values()), " → ".join(facts["leads"][symbol]))
        self.console.print(bars)
        strategies = Table(title="strategies")
        for name in ("", *facts["strategies"]):
            strategies.add_column(name, justify="left" if not name else "right")
        for title, cell in _ROWS.items():
            strategies.add_row(title, *(cell(strategy) for strategy in facts["strategies"].values()))
        self.console.print(strategies)
        if "models" in facts and facts["models"] is None:
            self.console.print("without models: there are none for this tape, or this is no clone of the repository")
        left_out = {name: count for name, count in facts["counts"].items() if name != "trades" and count}
        trades = facts["counts"].get("trades", 0)
        counted = f"{trades:,} trades, " if "chaos" not in facts else ""  # the last of many hubs saw the last few only
        self.console.print(
            f"{counted}{facts['steps']:,} steps, {facts['webhooks']:,} webhooks received in {facts['seconds']} s"
        )
        if left_out:
            self.console.print(
                "left out of bars: " + ", ".join(f"{count:,} {name}" for name, count in left_out.items())
            )

    def verdict(self, facts: dict[str, Any]) -> None:
        """Print what was done to the run under chaos, and whether it came to the same as the undisturbed one."""
        chaos = facts["chaos"]
        kills = Table(title=f"chaos (seed {chaos['seed']})")
        for name in ("killed", "times", "back after, median", "at most"):
            kills.add_column(name, justify="left" if name == "killed" else "right")
        for kind, count in chaos["by_victim"].items():
            back = chaos["recovery_s"].get(kind)
            kills.add_row(kind, str(count), *(f"{back[name]:.1f} s" if back else "" for name in ("median", "most")))
        if standby := chaos["recovery_s"].get("hub standby"):
            kills.add_row(
                "  hub, another standing by", str(chaos["standby"]), *(f"{s:.1f} s" for s in standby.values())
            )
        self.console.print(kills)
        self.console.print("connections broken: " + (_counted(chaos["faults"]) or "none"))
        self.console.print("held and killed at: " + (_counted(chaos["by_point"]) or "no pause point"))
        if chaos["unknown"]:
            self.console.print(f"unknown, held for a person to settle: {', '.join(chaos['unknown'])}")
        if facts["differences"]:
            self.console.print("DIFFERENT from the undisturbed run", style="bold red")
            return
        self.console.print(
            f"EQUAL to the undisturbed run: {_counted(facts['compared'])}; positions, cash and deliveries",
            style="bold green",
        )


def latest_bars(rows: list[list[str]], width: int) -> Table:
    """Return the newest minute of every root; where there is no room for all of it, the close alone stands for it."""
    table = _latest_bars(rows, frozenset())
    return table if fits(table, width) else _latest_bars(rows, frozenset({"open", "high", "low"}))


def _latest_bars(rows: list[list[str]], spared: frozenset[str]) -> Table:
    table = Table(title="latest bars", expand=False)
    for name in BARS:
        if name not in spared:
            table.add_column(name, justify="left" if name in ("root", "minute", "contract") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(cell for name, cell in zip(BARS, row, strict=True) if name not in spared))
    return table


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _join(counts: dict[str, int]) -> str:
    return "\n".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _dollars(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


_ROWS: Final[dict[str, Any]] = {
    "instruments": lambda s: " ".join(s["instruments"]),
    "steps decided": lambda s: f"{s['steps_decided']:,}",
    "entries / exits": lambda s: f"{s['entries']} / {s['exits']}",
    "entries refused": lambda s: _join(s["refused"]),
    "reasons": lambda s: _join(s["reasons"]),
    "deliveries": lambda s: _join(s["deliveries"]),
    "open positions": lambda s: "\n".join(f"{p['quantity']} {p['contract']}" for p in s["positions"]) or "none",
    "realised P&L": lambda s: _dollars(s["realised"]),
    "cash": lambda s: _dollars(s["cash"]),
}


def _ledger_line(fields: dict[bytes, bytes]) -> str | None:
    entry: Entry = decode(fields[b"entry"])
    if isinstance(entry, Intent):
        what = f"{entry.action:<4} {entry.quantity} {entry.contract} at {entry.price:.10g}  {entry.reason}"
        return f"{to_datetime(entry.step):%m-%d %H:%M}  {what}"
    if isinstance(entry, Fill):
        gain = "" if entry.pnl is None else f"  P&L {'+' if entry.pnl > 0 else ''}{_dollars(entry.pnl)}"
        what = f"{'bought' if entry.side > 0 else 'sold'} {entry.quantity} {entry.contract} at {entry.price:.10g}{gain}"
        return f"{to_datetime(entry.time):%m-%d %H:%M}  fill {what}"
    return None


def _delivery_line(fields: dict[bytes, bytes]) -> str | None:
    state = fields[b"state"].decode()
    return None if state == "attempt" else f"webhook {state} {fields[b'status'].decode()} {fields[b'intent'].decode()}"
