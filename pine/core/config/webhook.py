"""What a webhook's address may look like, so strictly that whoever reads it finds the same host in it."""

import re
from typing import Final
from urllib.parse import urlsplit

from pine.core.config.secret import Secret

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_BROKER: Final = "traderspost.io"
_BROKER_PATH: Final = re.compile(r"/trading/webhook/[^/]+/[^/]+/?")
_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
    r"(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?",
    re.IGNORECASE,
)


def is_webhook(address: str) -> bool:
    """Tell whether a text is the address of a webhook: ``https://HOST/…`` without user, backslash or fragment."""
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"] or 443) < 65536:
        return False
    try:
        return bool(urlsplit(address).hostname)
    except ValueError:  # brackets around what is no address of a machine
        return False


def leads_here(webhook: Secret) -> bool:
    """Tell whether a webhook is on this machine; one that cannot be read is not."""
    found = _ADDRESS.fullmatch(webhook.reveal())
    return found is not None and (found["name"] or found["ipv6"]).lower() in LOOPBACK


def mistake_in(webhook: Secret) -> str | None:
    """Return why orders cannot be posted to an address, or nothing; its text is not shown."""
    parts = urlsplit(webhook.reveal())
    if parts.scheme != "https" and not (parts.scheme == "http" and leads_here(webhook)):
        found = f"an address of scheme {parts.scheme or 'none'!r}"
    elif not parts.hostname or not parts.path.strip("/"):
        found = "an address without a path"
    elif parts.hostname.endswith(_BROKER) and not _BROKER_PATH.fullmatch(parts.path):
        found = f"an address at {parts.hostname} whose path is not that of a webhook"
    else:
        return None
    return f"found {found}, expected https://HOST/trading/webhook/ID/PASSWORD; its text is not shown"


def host_of(webhook: Secret) -> str:
    """Return the host that a webhook is at."""
    return urlsplit(webhook.reveal()).hostname or ""
