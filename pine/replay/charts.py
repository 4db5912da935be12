"""The charts of a report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from pine.core.period import SessionRule, session
from pine.core.timeframe import Timeframe
from pine.core.times import to_datetime
from pine.replay.record import Record
from pine.replay.statistics import drawdowns
from pine.replay.trades import trades_of

if TYPE_CHECKING:
    import polars as pl

MOST_CANDLES: Final = 20_000
"""With more of them a browser gets slow; days are drawn instead of hours then."""
MOST_SESSIONS: Final = 400
"""With more boundaries the chart is nothing but boundaries."""
_HEIGHT: Final = 420
COLOURS: Final = ("#2471a3", "#ca6f1e", "#1e8449", "#7d3c98", "#b03a2e", "#148f77")


def equity(records: Sequence[Record]) -> Any:
    """Return a figure of the realised profit after each exit, and how far it is below its peak."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.05)
    for n, record in enumerate(records):
        trades = trades_of(record)
        times = [to_datetime(record.facts.begin), *map(to_datetime, trades["exit_time"])]
        profits = trades["pnl"].to_list()
        curve = [0.0]
        for profit in profits:
            curve.append(curve[-1] + profit)
        line = {"shape": "hv", "color": COLOURS[n % len(COLOURS)]}
        name = record.facts.strategy
        figure.add_scatter(x=times, y=curve, name=name, line=line, row=1, col=1)
        figure.add_scatter(
            x=times,
            y=[0.0, *drawdowns(profits)],
            name=f"{name} drawdown",
            line=line,
            fill="tozeroy",
            showlegend=False,
            row=2,
            col=1,
        )
    figure.update_yaxes(title_text="profit $", row=1, col=1)
    figure.update_yaxes(title_text="drawdown $", row=2, col=1)
    return laid_out(figure)


def candles(record: Record, symbol: str, rule: SessionRule) -> Any | None:
    """Return a figure of a symbol's hours (or days) with session boundaries and trades; nothing without bars."""
    import plotly.graph_objects as go

    bars = _bars(record, symbol)
    if not bars.height:
        return None
    starts = bars["start"].to_list()
    figure = go.Figure()
    figure.add_candlestick(
        x=[to_datetime(start) for start in starts],
        **{name: bars[name].to_list() for name in ("open", "high", "low", "close")},
        name=symbol,
    )
    begins = sorted({session(start, rule).start for start in starts})
    if len(begins) <= MOST_SESSIONS:
        line = {"color": "rgba(128,128,128,.45)", "width": 1, "dash": "dot"}
        shapes = [{"x0": to_datetime(at), "x1": to_datetime(at)} for at in begins]
        figure.update_layout(
            shapes=[{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": line, **shape} for shape in shapes]
        )
    _add_trades(figure, trades_of(record), symbol)
    figure.update_layout(xaxis_rangeslider_visible=False)
    return laid_out(figure)


def _bars(record: Record, symbol: str) -> "pl.DataFrame":
    import polars as pl

    facts = record.facts
    own = record.table("bars").filter((pl.col("symbol") == symbol) & (pl.col("step") > facts.begin))
    for timeframe in (Timeframe.HOUR, Timeframe.DAY):
        found = own.filter(pl.col("timeframe") == timeframe.value)
        if 0 < found.height <= MOST_CANDLES:
            return found
    return own.filter(pl.col("timeframe") == Timeframe.MINUTE.value).tail(MOST_CANDLES)


def _add_trades(figure: Any, trades: "pl.DataFrame", symbol: str) -> None:
    own = [row for row in trades.iter_rows(named=True) if row["symbol"] == symbol]
    if not own:
        return
    x: list[Any] = []
    y: list[Any] = []
    for row in own:
        x += [to_datetime(row["entry_time"]), to_datetime(row["exit_time"]), None]
        y += [row["entry_price"], row["exit_price"], None]
    figure.add_scatter(x=x, y=y, mode="lines", line={"color": "#5d6d7e", "width": 1.5}, name="held", hoverinfo="skip")
    for side, mark in ((1, "triangle-up"), (-1, "triangle-down")):
        chosen = [row for row in own if row["side"] == side]
        if chosen:
            figure.add_scatter(
                x=[to_datetime(row["entry_time"]) for row in chosen],
                y=[row["entry_price"] for row in chosen],
                mode="markers",
                marker={"symbol": mark, "size": 10, "color": "#2471a3"},
                name="bought" if side > 0 else "sold short",
            )
    figure.add_scatter(
        x=[to_datetime(row["exit_time"]) for row in own],
        y=[row["exit_price"] for row in own],
        mode="markers",
        marker={"symbol": "x", "size": 8, "color": ["#1e8449" if row["pnl"] > 0 else "#c0392b" for row in own]},
        text=[f"{row['reason']}: {row['pnl']:,.2f} $" for row in own],
        name="exit",
    )


def laid_out(figure: Any) -> Any:
    """Return a figure as all charts of a page look."""
    figure.update_layout(
        template="plotly_white",
        height=_HEIGHT,
        margin={"l": 56, "r": 12, "t": 12, "b": 36},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        dragmode="pan",
        hovermode="x unified",
    )
    return figure
