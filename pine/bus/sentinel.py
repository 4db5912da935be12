"""Clients that follow the master: each new connection goes to the server that the Sentinels name then."""

from typing import Any, Final, cast

import redis
from redis.connection import SSLConnection
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool, SentinelManagedConnection

from pine.core.config.sentinel import TLS_OPTIONS, SentinelUrl

ASK_SECONDS: Final = 1.0
"""How long one Sentinel is given to be reached and to answer, before the next one is asked."""

SILENT_SECONDS: Final = 10.0
"""How long a master may say nothing; shorter than for a single server, because another one may take over."""


class Sentinels(Sentinel):
    """All Sentinels are asked, and the newest configuration that any of them knows holds.

    redis-py takes the first answer. One that comes from a Sentinel that was away itself may name a master that has been
    replaced, and that is being started again and has not been told yet.
    """

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the master's address.

        Raises
        ------
        MasterNotFoundError
            If no Sentinel answers, or those that know the newest configuration hold its master for down.
        """
        states: list[dict[str, Any]] = []
        trouble: list[str] = []
        for sentinel in self.sentinels:
            where = sentinel.connection_pool.connection_kwargs
            try:
                known = cast("dict[str, Any]", sentinel.sentinel_masters())
            except redis.RedisError as error:
                trouble.append(f"{where['host']}:{where['port']}: {error}")
                continue
            if service_name in known:
                states.append(known[service_name])
            else:
                trouble.append(f"{where['host']}:{where['port']}: knows no service of that name")
        newest = max((state["config-epoch"] for state in states), default=0)
        for state in states:
            if state["config-epoch"] == newest and self.check_master_state(state, service_name):
                return str(state["ip"]), int(state["port"])
        reasons = "; ".join(trouble) or "it is down, and no other was chosen yet"
        raise MasterNotFoundError(f"Sentinel names no master of {service_name!r}: {reasons}")


class MasterConnection(SentinelManagedConnection):
    """A connection to a server that says itself that it is a master."""

    def connect_to(self, address: tuple[str, int]) -> None:
        """Connect, and refuse a server that has been told to follow another one."""
        super().connect_to(address)
        try:
            self.send_command("INFO", "replication")
            is_master = b"role:master" in self.read_response()
        except redis.RedisError:
            self.disconnect()
            raise
        if not is_master:
            self.disconnect()
            raise redis.ConnectionError(f"{address[0]}:{address[1]} is no master any more")


class TlsMasterConnection(MasterConnection, SSLConnection):
    """The same over TLS."""


def master_pool(url: str, settings: dict[str, Any]) -> SentinelConnectionPool:
    """Return connections to the master that a URL's Sentinels name.

    Parameters
    ----------
    url
        As `SentinelUrl` reads it.
    settings
        Of every connection, to servers and to Sentinels.

    Raises
    ------
    ValueError
        If the URL cannot be read.
    """
    place = SentinelUrl.parse(url)
    files = {name: value for name, value in place.options.items() if name in TLS_OPTIONS}
    quick = {"socket_timeout": ASK_SECONDS, "socket_connect_timeout": ASK_SECONDS}
    login = {
        "username": place.options.get("sentinel_username"),
        "password": place.options.get("sentinel_password"),
    }
    sentinels = Sentinels(place.hosts, sentinel_kwargs={**settings, **quick, **login, **files, "ssl": place.tls})
    return SentinelConnectionPool(
        place.service,
        sentinels,
        connection_class=TlsMasterConnection if place.tls else MasterConnection,
        **{**settings, "socket_timeout": SILENT_SECONDS},
        **files,
        db=place.database,
        username=place.username,
        password=place.password,
    )
