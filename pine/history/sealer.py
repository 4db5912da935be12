"""Sealing: finished sessions from the streams into the archive, and the consumer groups behind them."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from attrs import define, field, frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.period import session_begin
from pine.core.timeframe import Timeframe
from pine.core.times import to_ms
from pine.history.archive import Archive
from pine.history.channels import Channel, find_channels
from pine.history.coverage import Hole, complete, holes, seen
from pine.history.manifest import Interval, Slot

BEGINNING: Final = "0-0"

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
    _holes: tuple[int, set[Hole]] | None = None

    def __attrs_post_init__(self) -> None:
        self._writer = Writer(self.client, keys.ARCHIVE, self.lease.token)

    def look(self, on_channel: Callable[[str, int, int], None] = lambda *_: None) -> list[Sealed]:
        """Seal everything that is finished now and is not in the archive; return what was.

        Parameters
        ----------
        on_channel
            Told, before each table, its path, how many are done and how many there are.

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
        self._holes = None
        sealed: list[Sealed] = []
        for n, channel in enumerate(channels):
            on_channel(channel.table.path, n, len(channels))
            sealed += self._seal(channel)
        on_channel("", len(channels), len(channels))
        return sealed

    def _seal(self, channel: Channel) -> Iterator[Sealed]:
        """Seal the finished sessions of one stream, moving its group after each."""
        if channel.table.kind == "leads":
            yield from self._seal_leads(channel)
            return
        streams.ensure_group(self.client, channel.stream, keys.ARCHIVE)
        at = streams.group_info(self.client, channel.stream, keys.ARCHIVE)["last-delivered-id"].decode()
        known = self.archive.manifest(channel.table).sealed_to or BEGINNING
        after = min(at, known, key=streams.id_pair)  # they differ after a kill, and with another location or server
        read: int | None = None
        for slot, entries, covered in self._sessions(channel, after):
            self.lease.check()
            written = self.archive.seal(channel.table, slot, entries, covered)
            passed = streams.id_pair(at)
            fresh = [i for i, _ in entries if streams.id_pair(i) > passed]
            if fresh:
                if read is None:
                    read = streams.entries_read(self.client, channel.stream, keys.ARCHIVE)
                at, read = fresh[-1], read + len(fresh)
                self._writer.newest = {channel.stream: at}  # a server that lost it meanwhile is found out
                self._writer.move_group(channel.stream, keys.ARCHIVE, at, read)
                self._writer.commit()
            if written or fresh:
                yield Sealed(channel.table.path, _name(slot), len(entries))

    def _seal_leads(self, channel: Channel) -> Iterator[Sealed]:
        """Seal the leads of finished sessions; a hash has no group, what is in the archive is known by its id."""
        known = self.archive.manifest(channel.table).sealed_to or BEGINNING
        found = sorted((int(name), value) for name, value in self.client.hgetall(channel.stream).items())
        entries = [(streams.entry_id(ms), {b"contract": value}) for ms, value in found]
        fresh = [entry for entry in entries if streams.id_pair(entry[0]) > streams.id_pair(known)]
        for entry in fresh:
            slot = self.archive.manifest(channel.table).slot_at(channel.time_of(entry[0]), channel.rule)
            if slot.end > channel.finished:
                return
            self.lease.check()
            self.archive.seal(channel.table, slot, [entry])
            yield Sealed(channel.table.path, _name(slot), 1)

    def _sessions(self, channel: Channel, after: str) -> Iterator[_Session]:
        """Yield the finished sessions with entries after an id; of bars also those without any, and what they cover."""
        if channel.table.kind == "bars":
            yield from self._bar_sessions(channel, after)
            return
        reading = _Reading(self.client, channel, after)
        while (first := reading.time) is not None:
            slot = self.archive.manifest(channel.table).slot_at(first, channel.rule)
            if slot.end > channel.finished:
                return
            yield slot, reading.take(slot.end), ()

    def _bar_sessions(self, channel: Channel, after: str) -> Iterator[_Session]:
        parts = dict(channel.table.parts)
        symbol, timeframe = parts["symbol"], Timeframe(parts["timeframe"])
        known = seen(self.client, symbol, timeframe, channel.rule)
        if known is None:
            return
        reading = _Reading(self.client, channel, after)
        edge = self.archive.manifest(channel.table).sealed_until
        at = session_begin(known[0], channel.rule) if edge is None else edge
        if reading.time is not None:
            at = min(at, reading.time)
        while True:
            manifest = self.archive.manifest(channel.table)
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
            at = slot.end

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
    """The entries of a stream after an id, taken session by session; nothing but the first is read before that."""

    client: Client
    channel: Channel
    after: str
    _first: str | None = None

    def __attrs_post_init__(self) -> None:
        self._look()

    def _look(self) -> None:
        first = self.client.xrange(self.channel.stream, f"({self.after}", count=1)
        self._first = first[0][0].decode() if first else None

    @property
    def time(self) -> int | None:
        """The instant, in ns, of the next entry; nothing if there is none."""
        return None if self._first is None else self.channel.time_of(self._first)

    def take(self, end: int) -> list[streams.Entry]:
        """Return the entries before the end of a session."""
        if self._first is None or self.channel.time_of(self._first) >= end:
            return []
        last = to_ms(end) if self.channel.closing else to_ms(end) - 1
        taken = list(streams.read_range(self.client, self.channel.stream, self._first, str(last)))
        self.after = taken[-1][0]
        self._look()
        return taken


def _span(slot: Slot, _: int) -> Interval:
    """Return a session as it is in the archive, whatever the rule says now."""
    return slot.begin, slot.end


def _name(slot: Slot) -> str:
    return slot.file.rpartition("/")[2].removesuffix(".parquet")
