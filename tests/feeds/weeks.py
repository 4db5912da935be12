"""Made-up weeks of minutes, and hours and days from them by another way than pine's own."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from pine.core.bar import Bar
from pine.core.period import SessionClose, SessionRule
from pine.core.timeframe import Timeframe
from pine.feeds.steps import MarketEvent, Step

CHICAGO: Final = ZoneInfo("America/Chicago")
UTC_RULE: Final = SessionRule()
CHICAGO_RULE: Final = SessionRule(SessionClose.parse("17:00 America/Chicago"), "metals")
MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS


def at(text: str) -> int:
    """Return ns of an ISO time in UTC."""
    return _ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


def week(sunday: str) -> list[int]:
    """Return the starts in ns of all minutes that trade in the week that opens on a Sunday at 17:00 in Chicago."""
    minutes = []
    for day in range(5):
        evening = datetime.fromisoformat(sunday) + timedelta(days=day, hours=17)
        opened = _ns(evening.replace(tzinfo=CHICAGO))
        closed = _ns((evening + timedelta(hours=23)).replace(tzinfo=CHICAGO))
        minutes += range(opened, closed, MINUTE_NS)
    return minutes


def walk(symbol: str, minutes: Iterable[int], seed: int, *, price: float = 5000.0, tick: float = 0.25) -> list[Bar]:
    """Return a random walk in minute bars; the same seed makes the same bars."""
    starts = list(minutes)
    rng = np.random.default_rng(seed)
    moves = rng.integers(-6, 7, size=(len(starts), 3)).cumsum(axis=1)
    level = round(price / tick)
    bars = []
    for i, start in enumerate(starts):
        path = [level, *(level + moves[i]).tolist()]
        level = path[-1]
        open_, high, low, close = (value * tick for value in (path[0], max(path), min(path), path[-1]))
        bars.append(
            Bar(symbol, Timeframe.MINUTE, start, open_, high, low, close, int(rng.integers(1, 90)), 7, f"{symbol}H4")
        )
    return bars


def day_of(start: int, rule: SessionRule) -> tuple[int, int]:
    """Return start and end of the session of a minute in trading hours, for the two rules above."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=start // 1000)
    if rule == CHICAGO_RULE:
        named = (moment.astimezone(CHICAGO) + timedelta(hours=7)).date()
        end = datetime(named.year, named.month, named.day, 17, tzinfo=CHICAGO)
        first = end.replace(tzinfo=None) - timedelta(days=1)
        return _ns(first.replace(tzinfo=CHICAGO)), _ns(end)
    named = (moment + timedelta(hours=1)).date()
    if named.weekday() == 6:  # Sunday 22 to 23 in summer is Monday's
        named += timedelta(days=1)
    end = datetime(named.year, named.month, named.day, 23, tzinfo=UTC)
    return _ns(end - timedelta(days=1)), _ns(end)


def longer(minutes: Iterable[Bar], rules: Mapping[str, SessionRule]) -> dict[int, list[Bar]]:
    """Return, by the ns at which they close, hours before days, each in order of the rules' symbols."""
    groups: dict[tuple[int, int, int, int], list[Bar]] = {}
    order = list(rules)
    for bar in minutes:
        hour = bar.start // HOUR_NS * HOUR_NS
        start, end = day_of(bar.start, rules[bar.symbol])
        groups.setdefault((hour + HOUR_NS, 0, order.index(bar.symbol), hour), []).append(bar)
        groups.setdefault((end, 1, order.index(bar.symbol), start), []).append(bar)
    closing: dict[int, list[Bar]] = {}
    for (end, is_day, _, start), bars in sorted(groups.items(), key=lambda item: item[0]):
        made = Bar(
            bars[0].symbol,
            Timeframe.DAY if is_day else Timeframe.HOUR,
            start,
            bars[0].open,
            max(bar.high for bar in bars),
            min(bar.low for bar in bars),
            bars[-1].close,
            sum(bar.volume for bar in bars),
            bars[-1].instrument_id,
            bars[-1].contract_symbol,
        )
        closing.setdefault(end, []).append(made)
    return closing


def steps(
    minutes: Iterable[Bar],
    rules: Mapping[str, SessionRule],
    *,
    events: Mapping[int, list[MarketEvent]] | None = None,
    live_from: int = 0,
) -> list[Step]:
    """Return the steps of a tape: one for every boundary at which something closes or happens."""
    events = events or {}
    known = sorted(minutes, key=lambda bar: bar.start)
    by_end = {start + MINUTE_NS: list(bars) for start, bars in groupby(known, key=lambda bar: bar.start)}
    closing = longer(known, rules)
    order = list(rules)
    made, previous = [], 0
    for ts in sorted(by_end.keys() | closing.keys() | events.keys()):
        now = sorted(by_end.get(ts, []), key=lambda bar: order.index(bar.symbol))
        made.append(Step(ts, previous, now, closing.get(ts, []), events.get(ts, []), ts >= live_from))
        previous = ts
    return made


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000
