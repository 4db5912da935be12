"""What hubs have published of a session: on the streams, or in the archive if it came live, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import orjson
from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import to_ms
from pine.history.answer import Held, together
from pine.history.archive import Archive
from pine.history.coverage import holes
from pine.history.manifest import Interval, clipped
from pine.history.sources import SealedBars, StreamBars


@frozen
class Record:
    """What hubs have published, wherever it is now.

    Attributes
    ----------
    held
        Returns what was published of some intervals, by the starts of bars.
    leads
        Returns the contract that led, by start of session in ns.
    extent
        Returns from when and up to when, in ns, a root is on record; nothing if it never was.
    holes
        Returns the minutes of a root that hubs named as lost, as far as they lie in an interval.
    filled
        Returns of which minutes of a root the archive has everything, wherever that came from.
    late
        Trades that the hub has left out since its start because they came too late; nothing if none runs.
    """

    held: Callable[[str, Timeframe, Sequence[Interval]], Held]
    leads: Callable[[str], Mapping[int, str]]
    extent: Callable[[str], Interval | None]
    holes: Callable[[str, Interval], Sequence[Interval]]
    filled: Callable[[str], Sequence[Interval]]
    late: int | None = None

    @classmethod
    def of(cls, config: Config, client: Client | None) -> "Record":
        """Return what is on the streams, if there are any, and in the archive that a configuration names."""
        archive = Archive.of(config)
        sealed = SealedBars(archive, config.session_rule)
        lost, filled = partial(_named_holes, archive, client), partial(archive.covered, timeframe=Timeframe.MINUTE)
        if client is None:
            return cls(partial(together, [sealed]), sealed.leads, partial(_sealed_extent, sealed), lost, filled)
        live = StreamBars(client, config.session_rule, frozenset(config.instruments))

        def extent(symbol: str) -> Interval | None:
            clock = streams.last_id(client, keys.CLOCK)
            known = [_sealed_extent(sealed, symbol)]
            if clock is not None and (covered := live.covered(symbol, Timeframe.MINUTE)):
                known.append((covered[0][0], streams.ms_of(clock) * NS_PER_MS))
            found = [one for one in known if one is not None]
            return (min(a for a, _ in found), max(b for _, b in found)) if found else None

        return cls(
            partial(together, [live, sealed]),
            lambda symbol: sealed.leads(symbol) | live.leads(symbol),
            extent,
            lost,
            filled,
            _late_trades(client),
        )


def _sealed_extent(sealed: SealedBars, symbol: str) -> Interval | None:
    until = sealed.sealed_until(symbol)
    if until is None:
        return None
    return min((begin for begin, _ in sealed.covered(symbol, Timeframe.MINUTE)), default=until), until


def _named_holes(archive: Archive, client: Client | None, symbol: str, span: Interval) -> Sequence[Interval]:
    """Return what events in the archive and on the streams say is lost of a root in a span."""
    entries = list(archive.events(span[0]))
    if client is not None:
        entries += streams.read_range(client, keys.EVENTS, str(max(to_ms(span[0]), 0)))
    return clipped((hole for name, hole in holes(entries) if name == symbol), *span)


def _late_trades(client: Client) -> int | None:
    """Return how many trades the running hub has left out because they came too late; nothing if none runs."""
    counts = client.hget(keys.heartbeat(keys.HUB), "counts")
    try:
        return None if counts is None else int(orjson.loads(counts).get("late", 0))
    except (ValueError, AttributeError):
        return None
