"""Fenced writing: a batch of appends, acknowledgements and group moves that the server checks as one."""

from collections.abc import Callable
from importlib import resources
from typing import Final

import redis
from attrs import define, field

from pine.bus import keys, replicas, streams
from pine.bus.client import Client
from pine.bus.connection import is_away
from pine.core.errors import Conflict, Fenced, WentBack

Fields = dict[str, bytes | str]

MAX_OPERATIONS: Final = 1000

_SCRIPT: Final = resources.files("pine.bus").joinpath("write.lua").read_text(encoding="utf-8")
_FENCED: Final = 1
_CONFLICT: Final = 2
_WENT_BACK: Final = 3


@define
class Written:
    """What became of a batch: entries added, and entries that stood there already, equal."""

    added: int = 0
    repeated: int = 0


@define
class Writer:
    """Writes under one role's fencing token.

    What it was told is written must still be there whenever it writes again: a server that came back with an earlier
    state, after a power cut or a failover, is found out before anything is added to it.

    Parameters
    ----------
    client
        Connection to the server.
    role
        Whose lease allows the writing, such as ``hub``.
    token
        The number under which the lease was given.
    newest
        Id of the newest entry that each stream is known to hold, of those this writer relies on.
    """

    client: Client
    role: str
    token: int
    operations: list[tuple[str, list[bytes | str | int]]] = field(factory=list)
    newest: dict[str, str] = field(factory=dict)

    def append(self, stream: str, entry_id: str, fields: Fields) -> None:
        """Add an entry under an explicit id; the token goes into it as ``fence``."""
        flat: list[bytes | str | int] = [part for pair in fields.items() for part in pair]
        flat += ["fence", str(self.token)]
        self.operations.append(("X", [stream, entry_id, len(flat), *flat]))

    def set_once(self, hash_key: str, name: str, value: bytes | str) -> None:
        """Set a field of a hash that is written once and never changed."""
        self.operations.append(("H", [hash_key, name, value]))

    def acknowledge(self, stream: str, group: str, entry_id: str) -> None:
        """Mark an entry as dealt with by a group."""
        self.operations.append(("A", [stream, group, entry_id]))

    def move_group(self, stream: str, group: str, entry_id: str, entries_read: int) -> None:
        """Set a group's last delivered id forward, so that its lag is visible to any tool."""
        self.operations.append(("G", [stream, group, entry_id, entries_read]))

    def require_next(self, stream: str, group: str, entry_id: str) -> None:
        """Write only if a group was given this entry and has acknowledged every one before."""
        self.operations.append(("N", [stream, group, entry_id]))

    def commit(self) -> Written:
        """Send everything added so far, in order.

        Up to a thousand operations are applied as one; a longer batch goes in parts, so that a reader may see
        its beginning before its end.

        Raises
        ------
        Fenced
            If a newer holder of the role exists; nothing of the part was written.
        Conflict
            If a different entry stands under an id, or the stream is already past it.
        WentBack
            If the server has lost what it had acknowledged; nothing of the part was written.
        """
        operations, self.operations = self.operations, []
        total = Written()
        for first in range(0, len(operations), MAX_OPERATIONS):
            part = self._send(operations[first : first + MAX_OPERATIONS])
            total.added += part.added
            total.repeated += part.repeated
        return total

    def commit_until_written(self, wait: Callable[[redis.RedisError], None]) -> Written:
        """Commit, and while the server is away wait and send the same again.

        Meant for what must not be forgotten once it is known. Under explicit ids a repeat after a lost answer is
        seen as such; an entry with an id of the server's choice may then stand there twice.
        """
        operations = list(self.operations)
        while True:
            try:
                return self.commit()
            except redis.RedisError as error:
                if not is_away(error):
                    raise
                wait(error)
                self.operations = list(operations)

    def _send(self, operations: list[tuple[str, list[bytes | str | int]]]) -> Written:
        touched: dict[str, int] = {}
        args: list[bytes | str | int] = [self.token]
        known: list[tuple[str, list[bytes | str | int]]] = [("T", [key, last]) for key, last in self.newest.items()]
        for code, (key, *rest) in known + operations:
            index = touched.setdefault(str(key), len(touched) + 2)
            args += [code, index, *rest]
        if self.client.replicas:
            args.append("R")
        reply, reached = replicas.run(self.client, _SCRIPT, [keys.fence(self.role), *touched], args)
        if reply[0] == _FENCED:
            raise Fenced(
                f"{self.role}: token {self.token} is no longer valid, the present one is {_text(reply[1])}; "
                "another process took over"
            )
        if reply[0] == _CONFLICT:
            raise Conflict(f"{_text(reply[1])} {_text(reply[2])}: {_text(reply[3])}")
        if reply[0] == _WENT_BACK:
            key, wanted, found = map(_text, reply[1:])
            raise WentBack(f"{key}: found {found}, expected {wanted}, which the server had acknowledged")
        replicas.insist(self.client, reached)
        self._remember(operations)
        return Written(reply[1], reply[2])

    def _remember(self, operations: list[tuple[str, list[bytes | str | int]]]) -> None:
        for code, (key, identifier, *_) in operations:
            if code == "X" and identifier != "*":
                stream, written = str(key), str(identifier)
                before = self.newest.get(stream)
                if before is None or streams.id_pair(written) > streams.id_pair(before):
                    self.newest[stream] = written


def _text(part: bytes | int) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)
