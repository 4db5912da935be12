"""Bars as people and programs want to see them: a table, values, a file, candlesticks."""

import csv
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from attrs import frozen

from pine.cli.columns import columns
from pine.core.bar import Bar
from pine.core.errors import PineError
from pine.core.instruments import SPECS
from pine.core.times import isoformat, to_datetime
from pine.history.answer import Answer

COLUMNS: Final = ("timestamp", "open", "high", "low", "close", "volume", "instrument_id", "contract_symbol")
HEIGHT: Final = 18
LEAST_HEIGHT: Final = 4
NARROWEST_SCALE: Final = 24
"""Narrower than this there are no prices beside the candles."""


@frozen
class Marks:
    """What candles are drawn with; rising and falling differ without colours too."""

    wick: str = "│"
    rising: str = "█"
    falling: str = "░"
    hole: str = "┊"


ASCII: Final = Marks("|", "#", "o", ":")


@frozen
class Candle:
    """Some bars in a row, drawn as one; `hole` if bars before it are missing."""

    open: float
    high: float
    low: float
    close: float
    hole: bool = False


def table(bars: Sequence[Bar]) -> str:
    """Return a line per bar, and how many there are."""
    rows = [("time (UTC)", "open", "high", "low", "close", "volume", "contract")]
    for bar in bars:
        opened, high, low, close = (f"{value:.10g}" for value in (bar.open, bar.high, bar.low, bar.close))
        time = f"{bar.timestamp:%Y-%m-%d %H:%M}"
        rows.append((time, opened, high, low, close, str(bar.volume), bar.contract_symbol))
    return "\n".join([*columns(rows, frozenset(range(1, 6))), f"{len(bars)} bars"])


def csv_text(bars: Sequence[Bar]) -> str:
    """Return comma-separated values with a header; every price reads back bit for bit."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([isoformat(bar.start), *(getattr(bar, name) for name in COLUMNS[1:])] for bar in bars)
    return sink.getvalue()


def write_parquet(answer: Answer, path: Path) -> None:
    """Write bars in the archive's columns, over what is there, whole or not at all.

    Raises
    ------
    PineError
        If the file cannot be written.
    """
    from pine.history.tables import bars_frame

    frame = bars_frame([(bar, "") for bar in answer.bars]).drop("source")
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frame.write_parquet(half)
        half.replace(path)
    except OSError as error:
        raise PineError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        half.unlink(missing_ok=True)


def picture(answer: Answer) -> str:
    """Return candlesticks for the terminal that looks on."""
    size = shutil.get_terminal_size()
    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return draw(answer, size.columns, min(HEIGHT, size.lines - 3), coloured=coloured, marks=_marks())


def draw(
    answer: Answer, width: int, height: int = HEIGHT, *, coloured: bool = False, marks: Marks | None = None
) -> str:
    """Return candlesticks, no line wider than `width`; several bars make one candle where there are too many."""
    marks = marks or Marks()
    if not answer.bars:
        return "no bars"[:width]
    height = max(height, LEAST_HEIGHT)
    low, high = min(bar.low for bar in answer.bars), max(bar.high for bar in answer.bars)
    labels = _labels(low, high, height, _tick(answer.symbol))
    margin = max(map(len, labels)) + 1 if width >= NARROWEST_SCALE else 0
    candles, together = _candles(answer, max(width - margin, 1))
    drawn = [_column(candle, low, high, height, marks, coloured=coloured) for candle in candles]
    rows = [
        (label.rjust(margin - 1) + " " if margin else "") + "".join(column[n] for column in drawn)
        for n, label in enumerate(labels)
    ]
    return "\n".join([*rows, *_legend(answer, together, width, marks)])


def _marks() -> Marks:
    try:
        "│█░┊".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return Marks()


def _candles(answer: Answer, most: int) -> tuple[list[Candle], int]:
    """Return at most `most` candles, and how many bars each is made of."""
    bars = answer.bars
    together = -(-len(bars) // most)
    candles = []
    before = answer.begin
    for n in range(0, len(bars), together):
        group = bars[n : n + together]
        hole = any(begin <= group[-1].start and before < end for begin, end in answer.holes)
        top, bottom = max(bar.high for bar in group), min(bar.low for bar in group)
        candles.append(Candle(group[0].open, top, bottom, group[-1].close, hole))
        before = group[-1].start + 1
    return candles, together


def _column(candle: Candle, low: float, high: float, height: int, marks: Marks, *, coloured: bool) -> list[str]:
    """Return the marks of one candle from top to bottom."""

    def row(value: float) -> int:
        return height - 1 if high == low else round((high - value) / (high - low) * (height - 1))

    rising = candle.close >= candle.open
    body = range(row(max(candle.open, candle.close)), row(min(candle.open, candle.close)) + 1)
    wick = range(row(candle.high), row(candle.low) + 1)
    empty = marks.hole if candle.hole else " "
    colour = "green" if rising else "red"

    def mark(n: int) -> str:
        if n not in wick:
            return empty
        text = (marks.rising if rising else marks.falling) if n in body else marks.wick
        return click.style(text, fg=colour) if coloured else text

    return [mark(n) for n in range(height)]


def _labels(low: float, high: float, height: int, tick: float) -> list[str]:
    """Return the prices beside the first row, the last and some in between, on the grid of ticks if there is one."""
    every = max(height // 4, 1)
    values = [high - (high - low) * n / (height - 1) for n in range(height)]
    if tick:
        values = [round(value / tick) * tick for value in values]
    shown = [(n % every == 0 and n + every // 2 < height - 1) or n == height - 1 for n in range(height)]
    return [f"{value:.8g}" if is_shown else "" for value, is_shown in zip(values, shown, strict=True)]


def _tick(symbol: str) -> float:
    """Return the smallest price change of a root; 0 if it is not known."""
    return float(SPECS[symbol].tick_size) if symbol in SPECS else 0.0


def _legend(answer: Answer, together: int, width: int, marks: Marks) -> list[str]:
    first, last = answer.bars[0], answer.bars[-1]
    each = "" if together == 1 else f", {together} in each candle"
    lines = [
        f"{answer.symbol} {answer.timeframe.value}, {len(answer.bars)} bars{each}",
        f"{to_datetime(first.start):%Y-%m-%d %H:%M} to {to_datetime(last.start):%Y-%m-%d %H:%M} UTC",
        f"{marks.rising} rising {marks.falling} falling" + (f" {marks.hole} missing before" if answer.holes else ""),
    ]
    return [part for line in lines for part in textwrap.wrap(line, width, break_on_hyphens=False)]
