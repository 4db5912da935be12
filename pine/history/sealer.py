"""Sealing: finished sessions from the streams into the archive, and the consumer groups behind them."""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Final

import redis
from attrs import define, field, frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.bus.survey import Facts, Group, survey
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.errors import Fenced, WentBack
from pine.core.log import get_logger
from pine.core.period import session_begin
from pine.core.timeframe import Timeframe
from pine.core.times import to_ms
from pine.history.archive import Archive, Sealing
from pine.history.channels import Channel, find_channels, rank
from pine.history.coverage import Hole, complete, holes, seen
from pine.history.manifest import Interval, Slot

BEGINNING: Final = "0-0"
TOGETHER: Final = 100
"""Tables of which a session each is sealed together, at most."""
MOST_BYTES: Final = 64_000_000
"""Of entries that are sealed together: no more are begun with."""

log = get_logger(__name__)

_Session = tuple[Slot, list[streams.Entry], tuple[Interval, ...]]


@frozen
class Sealed:
    """One session that was sealed; `rows` is what came from the stream in this run."""

    table: str
    session: str
    rows: int


@define(eq=False)
class Sealer:
    """Seals what is finished on a server.

    Parameters
    ----------
    config
        Says how sessions follow each other, and which symbols a hub publishes now.
    client
        Connection to the server.
    lease
        The archive's role and token.
    archive
        Where sessions go.
    """

    config: Config
    client: Client
    lease: Lease
    archive: Archive
    _writer: Writer = field(init=False)
    _facts: Mapping[str, Facts] = field(factory=dict)
    _groups: dict[str, Group] = field(factory=dict)
    _holes: tuple[int, set[Hole]] | None = None

    def __attrs_post_init__(self) -> None:
        self._writer = Writer(self.client, keys.ARCHIVE, self.lease.token)

    def look(self, on_channel: Callable[[str, int, int], None] = lambda *_: None) -> list[Sealed]:
        """Seal everything that is finished now and is not in the archive; return what was.

        Parameters
        ----------
        on_channel
            Told, before something of a table is sealed, its path, how many tables are done and how many there are.

        Raises
        ------
        ArchiveDiffers
            If the archive has another entry under an id than the stream.
        ArchiveError
            If the location cannot be used.
        Fenced
            If another process took over the role.
        WentBack
            If the server lost meanwhile what was read from it; the next look begins from what it holds.
        """
        channels = find_channels(self.client, self.config)
        self._look_around(channels)
        sealed: list[Sealed] = []
        done = 0
        for alike in _alike(channels):
            sealed += self._seal_alike(alike, partial(_told, on_channel, done, len(channels)))
            done += len(alike)
        on_channel("", len(channels), len(channels))
        return sealed

    def _look_around(self, channels: Sequence[Channel]) -> None:
        """Ask the server about all streams at once, with our group on each."""
        names = [channel.stream for channel in channels if channel.table.kind != "leads"]
        facts = survey(self.client, [keys.CLOCK, *names])
        without_group = [name for name in names if name not in facts or keys.ARCHIVE not in facts[name].groups]
        for name in without_group:
            streams.ensure_group(self.client, name, keys.ARCHIVE)
        self._facts = {**facts, **survey(self.client, without_group)}
        self._groups = {name: self._facts[name].groups[keys.ARCHIVE] for name in names}
        self._holes = None

    def _seal_alike(self, channels: Sequence[Channel], tell: Callable[[str, int], None]) -> list[Sealed]:
        """Seal the finished sessions of streams of one rank: one of each together, as long as any has one.

        What is wrong with one stream keeps no other from being sealed, and is raised at the end.
        """
        found: list[tuple[Channel, Sealed]] = []
        waiting = deque(_Waiting(channel, self._sessions(channel)) for channel in channels)
        troubles: list[Exception] = []
        visited = 0
        while waiting:
            taken: list[tuple[_Waiting, _Session]] = []
            size = 0
            with self.archive.sealing() as sealing:
                while waiting and len(taken) < TOGETHER and size < MOST_BYTES:
                    one = waiting.popleft()
                    tell(one.channel.table.path, visited)
                    visited = min(visited + (not one.visited), len(channels))
                    one.visited = True
                    session = self._made_ready(one, sealing, troubles)
                    if session is not None:
                        taken.append((one, session))
                        size += _size(session[1])
                self.lease.check()
                written = sealing.commit(partial(tell, "", visited))
            moved = self._move_groups([(one.channel, session) for one, session in taken])
            for (one, (slot, entries, _)), is_new in zip(taken, written, strict=True):
                if is_new or one.channel.stream in moved:
                    found.append((one.channel, Sealed(one.channel.table.path, _name(slot), len(entries))))
            waiting += [one for one, _ in taken]
        if troubles:
            raise troubles[0]
        return [sealed for _, sealed in sorted(found, key=lambda pair: channels.index(pair[0]))]

    def _made_ready(self, one: "_Waiting", sealing: Sealing, troubles: list[Exception]) -> "_Session | None":
        """Make the next session of a stream ready; nothing if it has none, or if something is wrong with it."""
        try:
            session = next(one.sessions, None)
            if session is not None:
                sealing.put(one.channel.table, *session)
        except (redis.RedisError, Fenced, WentBack):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the others are sealed
            log.error("not sealed", table=one.channel.table.path, reason=str(error))  # noqa: TRY400  # it is raised too
            troubles.append(error)
            return None
        return session

    def _move_groups(self, taken: Sequence[tuple[Channel, "_Session"]]) -> set[str]:
        """Move our groups behind what is in the archive, all at once; return the streams on which one was moved."""
        moved: dict[str, Group] = {}
        for channel, (_, entries, _) in taken:
            group = self._groups.get(channel.stream)
            if group is None:
                continue
            fresh = len(entries) - bisect_right(entries, streams.id_pair(group.delivered), key=_pair)
            if fresh:
                read = group.read
                if read is None:
                    read = streams.entries_read(self.client, channel.stream, keys.ARCHIVE)
                moved[channel.stream] = Group(entries[-1][0], read + fresh)
        self._writer.newest = {name: group.delivered for name, group in moved.items()}  # one that was lost is found out
        for name, group in moved.items():
            assert group.read is not None
            self._writer.move_group(name, keys.ARCHIVE, group.delivered, group.read)
        self._writer.commit()
        self._groups |= moved
        return set(moved)

    def _sessions(self, channel: Channel) -> Iterator["_Session"]:
        """Yield the finished sessions that the archive lacks; of bars also those without any, and what they cover.

        The one before must be in the archive when the next is asked for.
        """
        if channel.table.kind == "leads":
            yield from self._lead_sessions(channel)
            return
        known = self.archive.manifest(channel.table).sealed_to or BEGINNING
        at = self._groups[channel.stream].delivered
        after = min(at, known, key=streams.id_pair)  # they differ after a kill, and with another location or server
        found = self._bar_sessions if channel.table.kind == "bars" else self._entry_sessions
        yield from found(channel, after)

    def _lead_sessions(self, channel: Channel) -> Iterator["_Session"]:
        """Yield the leads of finished sessions; a hash has no group, what is in the archive is known by its id."""
        known = self.archive.manifest(channel.table).sealed_to or BEGINNING
        leads = sorted((int(name), value) for name, value in self.client.hgetall(channel.stream).items())
        for ms, value in leads:
            entry = (streams.entry_id(ms), {b"contract": value})
            if streams.id_pair(entry[0]) <= streams.id_pair(known):
                continue
            slot = self.archive.manifest(channel.table).slot_at(channel.time_of(entry[0]), channel.rule)
            if slot.end > channel.finished:
                return
            yield slot, [entry], ()

    def _entry_sessions(self, channel: Channel, after: str) -> Iterator["_Session"]:
        reading = self._reading(channel, after)
        while (first := reading.time) is not None:
            slot = self.archive.manifest(channel.table).slot_at(first, channel.rule)
            if slot.end > channel.finished:
                return
            yield slot, reading.take(slot.end), ()

    def _bar_sessions(self, channel: Channel, after: str) -> Iterator[_Session]:
        parts = dict(channel.table.parts)
        symbol, timeframe = parts["symbol"], Timeframe(parts["timeframe"])
        known = seen(self._facts, symbol, timeframe, channel.rule)
        if known is None:
            return
        reading = self._reading(channel, after)
        manifest = self.archive.manifest(channel.table)
        edge = manifest.sealed_until
        at = session_begin(known[0], channel.rule) if edge is None else edge
        if reading.time is not None:
            at = min(at, reading.time)
        while True:
            slot = manifest.slot_at(at, channel.rule)
            if slot.end > channel.finished:
                return
            follows = any(part.slot.end == slot.begin and part.content.sealed for part in manifest.parts)
            begin = slot.begin if follows else known[0]
            # A root that no hub publishes any more: that it is silent says nothing.
            end = slot.end if symbol in self.config.instruments else known[1]
            covered = complete(
                timeframe, (slot.begin, slot.end), (begin, end), self._lost(symbol, slot), partial(_span, slot)
            )
            yield slot, reading.take(slot.end), covered
            at, manifest = slot.end, self.archive.manifest(channel.table)

    def _reading(self, channel: Channel, after: str) -> "_Reading":
        if not self._facts[channel.stream].holds_after(after):
            return _Reading(channel, iter(()))
        return _Reading(channel, streams.read_pages(self.client, channel.stream, f"({after}"))

    def _lost(self, symbol: str, slot: Slot) -> list[Interval]:
        """Return the holes and resets of a root that reach into a session, from the archive and from the stream."""
        if self._holes is None or slot.begin < self._holes[0]:
            first = str(max(to_ms(slot.begin), 0))
            events = [*self.archive.events(slot.begin), *streams.read_range(self.client, keys.EVENTS, first)]
            self._holes = (slot.begin, holes(events))
        of_symbol = sorted(hole for name, hole in self._holes[1] if name == symbol)
        return [hole for hole in of_symbol if hole[0] < slot.end and slot.begin < hole[1]]


@define
class _Reading:
    """The entries of a stream in order, taken session by session, a page of them at hand."""

    channel: Channel
    _pages: Iterator[list[streams.Entry]]
    _page: list[streams.Entry] = field(factory=list)
    _at: int = 0

    def __attrs_post_init__(self) -> None:
        self._turn()

    def _turn(self) -> None:
        self._page, self._at = next(self._pages, []), 0

    @property
    def time(self) -> int | None:
        """The instant, in ns, of the next entry; nothing if there is none."""
        return self.channel.time_of(self._page[self._at][0]) if self._page else None

    def take(self, end: int) -> list[streams.Entry]:
        """Return the entries before the end of a session."""
        taken: list[streams.Entry] = []
        while self._page:
            until = bisect_left(self._page, end, self._at, key=lambda entry: self.channel.time_of(entry[0]))
            taken += self._page[self._at : until]
            self._at = until
            if until < len(self._page):
                break
            self._turn()
        return taken


@define
class _Waiting:
    """A stream with sessions that the archive lacks."""

    channel: Channel
    sessions: Iterator[_Session]
    visited: bool = False


def _alike(channels: Sequence[Channel]) -> Iterator[list[Channel]]:
    """Yield channels by rank: what says of the rest what is finished and covered is sealed when the rest is."""
    for _, alike in groupby(channels, key=rank):
        yield list(alike)


def _size(entries: Sequence[streams.Entry]) -> int:
    """Return about how many bytes entries take, by the first and the last of them."""
    if not entries:
        return 0
    ends = (entries[0][1], entries[-1][1])
    return len(entries) * max(sum(map(len, fields.values())) for fields in ends)


def _told(on_channel: Callable[[str, int, int], None], first: int, total: int, path: str, n: int) -> None:
    on_channel(path, first + n, total)


def _pair(entry: streams.Entry) -> tuple[int, int]:
    return streams.id_pair(entry[0])


def _span(slot: Slot, _: int) -> Interval:
    """Return a session as it is in the archive, whatever the rule says now."""
    return slot.begin, slot.end


def _name(slot: Slot) -> str:
    return slot.file.rpartition("/")[2].removesuffix(".parquet")
