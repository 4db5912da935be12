"""Trimming: what may go from the market's streams and the flight records, and what still holds the rest.

Nothing goes before it is archived and behind every reader that counts. All of it is judged in event time.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.cursors import Cursor, Id, read_cursors
from pine.bus.trim import Cut, cut_below
from pine.core.config import Config
from pine.core.instruments import SPECS
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import isoformat, to_ms
from pine.orders.entries import Origin
from pine.orders.ledger import read_ledger

REACH: Final = to_ms(NS_PER_MINUTE)
"""How far, in ms, a minute's start lies before the step that it closes at; whole sessions hold its hour and day."""


@frozen
class Reader:
    """A strategy, or whoever else has a group on the market's streams.

    Attributes
    ----------
    name
        Name of its group.
    enabled
        Whether the configuration has it, enabled: then it counts however far behind it is.
    symbols
        Roots that the configuration has it read.
    step
        First step, in ms, that it has not acknowledged; nothing without a group on the clock.
    origin
        Step, in ms, from which it is warmed up; nothing while it has not begun.
    """

    name: str
    enabled: bool = False
    symbols: frozenset[str] = frozenset()
    step: int | None = None
    origin: int | None = None


@frozen
class Stream:
    """One stream that may be trimmed.

    Attributes
    ----------
    key
        Its key.
    oldest, newest
        First and last entry.
    cursors
        Its groups by name.
    steps
        Whether steps are made of it: a strategy needs it from its next step on, and again for its warm-up.
    symbol
        The root, where it is a root's; then only readers of that root need it.
    reach
        How far, in ms, an entry can lie before the step that needs it.
    hub
        First id, in ms, that a hub started now reads back; nothing if hubs never do.
    keep_newest
        Whether the last entry stays in any case: its writer may be about to make sure that it is there.
    """

    key: str
    oldest: Id
    newest: Id
    cursors: Mapping[str, Cursor]
    steps: bool = False
    symbol: str | None = None
    reach: int = 0
    hub: int | None = None
    keep_newest: bool = False


@frozen
class Limits:
    """What the clock and the configuration say.

    Attributes
    ----------
    oldest, newest
        First and last entry of the clock, in ms.
    retention, retention_max
        As configured, in ms.
    """

    oldest: int
    newest: int
    retention: int
    retention_max: int


@frozen
class Bound:
    """The first id that somebody needs, and who."""

    first: Id
    reason: str

    def of(self, stream: str) -> "Bound":
        """Return the same bound with the stream named that it comes from."""
        return Bound(self.first, f"{self.reason} ({stream})")


@frozen
class Plan:
    """Where a stream may be cut.

    Attributes
    ----------
    bound
        The lowest bound: the first id that stays, and who holds it.
    uncounted
        Groups that hold nothing back any more.
    """

    stream: Stream
    bound: Bound
    uncounted: frozenset[str]


SessionBegin = Callable[[str, int], int]
"""Returns, for a root and a time in ms, where the session begins that holds it, in ms."""


def plan(
    found: Sequence[Stream], readers: Mapping[str, Reader], limits: Limits, session_begin_of: SessionBegin
) -> list[Plan]:
    """Say where each stream may be cut, and who holds the rest. Pure.

    Streams keep whole sessions, the three bar streams of a root the same ones, the clock starts no later than any
    root's bars, and events go with the clock: a strategy that begins on what is left sees no half hours or days.
    """
    own = {stream.key: _lowest(stream, readers, limits) for stream in found}
    bars: dict[str, list[Stream]] = {}
    for stream in found:
        if stream.steps and stream.symbol is not None:
            bars.setdefault(stream.symbol, []).append(stream)
    starts = []
    for symbol, three in bars.items():
        holder = min(three, key=lambda stream: own[stream.key].first).key
        whole = Bound((session_begin_of(symbol, own[holder].first[0]), 0), own[holder].reason)
        own |= {stream.key: whole if stream.key == holder else whole.of(holder) for stream in three}
        starts.append(Bound(max(whole.first, min(stream.oldest for stream in three)), whole.reason).of(holder))
    if keys.CLOCK in own:
        own[keys.CLOCK] = _least([own[keys.CLOCK], *starts])
        if keys.EVENTS in own:
            own[keys.EVENTS] = _least([own[keys.EVENTS], own[keys.CLOCK]])
    return [Plan(stream, own[stream.key], _uncounted(stream, readers, limits)) for stream in found]


def _lowest(stream: Stream, readers: Mapping[str, Reader], limits: Limits) -> Bound:
    """Return the lowest bound of one stream by itself."""
    uncounted = _uncounted(stream, readers, limits)
    bounds = [_archive_bound(stream)]
    for name, reader in sorted(_everyone(stream, readers).items()):
        if name not in uncounted:
            bounds += _reader_bounds(stream, reader)
    if stream.hub is not None:
        bounds.append(Bound((stream.hub, 0), "the hub reads the session under way back"))
    bounds.append(Bound((max(limits.newest - limits.retention, 0), 0), "retention"))
    if stream.keep_newest:
        bounds.append(Bound(stream.newest, "the newest entry"))
    return _least(bounds)


def _least(bounds: Iterable[Bound]) -> Bound:
    return min(bounds, key=lambda bound: bound.first)


def _everyone(stream: Stream, readers: Mapping[str, Reader]) -> dict[str, Reader]:
    return {name: readers.get(name, Reader(name)) for name in {*readers, *stream.cursors} - {keys.ARCHIVE}}


def _uncounted(stream: Stream, readers: Mapping[str, Reader], limits: Limits) -> frozenset[str]:
    everyone = _everyone(stream, readers).items()
    return frozenset(name for name, reader in everyone if not counts(reader, stream, limits))


def counts(reader: Reader, stream: Stream, limits: Limits) -> bool:
    """Tell whether a reader holds anything back: when enabled always, else until `retention_max` behind the clock.

    How far it is behind is what its cursor on the clock says, or the one on the stream if it has none there; one
    that never read anything is as far behind as the clock reaches back.
    """
    if reader.enabled:
        return True
    cursor = stream.cursors.get(reader.name)
    reached = reader.step if reader.step is not None else cursor.needs[0] if cursor is not None else None
    if reached is None:
        return False
    return limits.newest - (reached or limits.oldest) <= limits.retention_max


def _archive_bound(stream: Stream) -> Bound:
    archive = stream.cursors.get(keys.ARCHIVE)
    if archive is None:
        return Bound((0, 0), "not archived: no group archive")
    return Bound(archive.needs, "not archived yet")


def _reader_bounds(stream: Stream, reader: Reader) -> list[Bound]:
    """Return what a reader that counts needs of a stream."""
    cursor = stream.cursors.get(reader.name)
    bounds = [] if cursor is None else [Bound(cursor.needs, f"{reader.name} has not read it")]
    if stream.steps and (stream.symbol is None or stream.symbol in reader.symbols or cursor is not None):
        if reader.origin is not None:
            bounds.append(Bound((max(reader.origin - stream.reach, 0), 0), f"warm-up of {reader.name}"))
        if reader.step is not None:
            bounds.append(Bound((max(reader.step - stream.reach, 0), 0), f"next step of {reader.name}"))
    return bounds


def trim(client: Client, config: Config, *, dry_run: bool = False) -> dict[str, Any]:
    """Cut every stream of market data and flight records where it may be cut; ready for JSON.

    Parameters
    ----------
    client
        Connection to the server.
    config
        Says which strategies are enabled, and how much stays.
    dry_run
        Whether to count only.
    """
    clock = _ends(client, keys.CLOCK)
    if clock is None:
        return {"dry_run": dry_run, "newest_step": None, "removed": 0, "streams": []}
    limits = Limits(clock[0][0], clock[1][0], to_ms(config.retention.ns), to_ms(config.retention_max.ns))
    readers = read_readers(client, config)
    absent = [keys.ledger(name) for name, reader in readers.items() if reader.enabled and reader.origin is None]
    found: list[dict[str, Any]] = []
    refused = ""
    for decided in plan(
        read_streams(client, config, readers, limits.newest),
        readers,
        limits,
        lambda symbol, ms: _session_begin(config, symbol, ms * NS_PER_MS),
    ):
        if decided.stream.steps and refused:
            cut = Cut(refused=refused)
        else:
            cut = _count(client, decided) if dry_run else _cut(client, decided, absent)
        refused = refused or cut.refused
        found.append(_told(client, decided, cut, dry_run=dry_run))
    return {
        "dry_run": dry_run,
        "newest_step": isoformat(limits.newest * NS_PER_MS),
        "removed": sum(told["removed"] for told in found),
        "streams": found,
    }


def read_readers(client: Client, config: Config) -> dict[str, Reader]:
    """Return every strategy of the configuration, and everybody else who has a group on the clock."""
    cursors = read_cursors(client, keys.CLOCK)
    readers = {}
    for name in sorted({*config.strategies, *cursors} - {keys.ARCHIVE}):
        setting = config.strategies.get(name)
        readers[name] = Reader(
            name,
            enabled=setting is not None and setting.enabled,
            symbols=frozenset(config.reads(name) if name in config.traded else ()),
            step=cursors[name].needs[0] if name in cursors else None,
            origin=_origin(client, name),
        )
    return readers


def read_streams(client: Client, config: Config, readers: Iterable[str], newest: int) -> list[Stream]:
    """Return every stream that may be trimmed and has entries; `newest` is the last clock entry in ms."""
    registered = {name.decode() for name in client.hkeys(keys.SYMBOLS)} & SPECS.keys()
    begins = {symbol: _session_begin(config, symbol, newest * NS_PER_MS - 1) for symbol in config.instruments}
    wanted: dict[str, dict[str, Any]] = {}
    for symbol in sorted(registered | begins.keys()):
        hub = begins.get(symbol)
        for timeframe in Timeframe:
            read_back = hub if timeframe is Timeframe.MINUTE else None
            facts = {"steps": True, "symbol": symbol, "reach": REACH, "hub": read_back}
            wanted[keys.bars(symbol, timeframe)] = facts
        wanted[keys.volume(symbol)] = {"symbol": symbol, "hub": hub}
    wanted |= {keys.flight(name): {"keep_newest": True} for name in readers}
    # The clock goes after the bars, so that no step is ever missing while bars that it would have closed are there.
    wanted[keys.CLOCK] = {"steps": True, "keep_newest": True}
    wanted[keys.EVENTS] = {"steps": True, "hub": min(begins.values(), default=None)}
    looked = (_look(client, key, facts) for key, facts in wanted.items())
    return [stream for stream in looked if stream is not None]


def _look(client: Client, key: str, facts: dict[str, Any]) -> Stream | None:
    ends = _ends(client, key)
    return None if ends is None else Stream(key, ends[0], ends[1], read_cursors(client, key), **facts)


def _session_begin(config: Config, symbol: str, ts: int) -> int:
    """Return where the session of a root that holds an instant in ns begins, in ms."""
    return to_ms(session_begin(ts, config.session_rule(symbol))) if ts > 0 else 0


def _origin(client: Client, strategy: str) -> int | None:
    """Return what a worker started now would take as its origin: the last one in its ledger."""
    origins = [entry.origin for _, entry in read_ledger(client, strategy) if isinstance(entry, Origin)]
    return origins[-1] if origins else None


def _ends(client: Client, stream: str) -> tuple[Id, Id] | None:
    oldest, newest = client.xrange(stream, count=1), client.xrevrange(stream, count=1)
    return (streams.id_pair(oldest[0][0]), streams.id_pair(newest[0][0])) if oldest and newest else None


def _cut(client: Client, decided: Plan, absent: Sequence[str]) -> Cut:
    if decided.bound.first <= decided.stream.oldest:
        return Cut()
    # A ledger that begins now takes what it finds as its own, so only what steps are made of can be missed.
    guard = absent if decided.stream.steps else ()
    known = decided.stream.cursors.keys()
    return cut_below(
        client,
        decided.stream.key,
        decided.bound.first,
        counted=known - decided.uncounted,
        uncounted=known & decided.uncounted,
        absent=guard,
    )


def _count(client: Client, decided: Plan) -> Cut:
    if decided.bound.first <= decided.stream.oldest:
        return Cut()
    before = f"({streams.entry_id(*decided.bound.first)}"
    return Cut(sum(1 for _ in streams.read_range(client, decided.stream.key, "-", before)))


def _told(client: Client, decided: Plan, cut: Cut, *, dry_run: bool) -> dict[str, Any]:
    stream = decided.stream
    first = stream.oldest if cut.refused else max(stream.oldest, decided.bound.first)
    return {
        "stream": stream.key,
        "removed": cut.removed,
        "left": client.xlen(stream.key) - (cut.removed if dry_run else 0),
        "kept_from": isoformat(first[0] * NS_PER_MS),
        "held_by": f"changed meanwhile: {cut.refused}" if cut.refused else decided.bound.reason,
        "given_up": sorted(decided.uncounted & stream.cursors.keys()),
    }
