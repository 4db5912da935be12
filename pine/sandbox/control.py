"""The text half of the gateway's protocol: lines of ``key=value`` joined by ``|``."""

import hashlib
import re
from typing import Final

from attrs import frozen

from pine.core.errors import SandboxError
from pine.sandbox.records import RTYPES
from pine.sandbox.symbology import STYPES

GREETING: Final = b"lsg_version=0.9.9\n"
DEFAULT_HEARTBEAT_S: Final = 30

_BUCKET_LENGTH: Final = 5
_RESPONSE: Final = re.compile(r"[0-9a-f]{64}-.{5}")


class RefusalError(SandboxError):
    """A client's line that the gateway cannot serve; the message is what the client gets to read."""


@frozen
class AuthRequest:
    """What a client asks of its session.

    Attributes
    ----------
    response
        Answer to the challenge.
    dataset
        Databento's name of the venue.
    zstd
        Whether the stream is to be compressed.
    heartbeat_s
        Seconds of silence after which a heartbeat is due.
    """

    response: str
    dataset: str
    zstd: bool
    heartbeat_s: int


@frozen
class SubscriptionRequest:
    """One subscription line.

    Attributes
    ----------
    schema, stype, symbols
        What is wanted.
    start
        Event time in ns from which records are wanted, ``None`` for those to come.
    number
        The client's number of the subscription.
    is_last
        False for a line whose list of symbols goes on in the next one.
    """

    schema: str
    stype: str
    symbols: tuple[str, ...]
    start: int | None
    number: str
    is_last: bool


def parse_line(line: bytes) -> dict[str, str]:
    """Split a line into its fields.

    Raises
    ------
    RefusalError
        If it has another shape.
    """
    try:
        pairs = [part.partition("=") for part in line.decode().rstrip("\r\n").split("|")]
    except UnicodeDecodeError:
        raise RefusalError("Line is not UTF-8") from None
    if any(not key or not equals for key, equals, _ in pairs):
        raise RefusalError("Line is not made of key=value fields")
    return {key: value for key, _, value in pairs}


def parse_auth(fields: dict[str, str]) -> AuthRequest:
    """Read the answer to the challenge.

    Raises
    ------
    RefusalError
        If a field is missing or asks for something that the gateway cannot do.
    """
    if not _RESPONSE.fullmatch(fields.get("auth", "")):
        raise RefusalError("Authentication failed.")
    if not fields.get("dataset"):
        raise RefusalError("Missing dataset")
    if (encoding := fields.get("encoding", "dbn")) != "dbn":
        raise RefusalError(f"Unsupported encoding {encoding}, expected dbn")
    if (ts_out := fields.get("ts_out", "0")) != "0":
        raise RefusalError(f"Unsupported ts_out {ts_out}, this gateway sends no ts_out")
    if (compression := fields.get("compression", "none")) not in ("none", "zstd"):
        raise RefusalError(f"Unsupported compression {compression}, expected none or zstd")
    heartbeat = fields.get("heartbeat_interval_s", str(DEFAULT_HEARTBEAT_S))
    if not heartbeat.isdecimal() or int(heartbeat) < 1:
        raise RefusalError(f"Invalid heartbeat_interval_s {heartbeat}, expected whole seconds")
    return AuthRequest(fields["auth"], fields["dataset"], compression == "zstd", int(heartbeat))


def parse_subscription(fields: dict[str, str]) -> SubscriptionRequest:
    """Read a subscription.

    Raises
    ------
    RefusalError
        If a field is missing or unknown.
    """
    schema, stype = fields.get("schema", ""), fields.get("stype_in", "raw_symbol")
    if schema not in RTYPES:
        raise RefusalError(f"Unknown schema {schema!r}")
    if stype not in STYPES:
        raise RefusalError(f"Unsupported stype_in {stype!r}, expected one of {', '.join(STYPES)}")
    symbols = tuple(symbol for symbol in fields.get("symbols", "").split(",") if symbol)
    if not symbols:
        raise RefusalError("Subscription without symbols")
    start = fields.get("start")
    if start is not None and not start.isdecimal():
        raise RefusalError(f"Invalid start {start!r}, expected nanoseconds since 1970")
    return SubscriptionRequest(
        schema,
        stype,
        symbols,
        None if start is None else int(start),
        fields.get("id", "0"),
        fields.get("is_last", "1") != "0",
    )


def key_fits(response: str, challenge: str, key: str) -> bool:
    """Tell whether the answer to a challenge was made with a key."""
    digest = hashlib.sha256(f"{challenge}|{key}".encode()).hexdigest()
    return response == f"{digest}-{key[-_BUCKET_LENGTH:]}"
