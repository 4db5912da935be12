"""What was told, and what waits to be sent, on the server: written as one, under the fencing token."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from attrs import define, field

from pine.bus import keys
from pine.bus.client import Client
from pine.core.errors import Fenced
from pine.ops.alerts.outbox import Changes, Parcel

_WRITE: Final = """
local current = redis.call('GET', KEYS[1])
if current and tonumber(current) > tonumber(ARGV[1]) then return current end
for i = 2, #ARGV, 3 do
  local key = KEYS[tonumber(ARGV[i])]
  if ARGV[i + 2] == '' then redis.call('HDEL', key, ARGV[i + 1])
  else redis.call('HSET', key, ARGV[i + 1], ARGV[i + 2]) end
end
return false
"""
_TOLD: Final = 2
_WAITING: Final = 3


@define
class Store:
    """The two hashes of the process that sends.

    Parameters
    ----------
    client
        Connection to the server.
    token
        Fencing token of the sender; none writes nothing, for a look.
    """

    client: Client
    token: int | None
    _held: dict[str, bytes] = field(factory=dict)

    def read(self) -> dict[str, Any]:
        """Return what was told, by the name of the part; empty before the first time."""
        self._held = {name.decode(): value for name, value in self.client.hgetall(keys.TOLD).items()}
        return {name: orjson.loads(value) for name, value in self._held.items()}

    def waiting(self) -> dict[str, Parcel]:
        """Return what waits to be sent, by id."""
        found = {name.decode(): orjson.loads(value) for name, value in self.client.hgetall(keys.WAITING).items()}
        return {identifier: Parcel.from_dict(identifier, raw) for identifier, raw in found.items()}

    def write(self, told: Mapping[str, Any], changes: Changes) -> None:
        """Write what is different from what the server holds, all of it or nothing.

        Raises
        ------
        Fenced
            If another process sends now.
        """
        if self.token is None:
            return
        new = {name: orjson.dumps(value) for name, value in told.items()}
        args: list[str | int | bytes] = [self.token]
        args += _flat(_TOLD, ((name, value) for name, value in new.items() if self._held.get(name) != value))
        args += _flat(_WAITING, ((parcel.id, orjson.dumps(parcel.to_dict())) for parcel in changes.written))
        args += _flat(_WAITING, ((identifier, b"") for identifier in changes.removed))
        if len(args) == 1:
            return
        script = self.client.register_script(_WRITE)
        newer = script(keys=[keys.fence(keys.ALERTS), keys.TOLD, keys.WAITING], args=args)
        if newer is not None:
            raise Fenced(f"{keys.ALERTS}: token {self.token} is no longer valid; another process sends now")
        self._held = new


def _flat(key: int, pairs: Iterable[tuple[str, bytes]]) -> list[str | int | bytes]:
    return [part for name, value in pairs for part in (key, name, value)]
