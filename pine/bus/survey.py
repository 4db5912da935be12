"""What a server says of many streams at one moment, asked together."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import redis
from attrs import frozen

from pine.bus import streams
from pine.bus.client import Client

AT_ONCE: Final = 500
"""Streams that are asked for in one exchange."""


@frozen
class Group:
    """A consumer group of a stream.

    Attributes
    ----------
    delivered
        Id of the last entry that was handed out to it.
    read
        How many entries it has left behind, if the server keeps count.
    """

    delivered: str
    read: int | None


@frozen
class Facts:
    """One stream.

    Attributes
    ----------
    length, added
        Entries that it holds, and that it ever held.
    first, last
        Ids of its oldest and newest entry; nothing where there is none.
    generated
        The greatest id that it ever had.
    """

    length: int
    added: int
    first: str | None
    last: str | None
    generated: str
    groups: Mapping[str, Group]

    @property
    def was_trimmed(self) -> bool:
        """Whether entries are gone."""
        return self.added > self.length

    def holds_after(self, identifier: str) -> bool:
        """Tell whether it has an entry after an id."""
        return self.last is not None and streams.id_pair(self.last) > streams.id_pair(identifier)


def survey(client: Client, names: Iterable[str]) -> dict[str, Facts]:
    """Return what there is to know of streams, by name; those that do not exist are left out."""
    wanted = list(dict.fromkeys(names))
    found: dict[str, Facts] = {}
    for at in range(0, len(wanted), AT_ONCE):
        part = wanted[at : at + AT_ONCE]
        pipeline = client.pipeline(transaction=False)
        for name in part:
            pipeline.xinfo_stream(name)
            pipeline.xinfo_groups(name)
        replies = pipeline.execute(raise_on_error=False)
        for name, about, groups in zip(part, replies[::2], replies[1::2], strict=True):
            for reply in (about, groups):
                if isinstance(reply, redis.RedisError) and "no such key" not in str(reply):
                    raise reply
            if isinstance(about, dict) and isinstance(groups, list):
                found[name] = _facts(about, groups)
    return found


def _facts(about: dict[str, Any], groups: list[dict[str, Any]]) -> Facts:
    first, last = (None if about[end] is None else about[end][0].decode() for end in ("first-entry", "last-entry"))
    return Facts(
        length=int(about["length"]),
        added=int(about["entries-added"]),
        first=first,
        last=last,
        generated=about["last-generated-id"].decode(),
        groups={
            group["name"].decode(): Group(group["last-delivered-id"].decode(), group.get("entries-read"))
            for group in groups
        },
    )
