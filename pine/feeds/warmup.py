"""The history that a strategy is fed before its first live step: what to ask for, and how it is kept on a stream."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import orjson
from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.config import WarmUpConfig
from pine.core.errors import DataError
from pine.core.period import SessionRule, session_begin
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.history.leads import look_back

CHUNK: Final = 500
"""Bars in one entry of the stream at most: some 120 KB."""


@frozen
class WarmUp:
    """Bars to be fed before the first step after `until`.

    Attributes
    ----------
    until
        The newest step, in ns, when the strategy's life began.
    bars
        Raw: days, hours and minutes of finished sessions, and the minutes of the session under way; of each symbol
        and timeframe in order of time.
    """

    until: int
    bars: tuple[Bar, ...]


@frozen
class Question:
    """Bars that a warm-up needs: those that start in ``begin <= t < end``, ns."""

    symbol: str
    timeframe: Timeframe
    begin: int
    end: int


def questions(
    rules: Mapping[str, SessionRule], timeframes: Iterable[Timeframe], settings: WarmUpConfig, until: int
) -> list[Question]:
    """Return what a warm-up that ends at a step asks for.

    Days and hours of the sessions that are over, and the minutes of the session under way, of which its hours and
    days will be built: a session's first hours and its last ones then come from the same minutes. For a strategy that
    reads minutes those go further back.

    Parameters
    ----------
    rules
        Session rule of each symbol, in the strategy's order.
    timeframes
        What the strategy reads.
    settings
        How many sessions each goes back.
    until
        The step, in ns.
    """
    declared = set(timeframes)
    found = []
    for timeframe in (Timeframe.DAY, Timeframe.HOUR, Timeframe.MINUTE):
        for symbol, rule in rules.items():
            under_way = session_begin(until - NS_PER_MINUTE, rule)
            reach = settings.sessions(timeframe) if timeframe in declared else 0
            end = until if timeframe is Timeframe.MINUTE else under_way
            question = Question(symbol, timeframe, look_back(under_way, reach, rule), end)
            if question.begin < question.end:
                found.append(question)
    return found


def chunks(bars: Iterable[Bar]) -> Iterator[bytes]:
    """Yield the contents of a warm-up stream's entries: lists of bars of one symbol and timeframe."""
    for _, alike in groupby(bars, key=lambda bar: (bar.symbol, bar.timeframe)):
        found = [bar.to_dict() for bar in alike]
        yield from (orjson.dumps(found[first : first + CHUNK]) for first in range(0, len(found), CHUNK))


def read_bars(client: Client, strategy: str, first: str, last: str) -> tuple[Bar, ...]:
    """Return the bars of a strategy's warm-up stream between two ids, both included.

    Raises
    ------
    DataError
        If an entry is no list of bars.
    """
    stream = keys.warm_up(strategy)
    entries = streams.read_range(client, stream, first, last)
    return tuple(bar for entry in entries for bar in _bars(stream, entry))


def _bars(stream: str, entry: streams.Entry) -> Sequence[Bar]:
    identifier, fields = entry
    payload = streams.field_of(stream, fields, "bars")
    try:
        found = orjson.loads(payload)
        return [Bar.from_dict(raw) for raw in found]
    except (orjson.JSONDecodeError, TypeError, DataError) as error:
        raise DataError(f"{stream} {identifier}: found {payload[:80]!r}, expected a list of bars: {error}") from None
