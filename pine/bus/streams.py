"""Reading streams: ranges, groups and cursors, with one shape of reply."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import redis

from pine.bus.client import Client, RawEntry
from pine.core.errors import DataError

Entry = tuple[str, dict[bytes, bytes]]

PAGE: Final = 2000


def entry_id(ms: int, sequence: int = 0) -> str:
    """Return an explicit stream id."""
    return f"{ms}-{sequence}"


def ms_of(identifier: str | bytes) -> int:
    """Return the milliseconds of a stream id."""
    text = identifier.decode() if isinstance(identifier, bytes) else identifier
    return int(text.split("-", 1)[0])


def id_pair(identifier: str | bytes) -> tuple[int, int]:
    """Return a stream id as numbers, which order as the server orders ids."""
    text = identifier.decode() if isinstance(identifier, bytes) else identifier
    ms, _, sequence = text.partition("-")
    return int(ms), int(sequence or 0)


def read_pages(client: Client, stream: str, first: str = "-", last: str = "+") -> Iterator[list[Entry]]:
    """Yield the entries of a stream between two ids, both included, in lists that are never empty."""
    while True:
        page = client.xrange(stream, first, last, count=PAGE)
        if page:
            yield [(identifier.decode(), fields) for identifier, fields in page]
        if len(page) < PAGE:
            return
        first = f"({page[-1][0].decode()}"


def read_range(client: Client, stream: str, first: str = "-", last: str = "+") -> Iterator[Entry]:
    """Yield the entries of a stream between two ids, both included."""
    for page in read_pages(client, stream, first, last):
        yield from page


class Rereading:
    """The entries of a stream between two ids, read page by page, that goes on after a failed read.

    A generator that raised is at its end; this one asks again for what is missing.

    Parameters
    ----------
    client
        Connection to the server.
    stream, first, last
        What to read; both ids are included.
    """

    def __init__(self, client: Client, stream: str, first: str, last: str) -> None:
        self._client = client
        self._stream = stream
        self._first = first
        self._last = last
        self._page: deque[RawEntry] = deque()
        self._exhausted = False

    def next(self) -> Entry | None:
        """Return the next entry, or nothing after the last one; raises as the client does, and may be called again."""
        if not self._page and not self._exhausted:
            page = self._client.xrange(self._stream, self._first, self._last, count=PAGE)
            self._page.extend(page)
            self._exhausted = len(page) < PAGE
            if page:
                self._first = f"({page[-1][0].decode()}"
        if not self._page:
            return None
        identifier, fields = self._page.popleft()
        return identifier.decode(), fields

    def give_back(self, entry: Entry) -> None:
        """Have the entry read last returned again."""
        self._page.appendleft((entry[0].encode(), entry[1]))


def field_of(stream: str, fields: dict[bytes, bytes], name: str) -> bytes:
    """Return a field of an entry.

    Raises
    ------
    DataError
        If the entry has no such field: it was not written by pine.
    """
    try:
        return fields[name.encode()]
    except KeyError:
        found = ", ".join(key.decode(errors="replace") for key in fields) or "nothing"
        raise DataError(f"{stream}: found an entry with {found}, expected a field {name!r}") from None


def last_id(client: Client, stream: str) -> str | None:
    """Return the id of a stream's newest entry, or nothing if it has none."""
    newest = client.xrevrange(stream, count=1)
    return newest[0][0].decode() if newest else None


def ensure_group(client: Client, stream: str, group: str, start: str = "0") -> bool:
    """Create a consumer group that begins after `start`, and the stream with it; return whether it is new."""
    try:
        client.xgroup_create(stream, group, id=start, mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" in str(error):
            return False
        raise
    return True


def group_info(client: Client, stream: str, group: str) -> dict[str, Any]:
    """Return what the server knows of one group: its last delivered id, pending count and lag."""
    (info,) = (found for found in client.xinfo_groups(stream) if found["name"].decode() == group)
    return dict(info)


def entries_read(client: Client, stream: str, group: str) -> int:
    """Return how many entries of a stream a group has left behind; counted where the server does not know."""
    info = group_info(client, stream, group)
    known = info.get("entries-read")
    if known is not None:
        return int(known)
    about = client.xinfo_stream(stream)
    last = info["last-delivered-id"].decode()
    newest = about["last-generated-id"].decode()  # of the same moment: a writer may go on while we count
    after = sum(1 for _ in read_range(client, stream, f"({last}", newest))
    return int(about["entries-added"]) - after


def read_group(
    client: Client,
    stream: str,
    group: str,
    consumer: str,
    *,
    after: str = ">",
    count: int = 1,
    block_ms: int | None = None,
) -> list[Entry]:
    """Read from one stream through a group: new entries, or this consumer's pending ones after an id."""
    return grouped(client.xreadgroup(group, consumer, {stream: after}, count=count, block=block_ms))


def grouped(reply: Mapping[bytes, Sequence[tuple[bytes, dict[bytes, bytes] | None]]]) -> list[Entry]:
    """Return the entries of one stream that a read through a group came back with."""
    entries = next(iter(reply.values())) if reply else []
    return [(identifier.decode(), fields or {}) for identifier, fields in entries]


_FORGET: Final = """
local gone = 0
for _, about in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local fact = {}
  for i = 1, #about, 2 do fact[about[i]] = about[i + 1] end
  local number = tonumber(fact['name'])
  if fact['pending'] == 0 and number and number < tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], fact['name'])
    gone = gone + 1
  end
end
return gone
"""
"""Looks and removes in one: a consumer removed with entries pending would take them along."""


def forget_predecessors(client: Client, stream: str, group: str, consumer: str) -> int:
    """Remove consumers with lower numbers that have nothing pending; return how many."""
    return int(client.register_script(_FORGET)(keys=[stream], args=[group, consumer]))


def is_groupless(error: redis.RedisError) -> bool:
    """Tell whether a group, or its stream, is gone: somebody removed it by hand, or the server lost it."""
    return "NOGROUP" in str(error)


def claim_predecessors(client: Client, stream: str, group: str, consumer: str) -> list[Entry]:
    """Take over what earlier consumers of a group read and did not acknowledge; return all pending entries in order.

    Raises
    ------
    DataError
        If the body of one is gone: it was trimmed or deleted before it was dealt with.
    """
    oldest = client.xpending(stream, group)["min"]
    if oldest is not None and not client.xrange(stream, oldest.decode(), oldest.decode()):
        raise DataError(f"{stream} {oldest.decode()}: pending in group {group}, but its body was trimmed away unread")
    cursor = "0-0"
    while True:
        reply = client.xautoclaim(stream, group, consumer, min_idle_time=0, start_id=cursor, count=100)
        cursor = reply[0].decode()
        if reply[2]:
            lost = ", ".join(identifier.decode() for identifier in reply[2])
            raise DataError(f"{stream} {lost}: pending in group {group}, but deleted before it was dealt with")
        if cursor == "0-0":
            break
    return read_group(client, stream, group, consumer, after="0", count=10_000)
