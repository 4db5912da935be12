"""One way to connect, with redis-py's defaults set right for blocking reads and explicit ids."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import redis
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from pine.bus import embedded, users
from pine.bus.client import Client
from pine.bus.sentinel import master_pool
from pine.core.config import Config
from pine.core.config.sentinel import SentinelUrl
from pine.core.errors import BusError, NoServer, ServerUnfit
from pine.core.log import get_logger

MIN_REDIS: Final = (7, 0)
MIN_VALKEY: Final = (8, 0)
EMBEDDED_SECONDS: Final = 60.0
EMBEDDED_PAUSE: Final = 0.1
AWAY_PAUSE: Final = 0.2
SILENT_SECONDS: Final = 30.0
VISIT_SECONDS: Final = 5.0
"""The same for a person who waits, or somebody who asks again soon."""

T = TypeVar("T")

log = get_logger(__name__)


def connect(config: Config, *, start: bool = True, silence: float = SILENT_SECONDS) -> Client:
    """Return a client of the configured server.

    Parameters
    ----------
    config
        ``bus.url`` names the server; ``embedded`` is a private one in the data directory.
    start
        Whether an embedded server that does not run is started.
    silence
        Seconds after which a server that says nothing is given up: short for somebody who only visits.

    Raises
    ------
    BusError
        If the server cannot be reached; `NoServer` if it is an embedded one that does not run.
    ServerUnfit
        If its settings would lose data.
    """
    if config.bus.url == "embedded":
        return _connect_embedded(embedded.EmbeddedServer(config.data_dir, config.bus.fsync), start, silence)
    try:
        client = client_for(config.bus.url, config.bus.replicas, silence)
    except ValueError:  # its text may hold part of a password
        raise BusError("bus.url: cannot be read; expected one such as redis://user:password@host:6379/0") from None
    try:
        assert_fit(client)
    except redis.RedisError as error:
        raise BusError(f"bus.url: the server does not answer: {error}") from None
    return client


def _connect_embedded(server: embedded.EmbeddedServer, start: bool, silence: float) -> Client:
    """Return a client of the private server; one that is killed while we look is started again."""
    deadline = time.monotonic() + EMBEDDED_SECONDS
    while True:
        if start:
            server.ensure(silence=silence if silence < SILENT_SECONDS else None)
        elif not server.is_running():
            raise server.silent() if server.is_held() else NoServer(server.data_dir)
        client = client_for(server.url, silence=silence, name=users.own_name())
        try:
            assert_fit(client)
        except redis.RedisError as error:
            if not start or not is_away(error) or time.monotonic() > deadline:
                raise BusError(f"the embedded server does not answer: {error}") from None
            time.sleep(EMBEDDED_PAUSE)  # a server that loads or was killed tells nobody when it answers
        else:
            return client


class _Server(redis.Redis):
    """A client that knows how many replicas must have what is written through it, and the scripts that it has run."""

    replicas: int = 0

    def register_script(self, script: Any) -> Any:
        """Return a script as a callable; its hash is made once, not for every write."""
        known: dict[Any, Any] = self.__dict__.setdefault("scripts", {})
        if script not in known:
            known[script] = super().register_script(script)
        return known[script]

    def master(self) -> str | None:
        """Return where Sentinel said that the master is, as of the newest connection."""
        address = getattr(self.connection_pool, "master_address", None)
        return None if address is None else f"{address[0]}:{address[1]}"


def client_for(url: str, replicas: int = 0, silence: float = SILENT_SECONDS, name: str | None = None) -> Client:
    """Return a client without hidden retries, with one reply shape.

    No read blocks longer than a fraction of a second, so a server that says nothing for much longer is gone, though
    nobody has closed the connection: a machine that vanished.

    Parameters
    ----------
    url
        Of the server, or of the Sentinels that know its master.
    replicas
        How many of its replicas must have what a `Writer` writes, before that counts as written.
    silence
        Seconds after which a server that says nothing is given up.
    name
        What the server calls the connections, if it is to know; not every account may name its own.
    """
    settings: dict[str, Any] = {
        "client_name": name,
        "socket_timeout": silence,
        "socket_connect_timeout": min(5.0, silence),
        "retry": Retry(NoBackoff(), 0),
        "legacy_responses": False,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
    client: Any
    if SentinelUrl.is_one(url):
        client = _Server.from_pool(master_pool(url, settings))
    else:
        client = _Server.from_url(url, **settings)
    client.replicas = replicas
    return cast("Client", client)


def assert_fit(client: Client) -> None:
    """Raise `ServerUnfit`, with the setting to change, unless acknowledged entries are safe on this server."""
    info: dict[str, Any] = client.info()
    valkey = info.get("valkey_version")
    found, least = (valkey, MIN_VALKEY) if valkey else (info["redis_version"], MIN_REDIS)
    if tuple(int(part) for part in str(found).split(".")[:2]) < least:
        name = "Valkey" if valkey else "Redis"
        raise ServerUnfit(f"server version: found {name} {found}, expected {'.'.join(map(str, least))} or newer")
    if not info.get("aof_enabled"):
        raise ServerUnfit(
            "server setting appendonly: found no, expected yes; CONFIG SET appendonly yes, and in its file"
        )
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        raise ServerUnfit(
            f"server setting maxmemory-policy: found {policy}, expected noeviction; "
            "CONFIG SET maxmemory-policy noeviction"
        )


_AWAY: Final = (
    *("MISCONF", "OOM", "READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "BUSY"),
    "UNBLOCKED",  # what a blocking read is told when its master becomes a replica
)


def is_away(error: redis.RedisError) -> bool:
    """Tell whether the server is gone, starting, or cannot write for now (full disk or memory): wait, try again."""
    kinds = (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, redis.OutOfMemoryError)
    text = str(error)
    # In a pipeline the client says first which command it was.
    return isinstance(error, kinds) or text.rpartition(" caused error: ")[2].startswith(_AWAY)


def write_problem(client: Client) -> str | None:
    """Return why a server takes nothing at all at present, in its words; nothing if it does."""
    try:
        client.ping()
    except redis.ResponseError as error:
        return str(error) if str(error).startswith(embedded.CANNOT_WRITE) else None
    return None


def patiently(action: Callable[[], T], config: Config, stop: threading.Event) -> T | None:
    """Do something on the server, again from its beginning while the server is away; nothing if `stop` came first."""
    told = False
    while not stop.is_set():
        try:
            return action()
        except redis.RedisError as error:
            if not is_away(error):
                raise
            if not told:
                log.warning("server away", reason=str(error))
                told = True
            if not stop.wait(AWAY_PAUSE):
                revive(config, stop.is_set)
    return None


def revive(config: Config, ending: Callable[[], bool] = lambda: False) -> None:
    """Start the embedded server again if it is gone, and return when it answers or `ending` says to end.

    A server elsewhere is somebody else's to start.
    """
    if config.bus.url == "embedded":
        with contextlib.suppress(BusError, OSError):  # the caller waits and tries again anyway
            embedded.EmbeddedServer(config.data_dir, config.bus.fsync).ensure(ending)
