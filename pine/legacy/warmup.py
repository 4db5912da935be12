"""Hours and days before the first trade, from pine's history, as boundaries that the feeds drain before live ones."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import field, frozen

from pine.core.bar import Bar
from pine.core.contract import Contract, parse_contract
from pine.core.period import SessionRule, period, session_begin
from pine.core.timeframe import Timeframe
from pine.core.times import to_datetime
from pine.legacy.fanout import Slot

if TYPE_CHECKING:
    from pine.core.config import WarmUpConfig
    from pine.history.answer import History

Leads = Mapping[int, tuple[str, Contract]]


@frozen
class Past:
    """What is known before the first trade.

    Attributes
    ----------
    bars
        Hours and days, by symbol, in order.
    begins
        Where trades take over, by symbol: the start (ns) of the session under way.
    leads
        Leads known beforehand, by symbol and start of session.
    holes
        Sentences on what is missing, for a person.
    """

    bars: Mapping[str, Sequence[Bar]] = field(factory=dict)
    begins: Mapping[str, int] = field(factory=dict)
    leads: Mapping[str, Leads] = field(factory=dict)
    holes: tuple[str, ...] = ()


def read_past(
    history: "History",
    rules: Mapping[str, SessionRule],
    now: int,
    reach: "WarmUpConfig | None",
    *,
    buy: bool = False,
) -> Past:
    """Return the past of some symbols up to the beginning of the session that holds `now` (ns).

    `reach` says how many sessions of days and of hours go before that one; nothing for none.

    Raises
    ------
    PineError
        As `History.bars` does.
    """
    bars: dict[str, list[Bar]] = {}
    begins: dict[str, int] = {}
    leads: dict[str, Leads] = {}
    holes: list[str] = []
    wanted = () if reach is None else ((Timeframe.DAY, reach.daily), (Timeframe.HOUR, reach.hourly))
    for symbol, rule in rules.items():
        begins[symbol] = session_begin(now, rule)
        bars[symbol] = []
        for timeframe, count in wanted:
            first = _sessions_before(begins[symbol], count, rule)
            answer = history.bars(symbol, timeframe, first, begins[symbol], buy=buy)
            whole = [bar for bar in answer.bars if not any(a <= bar.start < b for a, b in answer.holes)]
            bars[symbol] += whole
            if answer.holes:
                holes.append(f"{symbol} {timeframe.value}: {len(whole)} bars of {count} sessions, the rest is missing")
        leads[symbol] = _leads(history, symbol, begins[symbol], bars[symbol])
    return Past(bars, begins, leads, tuple(holes))


def slots_of(bars: Mapping[str, Sequence[Bar]], rules: Mapping[str, SessionRule]) -> dict[str, tuple[Slot, ...]]:
    """Return the boundaries at which warm-up bars close, the same for every symbol, each with its own bars."""
    closing: dict[int, dict[str, list[Bar]]] = {}
    for symbol, known in bars.items():
        for bar in known:
            end = period(bar.timeframe, bar.start, rules[symbol]).end
            closing.setdefault(end, {}).setdefault(symbol, []).append(bar)
    return {
        symbol: tuple(Slot(ts, known=tuple(closing[ts].get(symbol, ())), live=False) for ts in sorted(closing))
        for symbol in rules
    }


def _sessions_before(begin: int, count: int, rule: SessionRule) -> int:
    """Return the start of the session `count` sessions before one; weekends are no sessions."""
    from pine.core.calendar import scheduled_hours

    start = begin
    while count > 0:
        start = session_begin(start - 1, rule)
        end = period(Timeframe.DAY, start, rule).end
        count -= scheduled_hours(rule.group, start, end) > 0
    return start


def _leads(history: "History", symbol: str, begin: int, bars: Sequence[Bar]) -> Leads:
    """Return what the archive knows of leads, else the contract of the last bar."""
    archive = history.archive
    known: Mapping[int, str] = archive.leads(symbol) if archive is not None and hasattr(archive, "leads") else {}
    if not known and bars:
        last = max(bars, key=lambda bar: bar.start)
        known = {last.start: last.contract_symbol}
    return {
        start: (raw, parse_contract(raw, to_datetime(start).date())) for start, raw in known.items() if start <= begin
    }
