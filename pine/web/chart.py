"""Candles, volume, session boundaries and trades as the options of one ECharts chart. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from pine.core.bar import Bar
from pine.core.period import SessionRule, session
from pine.core.timeframe import Timeframe
from pine.core.times import from_datetime, to_datetime

UP: Final = "#26a088"
DOWN: Final = "#e0575b"
EXIT: Final = "#8d7bf0"
FAINT: Final = "#8893a433"
TEXT: Final = "#8893a4"
"""In the middle between light and dark: the same chart is read on both grounds."""

WIDEST: Final = 14
"""Pixels of a candle where there are few."""

_SHAPES: Final = {Timeframe.MINUTE: "%a %d %H:%M", Timeframe.HOUR: "%a %d %H:%M", Timeframe.DAY: "%d %b"}
_SERIES: Final = ("candles", "volume", "trades", "bought", "sold", "exits")


def options(
    bars: Sequence[Bar], rule: SessionRule, orders: Iterable[Mapping[str, Any]] = (), show: int | None = None
) -> dict[str, Any]:
    """Return a chart of some bars.

    Parameters
    ----------
    bars
        Of one root and timeframe, oldest first.
    rule
        The root's sessions.
    orders
        Intents of this root, as `pine.ops.orders.list_orders` tells them; those filled within the bars are marked.
    show
        How many of the newest bars are in view at first; nothing leaves the view as it is.
    """
    timeframe = bars[-1].timeframe if bars else Timeframe.MINUTE
    labels = [f"{bar.timestamp:{_SHAPES[timeframe]}}" for bar in bars]
    marks = _marks([bar.start for bar in bars], orders)
    series = [_candles(bars, rule), _volume(bars), *_trades(marks)]
    assert tuple(one["name"] for one in series) == _SERIES
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit"},
        "axisPointer": {"link": [{"xAxisIndex": "all"}], "label": {"backgroundColor": "#5b6675"}},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "axisPointer": {"type": "cross"},
            "className": "p-tooltip",
            "borderWidth": 0,
            "textStyle": {"fontSize": 12},
        },
        "grid": [
            {"left": 8, "right": 62, "top": 22, "bottom": 104},
            {"left": 8, "right": 62, "height": 52, "bottom": 24},
        ],
        "xAxis": [_times(labels, 0), _times(labels, 1)],
        "yAxis": [_prices(), _volumes()],
        "dataZoom": [_zoom(len(bars), show)],
        "series": series,
    }


def boundaries(bars: Sequence[Bar], rule: SessionRule) -> list[tuple[int, str]]:
    """Return the index of each bar that begins a session, and the day that the session ends on."""
    if not bars or bars[0].timeframe is Timeframe.DAY:
        return []
    ends = [session(bar.start, rule).end for bar in bars]
    return [(n, f"{to_datetime(end):%a %d %b}") for n, (before, end) in enumerate(pairwise(ends), 1) if before != end]


def _zoom(count: int, show: int | None) -> dict[str, Any]:
    view = {} if show is None else {"start": max(0.0, 100 * (1 - show / max(count, 1))), "end": 100.0}
    still = {"preventDefaultMouseMove": False}  # a finger that moves over it scrolls the page too
    return {"type": "inside", "xAxisIndex": [0, 1], "minValueSpan": 10, **still, **view}


def _times(labels: Sequence[str], grid: int) -> dict[str, Any]:
    return {
        "type": "category",
        "data": list(labels),
        "gridIndex": grid,
        "axisLine": {"lineStyle": {"color": FAINT}},
        "axisTick": {"show": False},
        "axisLabel": {"show": grid == 1, "color": TEXT, "fontSize": 11, "hideOverlap": True},
        "axisPointer": {"label": {"show": grid == 1}},
    }


def _prices() -> dict[str, Any]:
    return {
        "scale": True,
        "position": "right",
        "axisLabel": {"color": TEXT, "fontSize": 11},
        "splitLine": {"lineStyle": {"color": FAINT}},
        "splitNumber": 5,
    }


def _volumes() -> dict[str, Any]:
    return {
        "gridIndex": 1,
        "position": "right",
        "splitNumber": 1,
        "axisLabel": {"color": TEXT, "fontSize": 10, "showMinLabel": False},
        "splitLine": {"show": False},
        "axisPointer": {"label": {"show": False}},
    }


def _candles(bars: Sequence[Bar], rule: SessionRule) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [
        {
            "xAxis": n,
            "lineStyle": {"color": TEXT, "type": "dashed", "opacity": 0.6},
            "label": _day(day if n < len(bars) - 3 else ""),
        }
        for n, day in boundaries(bars, rule)
    ]
    if bars:
        last = bars[-1]
        colour = UP if last.close >= last.open else DOWN
        label = {"position": "end", "color": "#fff", "backgroundColor": colour, "padding": [3, 5], "borderRadius": 3}
        lines.append({"yAxis": last.close, "lineStyle": {"color": colour, "type": "dotted"}, "label": label})
    style = {"color": UP, "borderColor": UP, "color0": DOWN, "borderColor0": DOWN}
    return {
        "name": "candles",
        "type": "candlestick",
        "data": [[bar.open, bar.close, bar.low, bar.high] for bar in bars],
        "barMaxWidth": WIDEST,
        "itemStyle": style,
        "markLine": {"symbol": "none", "silent": True, "animation": False, "data": lines},
    }


def _day(day: str) -> dict[str, Any]:
    return {"formatter": day, "position": "end", "color": TEXT, "fontSize": 11}


def _volume(bars: Sequence[Bar]) -> dict[str, Any]:
    return {
        "name": "volume",
        "type": "bar",
        "xAxisIndex": 1,
        "yAxisIndex": 1,
        "data": [bar.volume for bar in bars],
        "barMaxWidth": WIDEST,
        "itemStyle": {"color": TEXT, "opacity": 0.45},
    }


def _marks(starts: Sequence[int], orders: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the fills that lie within the bars, with the index of their bar."""
    found = []
    for order in orders:
        if order["filled"] is None or order["void"]:
            continue
        n = bisect_right(starts, from_datetime(datetime.fromisoformat(order["filled"]))) - 1
        if n >= 0:
            found.append({**order, "n": n})
    return found


def _trades(marks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    opened = {mark["intent"]: mark for mark in marks}
    closed = [(opened[mark["entry"]], mark) for mark in marks if mark["entry"] in opened]
    lines = {
        "name": "trades",
        "type": "lines",
        "coordinateSystem": "cartesian2d",
        "silent": True,
        "tooltip": {"show": False},
        "z": 4,
        "data": [
            {
                "coords": [[entry["n"], entry["fill"]], [mark["n"], mark["fill"]]],
                "lineStyle": {"color": UP if (mark["pnl"] or 0) >= 0 else DOWN, "width": 1.5, "opacity": 0.9},
            }
            for entry, mark in closed
        ],
    }
    return [
        lines,
        _points("bought", [mark for mark in marks if mark["action"] == "buy"], "triangle", UP),
        _points("sold", [mark for mark in marks if mark["action"] == "sell"], "triangle", DOWN, 180),
        _points("exits", [mark for mark in marks if mark["action"] == "exit"], "diamond", EXIT),
    ]


def _points(
    name: str, marks: Sequence[Mapping[str, Any]], symbol: str, colour: str, rotated: int = 0
) -> dict[str, Any]:
    return {
        "name": name,
        "type": "scatter",
        "symbol": symbol,
        "symbolSize": 12,
        "symbolRotate": rotated,
        "z": 5,
        "itemStyle": {"color": colour, "borderColor": "#fff", "borderWidth": 1},
        "data": [[mark["n"], mark["fill"]] for mark in marks],
    }
