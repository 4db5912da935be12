"""The process that watches a server and sends messages."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

import redis
from attrs import define, field

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import VISIT_SECONDS, connect, is_away
from pine.bus.ending import stop_on_end
from pine.bus.heartbeat import STOPPED, Heartbeat
from pine.bus.lease import Lease
from pine.bus.pauses import pause
from pine.core.config import Config
from pine.core.config.secret import masked
from pine.core.errors import BusError, Fenced, PineError, ServerUnfit, WentBack
from pine.core.log import get_logger
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import Clock, isoformat
from pine.ops.alerts.conditions import seen
from pine.ops.alerts.message import Message
from pine.ops.alerts.outbox import Parcel
from pine.ops.alerts.services import JOIN_SECONDS, Postman, Service
from pine.ops.alerts.watcher import Watcher
from pine.ops.status import Observer, without_server

LOOK_SECONDS: Final = 1.0
AWAY_PAUSE: Final = 3.0
"""Seconds until a server that is away is looked for again: what it holds is then read anew."""

AWAY_S: Final = 30.0
"""Seconds that the server must be away before that is told: a restart is none."""

log = get_logger(__name__)


def run_alerts(config: Config, found: Sequence[Service], option: str = "", *, dry: bool = False) -> int:
    """Watch and send until SIGINT or SIGTERM; return the exit code.

    Starts no server: one that is away is waited for, and told.

    Parameters
    ----------
    config
        What to watch.
    found
        Where messages go.
    option
        What a suggested command needs at its end to find the same configuration.
    dry
        Whether to take no role and keep nothing: what another process tells is not taken from it.

    Raises
    ------
    Fenced
        If another process took over.
    """
    return Alerts(config, found, option, stop_on_end(), dry=dry).run()


@define(eq=False)
class Alerts:
    """Watches a server that may come and go, and hands what it finds to those who send.

    Parameters
    ----------
    config, services, option
        What to watch, where messages go, and the end of suggested commands.
    stop
        Ends the work after the present look.
    clock
        Tells the wall time in ns.
    """

    config: Config
    services: Sequence[Service]
    option: str
    stop: threading.Event
    clock: Clock = time.time_ns
    dry: bool = False
    sent: int = 0
    _watcher: Watcher | None = None
    _lease: Lease | None = None
    _client: Client | None = None
    _postmen: list[Postman] = field(factory=list)
    _arrivals: SimpleQueue[tuple[str, str]] = field(factory=SimpleQueue)
    _wake: threading.Event = field(factory=threading.Event)
    _aside: list[Parcel] = field(factory=list)
    _away_since: int | None = None
    _away_told: bool = False
    _taken_up: bool = False
    _heartbeat: Heartbeat | None = None

    def run(self) -> int:
        """Work until stopped."""
        self.begin()
        try:
            while not self.stop.is_set():
                self.round()
                self._wake.wait(LOOK_SECONDS if self._away_since is None else AWAY_PAUSE)
                self._wake.clear()
        finally:
            self.end()
        return 0

    def begin(self) -> None:
        """Have somebody ready for each service."""
        self._postmen = [Postman(service, self._on_sent) for service in self.services]
        for postman in self._postmen:
            postman.start()
        log.info("alerts started", services=", ".join(s.name for s in self.services))

    def round(self) -> None:
        """Look once, and hand out what is to be told."""
        if self._lease is not None:
            self._lease.check()
        try:
            if not self._connected():
                return
            self._look()
        except WentBack as error:
            log.warning("starting again from what the server holds", reason=str(error))
            self._taken_up = False
        except (Fenced, ServerUnfit):
            raise
        except BusError as error:
            self._blind("the stream server is away", str(error))
        except (PineError, ValueError, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, PineError) else f"{type(error).__name__}: {error}"
            self._blind("the stream server holds something that cannot be read", reason)
        except redis.RedisError as error:
            if not is_away(error):
                raise
            self._blind("the stream server is away", str(error))

    def _connected(self) -> bool:
        """Return whether there is a server and the role on it is ours."""
        if self._client is None:
            self._client = connect(self.config, start=False, silence=VISIT_SECONDS)
        if self._watcher is None:
            token = None
            if not self.dry:
                self._lease = Lease.acquire(self._client, keys.ALERTS, _waiting, self.stop)
                if self._lease is None:
                    return False
                self._lease.keep()
                token = self._lease.token
                self._heartbeat = Heartbeat(self._client, self.config, keys.ALERTS, token)
            names = [service.name for service in self.services]
            self._watcher = Watcher(self.config, self._client, token, names, self.option)
        return True

    def _look(self) -> None:
        assert self._watcher is not None
        self._watcher.arrived(self._arrived())
        if not self._taken_up:
            if self._lease is not None:
                self._lease.renew()  # a server that came back may not know it any more
                self._lease.check()
            self._watcher.take_up(self.clock())
            self._taken_up = True
            log.info("watching", waiting=len(self._watcher.outbox.parcels))
        self._watcher.look(self.clock())
        pause(keys.ALERTS, "noted")
        self._back()
        self._hand_out()
        self._beat("running")

    def _hand_out(self) -> None:
        parcels = [*(self._watcher.outbox.parcels.values() if self._watcher else ()), *self._aside]
        for postman in self._postmen:
            postman.replace(parcels)

    def _on_sent(self, identifier: str, service: str) -> None:
        pause(keys.ALERTS, "sent")
        self._arrivals.put((identifier, service))
        self._wake.set()

    def _arrived(self) -> list[tuple[str, str]]:
        """Return what went to whom since the last time."""
        found = []
        with contextlib.suppress(Empty):
            while True:
                found.append(self._arrivals.get_nowait())
        self.sent += len(found)
        for identifier, service in found:
            for parcel in self._aside:
                if parcel.id == identifier:
                    parcel.owed.remove(service)
        self._aside = [parcel for parcel in self._aside if parcel.owed]
        return found

    def _blind(self, title: str, reason: str) -> None:
        """Note that nothing can be seen; tell it once it has lasted. Nothing of that can be kept."""
        now = self.clock()
        self._taken_up = False
        if self._away_since is None:
            self._away_since = now
            log.warning(title, reason=masked(reason))
        if not self._away_told and now - self._away_since >= AWAY_S * NS_PER_SECOND:
            self._away_told = True
            body = f"Since {isoformat(self._away_since)[:16].replace('T', ' ')} UTC. {reason}{self.option}"
            self._tell_aside(Message("server", title, body, urgent=True))
        if self._watcher is not None:
            self._watcher.arrived(self._arrived())
        self._hand_out()
        if self._heartbeat is not None:
            self._heartbeat.away(self._facts())

    def _back(self) -> None:
        if self._away_since is None:
            return
        log.info("the server can be watched again")
        if self._away_told:
            self._tell_aside(Message("server", "the stream server can be watched again", good=True))
        self._away_since, self._away_told = None, False

    def _tell_aside(self, message: Message) -> None:
        names = [service.name for service in self.services]
        self._aside.append(Parcel(f"0-{self.clock()}", message, self.clock(), names))

    def _beat(self, status: str) -> None:
        if self._heartbeat is not None:
            self._heartbeat.write(status, self._facts())

    def _facts(self) -> dict[str, Any]:
        watcher = self._watcher
        return {
            "sent": self.sent,
            "undelivered": 0 if watcher is None else len(watcher.outbox.parcels),
            "held": 0 if watcher is None else sum(watcher.budget.held.values()),
            "failing": ", ".join(postman.service.name for postman in self._postmen if postman.fails),
        }

    def end(self) -> None:
        """Let messages under way arrive, note them, and give the role back."""
        for postman in self._postmen:
            postman.stop()
        deadline = time.monotonic() + JOIN_SECONDS
        for postman in self._postmen:
            postman.join(max(deadline - time.monotonic(), 0.0))
        with contextlib.suppress(redis.RedisError, Fenced):
            if self._watcher is not None and self._taken_up:
                self._watcher.arrived(self._arrived())
                self._watcher.note(self.clock())
                self._beat(STOPPED)
        if self._lease is not None:
            self._lease.release()
        log.info("alerts stopped", sent=self.sent)


def _waiting(holder: str) -> None:
    log.warning("waiting", lease_held_by=holder)


def wrong_now(config: Config, option: str = "", now: Callable[[], int] = time.time_ns) -> list[dict[str, Any]]:
    """Return what is wrong at the moment, as it would be told if it lasts; ready for JSON."""
    try:
        client = connect(config, start=False, silence=VISIT_SECONDS)
    except BusError as error:
        (problem,) = without_server(config, now(), f"{error}{option}")["problems"]
        return [{"kind": "server", "name": "", "title": "the stream server is away", "body": problem}]
    with contextlib.closing(client):
        found = seen(Observer(config, client, option).look(now()), option)
    return [{"kind": c.kind, "name": c.name, "title": c.title, "body": c.body} for c in found.present.values()]
