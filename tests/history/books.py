"""A small market and a strategy's books on a real server, written by hand, and what an archive's folder holds."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import orjson
from market import closed_bars

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.config import Config
from pine.core.timeframe import NS_PER_HOUR
from pine.history.archive import Archive
from pine.history.sealer import Sealed, Sealer
from pine.history.store import LocalStore, Store
from pine.hub.aggregator import Closed

NAME = "one"


@cache
def sparse_market() -> tuple[Closed, ...]:
    """Return whole hours and a few minutes of two sessions, and the silence after them."""
    return tuple(item for n, item in enumerate(closed_bars()) if item.boundary % NS_PER_HOUR == 0 or n % 97 == 0)


def archive_at(folder: Path | Store, config: Config) -> Archive:
    store = LocalStore(folder) if isinstance(folder, Path) else folder
    return Archive(store, config.session_rule, config.desk_session)


def seal(client: Client, config: Config, archive: Archive) -> list[Sealed]:
    """Look once, as a process of its own would."""
    lease = Lease.try_acquire(client, keys.ARCHIVE, "test")
    assert isinstance(lease, Lease)
    try:
        return Sealer(config, client, lease, archive).look()
    finally:
        lease.release()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file that a reader can see, byte for byte."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


class Books:
    """What a worker, its courier and an operator write, step by step."""

    def __init__(self, client: Client) -> None:
        self.client = client
        client.xadd(keys.ledger(NAME), {"entry": orjson.dumps({"kind": "origin", "origin": 0, "live_after": 0})}, "0-1")
        streams.ensure_group(client, keys.CLOCK, NAME)
        self.acked = 0
        self.next = 0

    def work(self, steps: int) -> None:
        """Run some steps: every one leaves a flight record, every third a ledger entry."""
        for identifier, _ in streams.read_group(self.client, keys.CLOCK, NAME, "1", count=steps):
            self.acked, self.next = streams.ms_of(identifier), 0
            flight = {"digest": identifier, "config": "c", "code": "d"}
            self.client.xadd(keys.flight(NAME), {"flight": orjson.dumps(flight), "fence": "1"}, identifier)
            if self.acked // 60_000 % 3 == 0:
                self._book({"kind": "intent", "id": f"i{identifier}", "symbol": "ES", "quantity": 1, "price": 5000.25})
            self._acknowledge(identifier)

    def read(self) -> None:
        """Let the next step be delivered, and nothing be done about it."""
        streams.read_group(self.client, keys.CLOCK, NAME, "1", count=1)

    def control(self) -> None:
        """Book a request at the last step, however long ago it was."""
        if self.acked:
            self._book(
                {"kind": "control", "order": "halt", "who": "anna", "reason": "lunch", "request": str(self.next)}
            )

    def deliver(self, ms: int) -> None:
        """Record a delivery at a wall time."""
        fields = {"intent": "i1", "state": "posted", "status": "200", "text": "ok", "at": str(ms * 1_000_000)}
        last = streams.last_id(self.client, keys.deliveries(NAME))
        self.client.xadd(keys.deliveries(NAME), fields, f"{max(ms, streams.ms_of(last or '0'))}-*")

    def _book(self, entry: dict[str, object]) -> None:
        self.client.xadd(
            keys.ledger(NAME), {"entry": orjson.dumps(entry), "fence": "1"}, streams.entry_id(self.acked, self.next)
        )
        self.next += 1

    def _acknowledge(self, identifier: str) -> None:
        self.client.xack(keys.CLOCK, NAME, identifier)  # type: ignore[attr-defined]


def append(client: Client, stream: str, entries: Sequence[tuple[str, dict[str, bytes | str]]]) -> None:
    """Write entries as the hub would."""
    lease = Lease.try_acquire(client, keys.HUB, "test")
    assert isinstance(lease, Lease)
    writer = Writer(client, keys.HUB, lease.token)
    for identifier, fields in entries:
        writer.append(stream, identifier, fields)
    writer.commit()
    lease.release()
