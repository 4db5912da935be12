"""The URL of a server whose master Sentinel names: its parts, and what is wrong with one that cannot be read."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote

from attrs import field, frozen

PLAIN: Final = "redis+sentinel://"
TLS: Final = "rediss+sentinel://"
PORT: Final = 26379
EXAMPLE: Final = "redis+sentinel://user:password@host1:26379,host2:26379,host3:26379/SERVICE"

LOGIN_OPTIONS: Final = ("sentinel_username", "sentinel_password")
TLS_OPTIONS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[\w.-]+))(?::(?P<port>\d{1,5}))?")
_SERVICE: Final = re.compile(r"[A-Za-z0-9._-]+")  # what Sentinel itself allows


@frozen
class SentinelUrl:
    """What a URL says; no part of it is in a message, because any may be a piece of a password.

    Attributes
    ----------
    hosts
        Where Sentinels listen.
    service
        The name under which they watch the server.
    database
        Its number.
    username, password
        Of the server, if it asks for any.
    tls
        Whether server and Sentinels speak TLS.
    options
        What else was said: the Sentinels' own login, and files for TLS.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    options: dict[str, str] = field(factory=dict, repr=False)

    @classmethod
    def is_one(cls, url: str) -> bool:
        """Tell whether a URL asks for Sentinel."""
        return url.startswith((PLAIN, TLS))

    @classmethod
    def parse(cls, url: str) -> "SentinelUrl":
        """Read a URL.

        Raises
        ------
        ValueError
            If it cannot be read; the message says which part, and shows none.
        """
        rest, _, query = url.partition("://")[2].partition("?")
        place, _, path = rest.partition("/")
        login, _, hosts = place.rpartition("@")
        username, _, password = login.partition(":")
        service, _, database = path.partition("/")
        if not _SERVICE.fullmatch(service):
            raise ValueError(f"expected the service's name after the hosts, as in {EXAMPLE}")
        if not re.fullmatch(r"\d{0,5}", database):
            raise ValueError("after the service's name: expected nothing, or the number of a database such as /0")
        tls = url.startswith(TLS)
        return cls(
            hosts=tuple(_hosts(hosts)),
            service=service,
            database=int(database or 0),
            username=unquote(username) or None,
            password=unquote(password) or None,
            tls=tls,
            options=_options(query, (*LOGIN_OPTIONS, *TLS_OPTIONS) if tls else LOGIN_OPTIONS),
        )

    @property
    def shown(self) -> str:
        """The URL without accounts and options."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{TLS if self.tls else PLAIN}{hosts}/{self.service}" + (f"/{self.database}" if self.database else "")


def _hosts(text: str) -> Iterator[tuple[str, int]]:
    for number, host in enumerate(text.split(","), 1):
        found = _ADDRESS.fullmatch(host)
        port = int(found["port"] or PORT) if found else 0
        if found is None or not 0 < port < 65536:
            raise ValueError(
                f"host {number}: expected HOST or HOST:PORT; several are separated by commas, and in user and password "
                "anything but letters and digits is written as %XX"
            )
        yield found["six"] or found["name"], port


def _options(query: str, known: tuple[str, ...]) -> dict[str, str]:
    options: dict[str, str] = {}
    for number, (name, value) in enumerate(parse_qsl(query, keep_blank_values=True), 1):
        if name not in known or not value or name in options:
            raise ValueError(f"option {number} after the ?: expected each once, with a value, of {', '.join(known)}")
        options[name] = value
    if "sentinel_username" in options and "sentinel_password" not in options:
        raise ValueError("sentinel_username: expected sentinel_password too")
    return options
