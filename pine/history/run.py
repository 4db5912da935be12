"""The process that seals sessions as they finish, and the run that seals what is finished and ends."""

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import redis
from attrs import define, field

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import connect, patiently, revive
from pine.bus.ending import stop_on_end
from pine.bus.heartbeat import SECONDS, STOPPED, Heartbeat
from pine.bus.lease import TTL_MS, Lease
from pine.core.config import Config
from pine.core.errors import ArchiveDiffers, ArchiveError, BusError, WentBack
from pine.core.log import get_logger
from pine.history.archive import Archive
from pine.history.sealer import Sealed, Sealer

LOOK_SECONDS: Final = 5.0
BEFORE: Final = "before the first step"
"""Where the beginning of a strategy stands that was started before there was a clock: its step is 0."""

HELD_SECONDS: Final = TTL_MS / 1000 + 2.0
"""How long a single run waits for the role: as long as a killed holder keeps it, and no longer."""

Progress = Callable[[str, int, int], None]

log = get_logger(__name__)


def seal_once(
    config: Config,
    client: Client,
    on_channel: Progress = lambda *_: None,
    on_wait: Callable[[str], None] = lambda _: None,
) -> list[Sealed]:
    """Seal what is finished and return it; `on_wait` is told who has the role, if somebody has.

    The lease is kept through a connection of its own, closed at the end: whoever began `client` sees it alone again.

    Raises
    ------
    BusError
        If the server cannot be reached, or another process seals.
    ArchiveError
        If the archive's location cannot be used, or holds something else.
    """
    archive = Archive.of(config)
    stop = stop_on_end()
    held: list[str] = []

    def waiting(holder: str) -> None:
        held.append(holder)
        on_wait(holder)

    keeping = connect(config, start=False)
    lease = Lease.acquire(keeping, keys.ARCHIVE, waiting, stop, HELD_SECONDS)
    if lease is None:
        keeping.close()
        if stop.is_set():
            return []
        raise BusError(f"{held[0]} seals already; end it first, or leave it to it")
    lease.keep()
    try:
        sealer = Sealer(config, client, lease, archive)
        return patiently(lambda: sealer.look(on_channel), config, stop) or []
    finally:
        lease.release()
        keeping.close()


def run_archive(config: Config) -> list[Sealed]:
    """Seal each session shortly after it is finished, until SIGINT or SIGTERM; return what was sealed.

    Raises
    ------
    ArchiveDiffers
        If the archive has something else than the streams.
    Fenced
        If another process took over.
    """
    archive = Archive.of(config)
    client = connect(config)
    stop = stop_on_end()

    def waiting(holder: str) -> None:
        log.warning("waiting", lease_held_by=holder)

    lease = Lease.acquire(client, keys.ARCHIVE, waiting, stop, on_away=partial(revive, config, stop.is_set))
    if lease is None:
        return []
    lease.keep()
    try:
        keeper = Keeper(config, client, lease, Sealer(config, client, lease, archive), stop)
        log.info("archive started", location=archive.store.shown, token=lease.token)
        keeper.run()
        log.info("archive stopped", sessions=len(keeper.sealed))
        return keeper.sealed
    finally:
        lease.release()


@define(eq=False)
class Keeper:
    """Looks again and again for finished sessions.

    Parameters
    ----------
    config
        The configuration.
    client, lease
        Connection to the server, and the role on it.
    sealer
        Does the sealing.
    stop
        Ends the work after the present look.
    """

    config: Config
    client: Client
    lease: Lease
    sealer: Sealer
    stop: threading.Event
    sealed: list[Sealed] = field(factory=list)
    _trouble: str = ""
    _looked_at: float = -LOOK_SECONDS
    _heartbeat: Heartbeat = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._heartbeat = Heartbeat(self.client, self.config, keys.ARCHIVE, self.lease.token)

    def run(self) -> None:
        """Work until stopped; a location that cannot be used for the moment is tried again."""
        while not self.stop.is_set():
            self.lease.check()
            patiently(self._beat, self.config, self.stop)
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._look()
                self._looked_at = time.monotonic()
            self.stop.wait(SECONDS)
        with contextlib.suppress(redis.RedisError):
            self._beat(STOPPED)

    def _look(self) -> None:
        try:
            found = patiently(lambda: self.sealer.look(self._on_channel), self.config, self.stop) or []
        except ArchiveDiffers:
            raise
        except WentBack as error:
            log.warning("the server went back", reason=str(error))
            return
        except ArchiveError as error:
            if str(error) != self._trouble:
                fields = {"reason": str(error), "again_in_s": LOOK_SECONDS}
                log.warning("the archive cannot be used", **fields)
            self._trouble = str(error)
            return
        self._trouble = ""
        self.sealed += found
        for session in sorted({item.session for item in found}):
            rows = [item.rows for item in found if item.session == session]
            named = BEFORE if session.startswith("1970") else session
            fields = {"session": named, "tables": len(rows), "rows": sum(rows)}
            log.info("session sealed", **fields)

    def _on_channel(self, _table: str, _done: int, _of: int) -> None:
        """Stay visible during a long look."""
        if self._heartbeat.due():
            self._beat()

    def _beat(self, status: str = "running") -> None:
        self._heartbeat.write(status, {"sessions": len(self.sealed), "trouble": self._trouble})
