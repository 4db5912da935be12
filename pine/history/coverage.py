"""What a hub's streams hold all of: from when on, until when, and without which holes."""

from collections.abc import Callable, Iterable
from typing import Final

import orjson

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.calendar import scheduled_hours
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.history.manifest import Interval, without

Hole = tuple[str, Interval]
"""Root, and the minutes of it that were lost."""

_LOSING: Final = ("gap", "reset")


def seen(client: Client, symbol: str, timeframe: Timeframe, rule: SessionRule) -> Interval | None:
    """Return from when on, and until when, a hub is known to have published a root's bars, in ns; nothing if never.

    From the root's first entry on; in the very first session of the clock, from the clock's beginning. A stream that
    was trimmed is known from the beginning of its first session on: trimming leaves whole ones.
    """
    names = (keys.bars(symbol, Timeframe.MINUTE), keys.volume(symbol))
    newest = [at for name in names if (at := _time(streams.last_id(client, name))) is not None]
    begin = _begin(client, symbol, timeframe, rule)
    if begin is None:
        return None
    return begin, max(newest, default=begin - NS_PER_MINUTE) + NS_PER_MINUTE


def _begin(client: Client, symbol: str, timeframe: Timeframe, rule: SessionRule) -> int | None:
    own = keys.bars(symbol, timeframe)
    if _was_trimmed(client, own):
        first = _oldest(client, own)
        if first is not None:
            return session_begin(first, rule)
        gone = streams.ms_of(client.xinfo_stream(own)["last-generated-id"]) * NS_PER_MS
        return session(gone, rule).end
    names = (keys.bars(symbol, Timeframe.MINUTE), keys.volume(symbol))
    oldest = [at for name in names if (at := _oldest(client, name)) is not None]
    if not oldest:
        return None
    begin = min(oldest)
    opening = session_begin(begin, rule)
    if not _was_trimmed(client, keys.CLOCK):
        first = _oldest(client, keys.CLOCK)
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


def _was_trimmed(client: Client, stream: str) -> bool:
    if not client.exists(stream):
        return False
    about = client.xinfo_stream(stream)
    return int(about["entries-added"]) > int(about["length"])


def _oldest(client: Client, stream: str) -> int | None:
    page = client.xrange(stream, count=1)
    return _time(page[0][0]) if page else None


def _time(identifier: str | bytes | None) -> int | None:
    return None if identifier is None else streams.ms_of(identifier) * NS_PER_MS
