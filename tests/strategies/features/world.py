"""Random walks as bars: years of days, and weeks of hours whose sessions fold to days."""

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pine.core.bar import Bar, fold
from pine.core.period import SessionRule, period
from pine.core.timeframe import NS_PER_HOUR, Timeframe

RULE = SessionRule()
START = datetime(2023, 1, 2, 23, tzinfo=UTC)
TICK = 0.25


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def walk(symbol: str, timeframe: Timeframe, starts: Iterable[int], seed: int, quiet: float = 0.0) -> list[Bar]:
    """Return bars of a walk in ticks; some periods have none. Flat bars, ties and streaks are frequent."""
    dice = random.Random(f"{symbol} {timeframe.value} {seed}")
    close = 4000.0 if symbol != "NQ" else 12000.0
    bars = []
    for start in starts:
        if dice.random() < quiet:
            continue
        opened = close + TICK * dice.choice((0, 0, 1, -1))
        close = opened + TICK * dice.randint(-8, 8)
        high = max(opened, close) + TICK * dice.randint(0, 4)
        low = min(opened, close) - TICK * dice.randint(0, 4)
        if dice.random() < 0.03:
            opened = high = low = close
        bars.append(Bar(symbol, timeframe, start, opened, high, low, close, dice.randint(1, 900), 1, f"{symbol}H3"))
    return bars


def days(symbol: str, count: int, seed: int = 1, first: datetime = START) -> list[Bar]:
    """Return the days of so many sessions, Mondays to Fridays."""
    starts = (ns(first + timedelta(days=day)) for day in range(2 * count))
    sessions = dict.fromkeys(period(Timeframe.DAY, start, RULE).start for start in starts if _traded(start))
    return walk(symbol, Timeframe.DAY, list(sessions)[:count], seed)


def hours(symbol: str, count: int, seed: int = 1, first: datetime = START, quiet: float = 0.04) -> list[Bar]:
    """Return hours of open sessions, and the days that they fold to as far as they are whole."""
    starts = [start for hour in range(2 * count) if _traded(start := ns(first + timedelta(hours=hour)))][:count]
    bars = walk(symbol, Timeframe.HOUR, starts, seed, quiet)
    return [*bars, *_folded(bars, starts[-1] + NS_PER_HOUR)]


def world(
    symbols: Sequence[str] = ("ES", "NQ"), day_count: int = 600, hour_count: int = 700, seed: int = 1
) -> list[Bar]:
    """Return days of some years, then hours and their days, of several symbols."""
    bars: list[Bar] = []
    for symbol in symbols:
        past = days(symbol, day_count, seed)
        begin = datetime.fromtimestamp(past[-1].start // 10**9, UTC) + timedelta(days=7) if past else START
        bars += [*past, *hours(symbol, hour_count, seed, begin)]
    return bars


def instants(bars: Iterable[Bar]) -> list[list[Bar]]:
    """Return bars by the instant of their close, in order."""
    found: dict[int, list[Bar]] = {}
    for bar in bars:
        found.setdefault(period(bar.timeframe, bar.start, RULE).end, []).append(bar)
    return [found[closed] for closed in sorted(found)]


def _traded(start: int) -> bool:
    """Tell whether an hour is traded: not 22:00, not from Friday 22:00 to Sunday 23:00."""
    moment = datetime.fromtimestamp(start // 10**9, UTC)
    return (
        moment.hour != 22
        and (moment.weekday() < 5 or (moment.weekday() == 6 and moment.hour == 23))
        and not (moment.weekday() == 4 and moment.hour > 22)
    )


def _folded(bars: Sequence[Bar], until: int) -> Iterator[Bar]:
    sessions: dict[tuple[int, int], list[Bar]] = {}
    for bar in bars:
        sessions.setdefault(period(Timeframe.DAY, bar.start, RULE), []).append(bar)
    for (start, end), inside in sessions.items():
        if end <= until:
            yield fold(inside, Timeframe.DAY, start)
