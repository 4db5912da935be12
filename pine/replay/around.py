"""The bars around a difference, on both sides."""

from typing import Any, Final

from pine.core.timeframe import Timeframe
from pine.replay.parity import Verdict
from pine.replay.record import Record
from pine.replay.rows import Difference

COUNT: Final = 5

Pair = tuple[dict[str, Any] | None, dict[str, Any] | None]
"""One bar as the left and as the right side had it."""


def bars_around(verdict: Verdict, count: int = COUNT) -> list[Pair]:
    """Return some bars up to the first difference and after it: of its symbol, on its timeframe.

    Where the difference is no bar, they are those of the longest timeframe that closed there.
    """
    first = verdict.first
    if first is None:
        return []
    symbol = _symbol(first, verdict.left)
    timeframe = first.key.get("timeframe") or _closing(verdict, symbol, first.step)
    sides = [_bars(record, symbol, timeframe) for record in (verdict.left, verdict.right)]
    starts = sorted({start for side in sides for start in side})
    if not starts:
        return []
    at = _place(sides, starts, first)
    low = max(0, min(at - count // 2, len(starts) - count))
    return [(sides[0].get(start), sides[1].get(start)) for start in starts[low : low + count]]


def _place(sides: list[dict[int, dict[str, Any]]], starts: list[int], first: Difference) -> int:
    if "start" in first.key:
        return starts.index(first.key["start"])
    known = [
        n for n, start in enumerate(starts) for side in sides if start in side and side[start]["step"] <= first.step
    ]
    return max(known, default=0)


def _symbol(first: Difference, record: Record) -> str:
    for place in (first.key, first.left or {}, first.right or {}):
        if place.get("symbol"):
            return str(place["symbol"])
    return record.facts.symbols[0] if record.facts.symbols else ""


def _closing(verdict: Verdict, symbol: str, step: int) -> str:
    import polars as pl

    for timeframe in (Timeframe.DAY, Timeframe.HOUR):
        for record in (verdict.left, verdict.right):
            found = record.table("bars").filter(
                (pl.col("symbol") == symbol) & (pl.col("timeframe") == timeframe.value) & (pl.col("step") == step)
            )
            if found.height:
                return str(timeframe.value)
    return str(Timeframe.MINUTE.value)


def _bars(record: Record, symbol: str, timeframe: str) -> dict[int, dict[str, Any]]:
    import polars as pl

    table: pl.DataFrame = record.table("bars")
    chosen = table.filter((pl.col("symbol") == symbol) & (pl.col("timeframe") == timeframe))
    return {row["start"]: row for row in chosen.iter_rows(named=True)}
