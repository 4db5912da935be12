"""What a hub's streams hold all of: from when on, until when, and without which holes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import orjson

from pine.bus import keys, streams
from pine.bus.survey import Facts
from pine.core.calendar import scheduled_hours
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.history.manifest import Interval, without

Hole = tuple[str, Interval]
"""Root, and the minutes of it that were lost."""

_LOSING: Final = ("gap", "reset")


def streams_of(symbol: str, timeframe: Timeframe) -> tuple[str, ...]:
    """Return the streams whose facts say from when to when a root's bars of one length are known."""
    return (keys.CLOCK, keys.volume(symbol), keys.bars(symbol, Timeframe.MINUTE), keys.bars(symbol, timeframe))


def seen(facts: Mapping[str, Facts], symbol: str, timeframe: Timeframe, rule: SessionRule) -> Interval | None:
    """Return from when on, and until when, a hub is known to have published a root's bars, in ns; nothing if never.

    From the root's first entry on; in the very first session of the clock, from the clock's beginning. A stream that
    was trimmed is known from the beginning of its first session on: trimming leaves whole ones.

    Parameters
    ----------
    facts
        What the server says of `streams_of` the root, all of one moment.
    symbol, timeframe, rule
        Root, length of its bars, and how its sessions follow each other.
    """
    minutes_and_volume = [
        facts[name] for name in (keys.bars(symbol, Timeframe.MINUTE), keys.volume(symbol)) if name in facts
    ]
    newest = [at for known in minutes_and_volume if (at := _time(known.last)) is not None]
    oldest = [at for known in minutes_and_volume if (at := _time(known.first)) is not None]
    begin = _begin(facts.get(keys.bars(symbol, timeframe)), facts.get(keys.CLOCK), oldest, rule)
    if begin is None:
        return None
    return begin, max(newest, default=begin - NS_PER_MINUTE) + NS_PER_MINUTE


def _begin(own: Facts | None, clock: Facts | None, oldest: Sequence[int], rule: SessionRule) -> int | None:
    if own is not None and own.was_trimmed:
        first = _time(own.first)
        if first is not None:
            return session_begin(first, rule)
        return session(streams.ms_of(own.generated) * NS_PER_MS, rule).end
    if not oldest:
        return None
    begin = min(oldest)
    opening = session_begin(begin, rule)
    if clock is None or not clock.was_trimmed:
        first = None if clock is None else _time(clock.first)
        started = begin if first is None else first - NS_PER_MINUTE
        begin = started if opening <= started < begin else begin
    # Before the market opens there was nothing to miss.
    return begin if scheduled_hours(rule.group, opening, begin) else opening


def hole_of(fields: dict[bytes, bytes]) -> Hole | None:
    """Return what an event says is missing, if it is one that does."""
    event = orjson.loads(streams.field_of(keys.EVENTS, fields, "event"))
    if event["kind"] not in _LOSING:
        return None
    return event["symbol"], (event["first_minute"], event["last_minute"] + NS_PER_MINUTE)


def holes(entries: Iterable[streams.Entry]) -> set[Hole]:
    """Return what events say is missing."""
    return {hole for _, fields in entries if (hole := hole_of(fields)) is not None}


def complete(
    timeframe: Timeframe,
    span: Interval,
    known: Interval,
    lost: Iterable[Interval],
    session_of: Callable[[int], Interval],
) -> tuple[Interval, ...]:
    """Return of which part of a stretch of whole sessions every bar is there; all times in ns.

    Parameters
    ----------
    timeframe
        Length of the bars. An hour or day that lost a minute makes no bar.
    span
        The stretch.
    known
        From when on, and until when, bars are known to have been published.
    lost
        Holes.
    session_of
        Returns the session that holds an instant.
    """
    return without([span], _widened([*lost, (span[0], known[0]), (known[1], span[1])], timeframe, session_of))


def _widened(lost: Iterable[Interval], timeframe: Timeframe, session_of: Callable[[int], Interval]) -> list[Interval]:
    """Return holes with the hours, or the sessions, that they make impossible."""
    real = [hole for hole in lost if hole[0] < hole[1]]
    if timeframe is Timeframe.MINUTE:
        return real
    if timeframe is Timeframe.DAY:
        return [(session_of(begin)[0], session_of(end - 1)[1]) for begin, end in real]
    return [(begin - begin % NS_PER_HOUR, end + -end % NS_PER_HOUR) for begin, end in real]


def _time(identifier: str | None) -> int | None:
    return None if identifier is None else streams.ms_of(identifier) * NS_PER_MS
