"""Fenced writing: a batch of appends, acknowledgements and group moves that the server checks as one."""

from collections.abc import Callable
from importlib import resources
from typing import Final

import redis
from attrs import define, field

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import is_away
from pine.core.errors import Conflict, Fenced

Fields = dict[str, bytes | str]

MAX_OPERATIONS: Final = 1000

_SCRIPT: Final = resources.files("pine.bus").joinpath("write.lua").read_text(encoding="utf-8")
_FENCED: Final = 1
_CONFLICT: Final = 2


@define
class Written:
    """What became of a batch: entries added, and entries that stood there already, equal."""

    added: int = 0
    repeated: int = 0


@define
class Writer:
    """Writes under one role's fencing token.

    Parameters
    ----------
    client
        Connection to the server.
    role
        Whose lease allows the writing, such as ``hub``.
    token
        The number under which the lease was given.
    """

    client: Client
    role: str
    token: int
    operations: list[tuple[str, list[bytes | str | int]]] = field(factory=list)

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
        for code, (key, *rest) in operations:
            index = touched.setdefault(str(key), len(touched) + 2)
            args += [code, index, *rest]
        script = self.client.register_script(_SCRIPT)
        reply = script(keys=[keys.fence(self.role), *touched], args=args)
        if reply[0] == _FENCED:
            raise Fenced(
                f"{self.role}: token {self.token} is no longer valid, the present one is {_text(reply[1])}; "
                "another process took over"
            )
        if reply[0] == _CONFLICT:
            raise Conflict(f"{_text(reply[1])} {_text(reply[2])}: {_text(reply[3])}")
        return Written(reply[1], reply[2])


def _text(part: bytes | int) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)
