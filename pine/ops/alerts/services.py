"""Where messages go: apprise for each configured URL, on a thread of its own, again until it works."""

import logging
import random
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import define, field, frozen

from pine.core.config import Config, Secret
from pine.core.errors import PineError
from pine.core.log import get_logger
from pine.ops.alerts.message import Message
from pine.ops.alerts.outbox import Parcel

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 300.0
TRIES: Final = 5
"""Times in a row that one message may fail before others go first: a service may dislike just this one."""

JOIN_SECONDS: Final = 5.0
HANGS_S: Final = 60.0
"""Seconds after which a service that has not answered counts as failing."""

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]{0,20})://", re.IGNORECASE)

log = get_logger(__name__)

Post = Callable[[Message], bool]
"""Sends a message; returns whether it went, and raises nothing."""


@frozen
class Service:
    """One place where messages go.

    Attributes
    ----------
    name
        Number and scheme, which is all that is ever shown of its URL: ``1 discord``.
    post
        Sends.
    """

    name: str
    post: Post


def services(config: Config) -> list[Service]:
    """Return the configured services.

    Raises
    ------
    PineError
        If there are none, or apprise cannot use one of the URLs.
    SecretMissing
        If the variable of one is not set.
    """
    urls = config.alerts.urls
    if not urls:
        raise PineError(
            'alerts.urls: found none, expected at least one such as ["${DISCORD}"]; pine alerts --dry-run prints what '
            "would be sent"
        )
    return [_service(number, url) for number, url in enumerate(urls, start=1)]


def _service(number: int, url: Secret) -> Service:
    found = _SCHEME.match(url.reveal())
    name = f"{number} {found[1].lower() if found else '?'}"
    post = plugin_post(url)
    if post is None:
        raise PineError(
            f"{url.where}: apprise cannot use this URL (not shown, it begins with {name.partition(' ')[2]}://)"
        )
    return Service(name, post)


def plugin_post(url: Secret) -> Post | None:
    """Return what sends through apprise; nothing if it cannot use the URL.

    Nothing is loaded but what is in apprise's own package. Nothing that it logs is shown: it may hold parts of URLs.
    """
    logging.getLogger("apprise").disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of its plug-ins import what Python is about to drop
        from apprise import Apprise, AppriseAsset

        asset = AppriseAsset(app_id="pine", app_desc="pine", plugin_paths=None, storage_mode="memory")
        try:
            plugin = Apprise.instantiate(url.reveal(), asset=asset)
        except Exception:  # noqa: BLE001  # some raise at what they cannot read, with the URL in the text
            return None
    return None if plugin is None else lambda message: _notify(plugin, message)


def _notify(plugin: Any, message: Message) -> bool:
    from apprise import NotifyFormat, NotifyType

    kind = NotifyType.SUCCESS if message.good else NotifyType.FAILURE if message.urgent else NotifyType.WARNING
    if message.kind in ("summary", "entry", "exit", "test"):
        kind = NotifyType.INFO
    try:
        return bool(
            plugin.notify(
                title=message.title, body=message.body or message.title, notify_type=kind, body_format=NotifyFormat.TEXT
            )
        )
    except Exception as error:  # noqa: BLE001  # a plug-in may raise anything, and its text may hold its URL
        log.debug("a plug-in of apprise raised", error=type(error).__name__)
        return False


@define(eq=False)
class Postman:
    """Brings messages to one service on a thread of its own; a service that hangs holds up nobody else.

    Parameters
    ----------
    service
        Where to.
    on_sent
        Told on that thread, with the parcel's id and the service's name, whenever one has arrived.
    """

    service: Service
    on_sent: Callable[[str, str], None]
    failed: int = 0
    _busy_since: float | None = None
    _queue: dict[str, Parcel] = field(factory=dict)
    _tries: dict[str, int] = field(factory=dict)
    _sent: set[str] = field(factory=set)
    _changed: threading.Condition = field(factory=threading.Condition)
    _stopping: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def fails(self) -> bool:
        """Whether the last message did not go, or does not come to an end."""
        since = self._busy_since
        return self.failed > 0 or (since is not None and time.monotonic() - since > HANGS_S)

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._work, name=f"alerts {self.service.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end after the present message; see `join`."""
        with self._changed:
            self._stopping.set()
            self._changed.notify()

    def join(self, seconds: float = JOIN_SECONDS) -> None:
        """Wait for the end; a service that hangs is left alone."""
        if self._thread is not None:
            self._thread.join(seconds)

    def replace(self, parcels: Iterable[Parcel]) -> None:
        """Have these, and no others, brought to the service, as far as they are owed to it."""
        mine = {parcel.id: parcel for parcel in parcels if self.service.name in parcel.owed}
        with self._changed:
            self._sent &= mine.keys()  # these arrived, and whoever asks does not know it yet
            self._queue = {name: parcel for name, parcel in mine.items() if name not in self._sent}
            self._tries = {name: count for name, count in self._tries.items() if name in mine}
            self._changed.notify()

    def _work(self) -> None:
        while not self._stopping.is_set():
            parcel = self._next()
            if parcel is None or self._stopping.is_set():
                continue
            self._busy_since = time.monotonic()
            went = self.service.post(parcel.message)
            self._busy_since = None
            if went:
                self._arrived(parcel)
            else:
                self._again(parcel)

    def _next(self) -> Parcel | None:
        with self._changed:
            if not self._queue and not self._stopping.is_set():
                self._changed.wait()
            waiting = self._queue.values()
            return min(waiting, key=lambda p: (self._tries.get(p.id, 0) // TRIES, p.order), default=None)

    def _arrived(self, parcel: Parcel) -> None:
        if self.failed:
            log.info("a service takes messages again", service=self.service.name)
        self.failed = 0
        with self._changed:
            self._sent.add(parcel.id)
            self._queue.pop(parcel.id, None)
            self._tries.pop(parcel.id, None)
        self.on_sent(parcel.id, self.service.name)

    def _again(self, parcel: Parcel) -> None:
        self.failed += 1
        if self.failed == 1:
            fields = {"service": self.service.name, "again_in_s": FIRST_PAUSE}
            log.warning("a message did not go, it is tried again", **fields)
        with self._changed:
            self._tries[parcel.id] = self._tries.get(parcel.id, 0) + 1
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failed - 1, 10), LONGEST_PAUSE)
        self._stopping.wait(pause * random.uniform(1.0, 1.3))  # noqa: S311  # jitter, not a secret


def try_all(found: Iterable[Service]) -> list[tuple[str, bool]]:
    """Send a test message to every service; return whether it went, by name."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    message = Message("test", "pine: a test", f"Sent by pine alerts --test at {stamp}. Nothing is wrong.")
    return [(service.name, service.post(message)) for service in found]
