"""What single values of a configuration may be."""

import errno
import math
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import validators

from pine.core.config.duration import Duration
from pine.core.config.quoted import quoted
from pine.core.config.sentinel import SentinelUrl
from pine.core.instruments import SPECS
from pine.core.period import SessionClose

_DATASET: Final = re.compile(r"[A-Z0-9]+\.[A-Z0-9]+")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_CALLABLE: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
POSITIVE: Any = validators.gt(0)
POSITIVE_FINITE: Any = [validators.gt(0), validators.lt(math.inf)]
AMOUNT: Any = [validators.ge(0), validators.lt(math.inf)]
OPTIONAL_POSITIVE: Any = validators.optional(validators.gt(0))
PORT: Any = [validators.ge(1), validators.le(65_535)]
MOST_REPLICAS: Final = 9
MOST_SESSIONS: Final = 5_000
"""Of history, for warm-up."""
SESSIONS: Any = [validators.ge(0), validators.le(MOST_SESSIONS)]
OPTIONAL_SESSIONS: Any = validators.optional(validators.and_(*SESSIONS))


def known_root(_instance: object, _attribute: Any, value: str) -> None:
    """Refuse a root that pine does not know."""
    if value not in SPECS:
        raise ValueError(f"found {quoted(value)}, expected a known root: {', '.join(sorted(SPECS))}")


def session_close(_instance: object, _attribute: Any, value: str) -> None:
    """Refuse what is no time of a session's close."""
    SessionClose.parse(value)


def dataset_code(_instance: object, _attribute: Any, value: str) -> None:
    """Refuse what cannot be a dataset's code."""
    if not _DATASET.fullmatch(value):
        raise ValueError(f"found {quoted(value)}, expected the code of a dataset such as GLBX.MDP3")


def gateway_address(_instance: object, _attribute: Any, value: str | None) -> None:
    """Refuse what is not ``HOST:PORT``."""
    if value is not None:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"found {quoted(value)}, expected HOST:PORT such as 127.0.0.1:13000")


def https_gateway(_instance: object, _attribute: Any, value: str | None) -> None:
    """Refuse what is not ``https://HOST:PORT``."""
    if value is not None:
        scheme, _, address = value.partition("://")
        host, _, port = address.rpartition(":")
        if scheme != "https" or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"found {quoted(value)}, expected https://HOST:PORT such as https://127.0.0.1:13443")


def bus_url(_instance: object, _attribute: Any, value: str) -> None:
    """Refuse what names no server."""
    if SentinelUrl.is_one(value):
        SentinelUrl.parse(value)
    elif value != "embedded" and not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(
            "expected embedded, or a URL that begins with redis://, rediss://, unix://, "
            "redis+sentinel:// or rediss+sentinel://"
        )
    elif not can_be_split(value):
        raise ValueError(
            "expected a URL such as redis://user:password@host:6379/0; in user and password anything but letters and "
            "digits is written as %XX"
        )


def can_be_split(url: str) -> bool:
    """Tell whether a URL has parts, and a port that can be one."""
    try:
        parts = urlsplit(url)
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def replica_count(instance: Any, _attribute: Any, value: int) -> None:
    """Refuse what a server cannot have."""
    if not 0 <= value <= MOST_REPLICAS:
        raise ValueError(f"found {value}, expected 0 to {MOST_REPLICAS}")
    if value and instance.url == "embedded":
        raise ValueError(f"found {value}, expected 0: the embedded server has no replicas; see url")


def an_hour_at_least(_instance: object, _attribute: Any, value: Duration) -> None:
    """Refuse less than an hour."""
    if value < Duration.parse("1h"):
        raise ValueError(f"found {value}, expected at least 1h")


def finite(_instance: object, _attribute: Any, value: float | None) -> None:
    """Refuse what is no finite number."""
    if value is not None and not math.isfinite(value):
        raise ValueError(f"found {value}, expected a finite number")


def scorer_place(_instance: object, _attribute: Any, value: str | None) -> None:
    """Refuse what is not ``module:callable``."""
    if value is not None and not _CALLABLE.fullmatch(value):
        raise ValueError(f"found {quoted(value)}, expected module:callable such as my_models:score")


def folder_mistake(text: str) -> str | None:
    """Return what is wrong with the path of a folder, or nothing."""
    if "\0" in text:
        return "found a path with a NUL in it, expected a folder"
    try:
        Path(text).expanduser()
    except RuntimeError as error:
        return f"found {quoted(text)}, expected a folder: {error}"
    return None


def place_mistake(folder: Path) -> str | None:
    """Return why nothing can be at a path, or nothing."""
    try:
        folder.resolve()
        folder.stat()
    except RuntimeError:
        return "found links that lead in a circle, expected a folder"
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            return f"found a path that no folder can have ({error.strerror}), expected a folder"
    return None


def archive_place(_instance: object, _attribute: Any, value: str) -> None:
    """Refuse what is neither a folder nor a URL that fsspec opens."""
    protocol, separator, _ = value.partition("://")
    if not value or (not separator and folder_mistake(value)):  # not shown: it may hold a password
        raise ValueError("expected a folder, or a URL such as s3://bucket/pine")
    if separator:
        from fsspec import available_protocols

        if protocol not in available_protocols():
            raise ValueError(
                f"expected a folder, or a URL that fsspec knows, such as s3://bucket/pine; {protocol}:// is none"
            )


def time_of_day(_instance: object, _attribute: Any, value: str | None) -> None:
    """Refuse what is no time such as ``22:30``."""
    if value is not None and not _TIME.fullmatch(value):
        raise ValueError(f'found {quoted(value)}, expected a time of day in UTC such as "22:30", or null')
