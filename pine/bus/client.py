"""The commands that pine uses, with the replies that it relies on: bytes, in one shape."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

RawEntry = tuple[bytes, dict[bytes, bytes]]
Value = bytes | str | int | float


class Script(Protocol):
    """A script that the server runs as one."""

    def __call__(self, keys: Sequence[str], args: Sequence[Value], client: "Pipeline | None" = None) -> Any:
        """Run it, or have a pipeline run it."""
        ...


class Pipeline(Protocol):
    """Commands that are sent together."""

    def xrange(self, name: str, min: str, max: str) -> Any:  # noqa: A002  # redis-py's names
        """Read a range."""
        ...

    def xrevrange(self, name: str, *, count: int) -> Any:
        """Read the newest entries."""
        ...

    def xadd(self, name: str, fields: Mapping[str, Value]) -> Any:
        """Append an entry."""
        ...

    def xreadgroup(
        self, groupname: str, consumername: str, streams: Mapping[str, str], count: int | None, block: int | None
    ) -> Any:
        """Read through a group; what stands behind it in the pipeline is done when that is over."""
        ...

    def hset(self, name: str, mapping: Mapping[str, Value]) -> Any:
        """Set fields."""
        ...

    def pexpire(self, name: str, time: int) -> Any:
        """Let a key expire after `time` ms."""
        ...

    def wait(self, num_replicas: int, timeout: int) -> Any:
        """Wait until so many replicas have what this connection wrote, for at most `timeout` ms."""
        ...

    def xinfo_stream(self, name: str) -> Any:
        """Ask for facts about a stream."""
        ...

    def xinfo_groups(self, name: str) -> Any:
        """Ask for a stream's groups."""
        ...

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send, and return the replies in order; an error is raised, or stands in the place of its reply."""
        ...


class Client(Protocol):
    """A connection made by `pine.bus.connection.client_for`: redis-py with its types narrowed to what comes back.

    Attributes
    ----------
    replicas
        How many replicas must have what a `Writer` writes.
    """

    replicas: int

    def master(self) -> str | None:
        """Return the address of the master that Sentinel named, if Sentinel was asked."""
        ...

    def ping(self) -> bool:
        """Ask for a sign of life."""
        ...

    def info(self) -> dict[str, Any]:
        """Return what the server says of itself."""
        ...

    def time(self) -> tuple[int, int]:
        """Return the server's time: seconds since 1970, and microseconds."""
        ...

    def config_get(self, pattern: str) -> dict[str, str]:
        """Return settings of the server."""
        ...

    def config_set(self, name: str, value: str) -> Any:
        """Change a setting of the server."""
        ...

    def dbsize(self) -> int:
        """Count the keys."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...

    def client_list(self) -> list[dict[str, str]]:
        """Return who is connected."""
        ...

    def scan_iter(self, match: str | None = None, count: int | None = None) -> Iterator[bytes]:
        """Yield the names of all keys."""
        ...

    def get(self, name: str) -> bytes | None:
        """Return a string."""
        ...

    def exists(self, *names: str) -> int:
        """Count the keys that exist."""
        ...

    def pexpire(self, name: str, time: int) -> Any:
        """Let a key expire after `time` ms."""
        ...

    def hset(self, name: str, mapping: Mapping[str, Value]) -> int:
        """Set fields of a hash."""
        ...

    def hget(self, name: str, key: str) -> bytes | None:
        """Return one field of a hash."""
        ...

    def hgetall(self, name: str) -> dict[bytes, bytes]:
        """Return a hash."""
        ...

    def hkeys(self, name: str) -> list[bytes]:
        """Return the fields of a hash."""
        ...

    def xlen(self, name: str) -> int:
        """Count the entries of a stream."""
        ...

    def xadd(
        self,
        name: str,
        fields: Mapping[str, Value],
        id: str = "*",  # noqa: A002
        maxlen: int | None = None,
        approximate: bool = True,
    ) -> bytes:
        """Append an entry."""
        ...

    def xrange(self, name: str, min: str = "-", max: str = "+", count: int | None = None) -> list[RawEntry]:  # noqa: A002
        """Return entries, oldest first."""
        ...

    def xrevrange(self, name: str, max: str = "+", min: str = "-", count: int | None = None) -> list[RawEntry]:  # noqa: A002
        """Return entries, newest first."""
        ...

    def xreadgroup(
        self, groupname: str, consumername: str, streams: Mapping[str, str], count: int | None, block: int | None
    ) -> dict[bytes, list[tuple[bytes, dict[bytes, bytes] | None]]]:
        """Read through a group."""
        ...

    def xautoclaim(
        self, name: str, groupname: str, consumername: str, min_idle_time: int, start_id: str, count: int
    ) -> tuple[bytes, list[RawEntry], list[bytes]]:
        """Take over pending entries."""
        ...

    def xpending(self, name: str, groupname: str) -> dict[str, Any]:
        """Return how much is pending in a group, and between which ids."""
        ...

    def xgroup_create(self, name: str, groupname: str, id: str, mkstream: bool) -> Any:  # noqa: A002
        """Create a group."""
        ...

    def xgroup_setid(self, name: str, groupname: str, id: str) -> Any:  # noqa: A002
        """Move a group."""
        ...

    def xinfo_groups(self, name: str) -> list[dict[str, Any]]:
        """Return a stream's groups."""
        ...

    def xinfo_stream(self, name: str) -> dict[str, Any]:
        """Return facts about a stream."""
        ...

    def register_script(self, script: str) -> Script:
        """Return a script as a callable."""
        ...

    def pipeline(self, transaction: bool = True) -> Pipeline:
        """Begin a pipeline."""
        ...
