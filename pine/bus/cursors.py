"""How far consumer groups have come, from what the server itself knows of them: also of readers that are dead."""

from typing import Any

import redis
from attrs import frozen

from pine.bus import streams
from pine.bus.client import Client

Id = tuple[int, int]
"""A stream id as numbers, in the server's order."""


@frozen
class Cursor:
    """One consumer group on one stream.

    Attributes
    ----------
    group
        Its name.
    delivered
        Last entry that was handed out to it.
    pending
        How many of those were not acknowledged.
    oldest_pending
        The first of them.
    known_lag
        Entries not handed out yet, if the server keeps count; it does not for a group that began in mid-stream.
    """

    group: str
    delivered: Id
    pending: int = 0
    oldest_pending: Id | None = None
    known_lag: int | None = None

    @property
    def needs(self) -> Id:
        """The first id that is not acknowledged: everything below it is."""
        ms, sequence = self.delivered
        return self.oldest_pending or (ms, sequence + 1)


def read_cursors(client: Client, stream: str) -> dict[str, Cursor]:
    """Return every group of a stream by name; none if there is no such stream."""
    try:
        groups = client.xinfo_groups(stream)
    except redis.ResponseError as error:
        if "no such key" in str(error):
            return {}
        raise
    cursors = (_cursor(client, stream, info) for info in groups)
    return {cursor.group: cursor for cursor in cursors}


def behind(client: Client, stream: str, cursor: Cursor) -> int:
    """Return how many entries a group has not acknowledged; counted where the server does not know."""
    if cursor.known_lag is not None:
        return cursor.pending + cursor.known_lag
    after = f"({streams.entry_id(*cursor.delivered)}"
    return cursor.pending + sum(1 for _ in streams.read_range(client, stream, after))


def acknowledged(client: Client, stream: str, cursor: Cursor) -> Id | None:
    """Return the newest entry, still there, up to which a group has acknowledged everything."""
    if cursor.oldest_pending is None:
        return cursor.delivered if cursor.delivered > (0, 0) else None
    before = client.xrevrange(stream, max=f"({streams.entry_id(*cursor.oldest_pending)}", count=1)
    return streams.id_pair(before[0][0]) if before else None


def reached(client: Client, stream: str, group: str) -> Id | None:
    """Return the newest entry up to which a group has acknowledged everything; nothing if it has not, or is none."""
    cursor = read_cursors(client, stream).get(group)
    return None if cursor is None else acknowledged(client, stream, cursor)


def _cursor(client: Client, stream: str, info: dict[str, Any]) -> Cursor:
    name, delivered = info["name"].decode(), streams.id_pair(info["last-delivered-id"])
    oldest = client.xpending(stream, name)["min"] if info["pending"] else None
    if oldest is None:
        return Cursor(name, delivered, known_lag=info.get("lag"))
    return Cursor(name, delivered, int(info["pending"]), streams.id_pair(oldest), info.get("lag"))
