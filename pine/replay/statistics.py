"""What a run earned, and at what risk."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from pine.core.period import SessionRule, session
from pine.core.times import isoformat
from pine.orders.desk import refusal_kind
from pine.orders.trades import Blotter
from pine.replay.record import Record
from pine.replay.trades import blotter_of, trades_of

if TYPE_CHECKING:
    import polars as pl

SESSIONS_A_YEAR: Final = 252


@frozen
class Statistics:
    """Figures of one run, in dollars after commissions.

    Attributes
    ----------
    entries, exits
        Intents of each kind.
    trades
        Entries that were closed.
    pnl
        Sum of their profits and losses.
    win_rate
        Part of the trades with a profit above zero; nothing without trades.
    profit_factor
        Sum of profits by sum of losses (R. Pardo, The Evaluation and Optimization of Trading Strategies, 2008,
        ch. 12); nothing without losses.
    sharpe
        Mean of the sessions' profits by their sample standard deviation, times the root of 252, with a riskless rate
        of zero (W. F. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21, 1994); sessions without a trade
        between the first and the last count with zero. Nothing with fewer than two sessions or without deviation.
    max_drawdown
        Largest fall of the realised equity from a peak before it, the start included (M. Magdon-Ismail and A. Atiya,
        Maximum Drawdown, Risk Magazine 17, 2004).
    exposure
        Part of the run's time, weekends included, in which at least one position was open.
    open
        Positions that were still open at its end, a line each; in no other figure but `entries` and `exposure`.
    refused
        How many entries that the rules asked for were not made, by what kept them.
    """

    entries: int
    exits: int
    trades: int
    pnl: float
    win_rate: float | None
    profit_factor: float | None
    sharpe: float | None
    max_drawdown: float
    exposure: float
    open: tuple[str, ...] = ()
    refused: Mapping[str, int] = field(factory=dict)


def statistics_of(record: Record, rule: SessionRule) -> Statistics:
    """Return a run's figures; sessions are those of `rule`."""
    trades, blotter = trades_of(record), blotter_of(record)
    profits = trades["pnl"].to_list()
    actions = record.table("intents")["action"].to_list()
    gains = math.fsum(profit for profit in profits if profit > 0)
    losses = -math.fsum(profit for profit in profits if profit < 0)
    return Statistics(
        entries=sum(action != "exit" for action in actions),
        exits=sum(action == "exit" for action in actions),
        trades=len(profits),
        pnl=math.fsum(profits),
        win_rate=sum(profit > 0 for profit in profits) / len(profits) if profits else None,
        profit_factor=gains / losses if losses else None,
        sharpe=sharpe(session_profits(trades, rule)),
        max_drawdown=max_drawdown(profits),
        exposure=_exposure(record, blotter),
        open=_open(blotter),
        refused=_refused(record),
    )


def _refused(record: Record) -> dict[str, int]:
    asked = record.table("decisions").select("ask", "refused").drop_nulls()
    counts = Counter(refusal_kind(why) for ask, why in asked.iter_rows() if ask != "exit")
    return dict(counts.most_common())


def _open(blotter: Blotter) -> tuple[str, ...]:
    return tuple(
        f"{held.contract} {'long' if held.side > 0 else 'short'} {held.quantity} at {held.price} "
        f"since {isoformat(held.time)}"
        for held in blotter.open.values()
    )


def session_profits(trades: "pl.DataFrame", rule: SessionRule) -> list[float]:
    """Return the profit of each session from the first with an exit to the last; weekdays without one have zero."""
    by_start: dict[int, float] = {}
    for time, profit in trades.select("exit_time", "pnl").iter_rows():
        start = session(time, rule).start
        by_start[start] = by_start.get(start, 0.0) + profit
    if not by_start:
        return []
    from pine.core.calendar import scheduled_hours

    found = []
    at, last = min(by_start), max(by_start)
    while at <= last:
        span = session(at, rule)
        if at in by_start or scheduled_hours(rule.group, span.start, span.end):
            found.append(by_start.get(at, 0.0))
        at = session(span.end, rule).start
    return found


def sharpe(profits: Sequence[float]) -> float | None:
    """Return the yearly Sharpe ratio of the profits of sessions; see `Statistics`."""
    if len(profits) < 2:  # a sample deviation needs two
        return None
    mean = math.fsum(profits) / len(profits)
    variance = math.fsum((profit - mean) ** 2 for profit in profits) / (len(profits) - 1)
    return mean / math.sqrt(variance) * math.sqrt(SESSIONS_A_YEAR) if variance else None


def max_drawdown(profits: Sequence[float]) -> float:
    """Return the largest fall from a peak of the running sum, in the unit of the profits, not negative."""
    return max((-fall for fall in drawdowns(profits)), default=0.0)


def drawdowns(profits: Sequence[float]) -> list[float]:
    """Return, after each profit, how far the running sum is below its peak so far: zero or less."""
    total = peak = 0.0
    found = []
    for profit in profits:
        total += profit
        peak = max(peak, total)
        found.append(total - peak)
    return found


def _exposure(record: Record, blotter: Blotter) -> float:
    from pine.history.manifest import clipped

    facts = record.facts
    spans = [(trade.entered, trade.left) for trade in blotter.trades]
    spans += [(held.time, facts.end) for held in blotter.open.values()]
    held = sum(end - begin for begin, end in clipped(spans, facts.begin, facts.end))
    return held / (facts.end - facts.begin) if facts.end > facts.begin else 0.0
