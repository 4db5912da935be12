"""Steps: everything that becomes known at one minute boundary, read from the streams."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from attrs import define, field, frozen

from pine.bus import keys, streams
from pine.bus.client import Client, Pipeline
from pine.core.bar import Bar
from pine.core.errors import DataError
from pine.core.period import SessionRule, session
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import to_ms

LOOK_AHEAD: Final = 1440 * NS_PER_MINUTE
"""How far bars are read ahead of the present step while catching up."""
ALONG: Final = 200
"""Streams whose bars may come along with the clock; of more, asking again and again in vain would cost too much."""


@frozen
class MarketEvent:
    """A roll, reset, gap or refill that takes effect at a step."""

    kind: str
    symbol: str
    details: Mapping[str, Any]


@frozen
class Step:
    """One whole minute boundary with every bar that closes there.

    Attributes
    ----------
    ts
        The boundary, ns since 1970.
    previous
        The step before it in the clock, ms; 0 for the very first.
    minutes, longer
        Minute bars, and the hours and days that the hub published, each in order of the worker's symbols.
    live
        Whether decisions count; not in warm-up.
    """

    ts: int
    previous: int
    minutes: Sequence[Bar]
    longer: Sequence[Bar]
    events: Sequence[MarketEvent]
    live: bool = True


def parse_clock(entry: streams.Entry) -> tuple[int, int]:
    """Return a clock entry's boundary and the one before it, both in ms.

    Raises
    ------
    DataError
        If the entry's body is gone: somebody trimmed what was not read yet.
    """
    identifier, fields = entry
    if b"prev" not in fields:
        raise DataError(f"{keys.CLOCK} {identifier}: the entry's body is gone; the stream was trimmed below a reader")
    try:
        previous = fields[b"prev"].decode()
        return streams.ms_of(identifier), streams.ms_of(previous) if previous else 0
    except ValueError:
        raise DataError(f"{keys.CLOCK} {identifier}: found prev {fields[b'prev']!r}, expected an id") from None


def parse_event(clock_ms: int, fields: dict[bytes, bytes]) -> MarketEvent:
    """Return an entry of the market's events, which takes effect at a step (ms).

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        raw = orjson.loads(fields[b"event"])
        kind, symbol = raw.pop("kind"), raw.pop("symbol")
    except (KeyError, AttributeError, TypeError, orjson.JSONDecodeError) as error:
        raise DataError(f"{keys.EVENTS} {clock_ms}: an event that cannot be read: {error}") from None
    return MarketEvent(kind, symbol, raw)


def _last(stream: str, until: int) -> str:
    """Return the greatest id that an entry of a step up to an instant (ns) can have."""
    ms = to_ms(until) if stream == keys.EVENTS else to_ms(until) - 1
    return f"{ms}-{(1 << 64) - 1}"


@define
class StepReader:
    """Reads the bars and events of steps, many at once while far behind.

    Parameters
    ----------
    client
        Connection to the server.
    rules
        Session rule of each symbol to read, in the worker's order.
    """

    client: Client
    rules: Mapping[str, SessionRule]
    consumed: dict[str, int] = field(factory=lambda: defaultdict(int))
    _ahead: dict[str, deque[streams.Entry]] = field(factory=lambda: defaultdict(deque))
    _read_until: int = 0

    def read(self, clock_ms: int, previous_ms: int, *, live: bool) -> Step:
        """Return the step of a clock entry.

        Everything that closes at a boundary is on its stream before the boundary's clock entry is, so a bar
        that is not there does not exist.
        """
        ts = clock_ms * NS_PER_MS
        if ts > self._read_until:
            self._fetch(ts)
        minutes = [bar for symbol in self.rules for bar in self._bars(symbol, Timeframe.MINUTE, ts - NS_PER_MINUTE)]
        longer: list[Bar] = []
        for symbol, rule in self.rules.items():
            if ts % NS_PER_HOUR == 0:
                longer += self._bars(symbol, Timeframe.HOUR, ts - NS_PER_HOUR)
            day = session(ts - 1, rule)
            if day.end == ts:
                longer += self._bars(symbol, Timeframe.DAY, day.start)
        return Step(ts, previous_ms * NS_PER_MS, minutes, longer, self._events(clock_ms), live)

    def wait(self, group: str, consumer: str, previous_ms: int, block_ms: int) -> list[streams.Entry]:
        """Wait for the next clock entry of a group, and have the bars of its step come along.

        The server is asked for both at once: it answers for the bars when the clock has moved, so that a step is here
        after one exchange and not two. What is found there is the same as `read` would ask for.

        Parameters
        ----------
        group, consumer
            As whom to read the clock.
        previous_ms
            The step before, in ms; 0 if it is not known.
        block_ms
            How long to wait at most.
        """
        before = previous_ms * NS_PER_MS
        wanted = self._streams(before + NS_PER_MINUTE)
        if not previous_ms or before < self._read_until or len(wanted) > ALONG:
            return streams.read_group(self.client, keys.CLOCK, group, consumer, block_ms=block_ms)
        pipeline = self.client.pipeline(transaction=False)
        pipeline.xreadgroup(group, consumer, {keys.CLOCK: ">"}, count=1, block=block_ms)
        self._ask(pipeline, wanted, before + LOOK_AHEAD)
        came, *replies = pipeline.execute()
        entries = streams.grouped(came)
        if entries and streams.ms_of(entries[0][0]) * NS_PER_MS <= before + LOOK_AHEAD:
            self._keep(wanted, replies, streams.ms_of(entries[0][0]) * NS_PER_MS, before + LOOK_AHEAD)
        return entries

    def _streams(self, ts: int) -> dict[str, int]:
        """Every stream with the id, in ms, from which a step at `ts`, or a later one, may need entries."""
        wanted = {keys.EVENTS: to_ms(ts)}
        for symbol, rule in self.rules.items():
            wanted[keys.bars(symbol, Timeframe.MINUTE)] = to_ms(ts - NS_PER_MINUTE)
            wanted[keys.bars(symbol, Timeframe.HOUR)] = to_ms(ts - NS_PER_HOUR)
            wanted[keys.bars(symbol, Timeframe.DAY)] = to_ms(session(ts - 1, rule).start)
        return wanted

    def _fetch(self, ts: int) -> None:
        """Read what there is for a step and those that follow, in one exchange with the server."""
        wanted = self._streams(ts)
        pipeline = self.client.pipeline(transaction=False)
        self._ask(pipeline, wanted, ts + LOOK_AHEAD)
        self._keep(wanted, pipeline.execute(), ts, ts + LOOK_AHEAD)

    def _ask(self, pipeline: Pipeline, wanted: Mapping[str, int], limit: int) -> None:
        """Ask for what streams hold up to a time.

        The clock is asked first: everything up to its newest entry stands on the streams then, and what comes later
        may be half of a step, and is left out.
        """
        pipeline.xrevrange(keys.CLOCK, count=1)
        for stream, first in wanted.items():
            pipeline.xrange(stream, streams.entry_id(first), _last(stream, limit))

    def _keep(self, wanted: Mapping[str, int], replies: list[Any], ts: int, limit: int) -> None:
        """Keep what came, of whole steps, from the step at `ts` on."""
        newest, *found = replies
        reached = streams.ms_of(newest[0][0]) * NS_PER_MS if newest else ts
        until = max(ts, min(reached, limit))
        for stream, entries in zip(wanted, found, strict=True):
            last = streams.id_pair(_last(stream, until))
            while entries and streams.id_pair(entries[-1][0]) > last:
                entries.pop()
            self._ahead[stream] = deque((identifier.decode(), fields) for identifier, fields in entries)
        self._read_until = until

    def _bars(self, symbol: str, timeframe: Timeframe, start: int) -> list[Bar]:
        stream = keys.bars(symbol, timeframe)
        entry = self._take(stream, to_ms(start))
        return [Bar.from_json(streams.field_of(stream, entry, "bar"))] if entry else []

    def _take(self, stream: str, ms: int) -> dict[bytes, bytes] | None:
        queue = self._ahead[stream]
        while queue and streams.ms_of(queue[0][0]) < ms:
            queue.popleft()
        if queue and streams.ms_of(queue[0][0]) == ms:
            self.consumed[stream] = ms
            return queue.popleft()[1]
        return None

    def _events(self, clock_ms: int) -> list[MarketEvent]:
        found = []
        while (entry := self._take(keys.EVENTS, clock_ms)) is not None:
            event = parse_event(clock_ms, entry)
            if event.symbol in self.rules:
                found.append(event)
        return found
