"""What a webhook's address may look like, so strictly that whoever reads it finds the same host in it."""

import re
from typing import Final

from pine.core.config.secret import Secret

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])"
    r"(?::[0-9]{1,5})?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
    r"(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?",
    re.IGNORECASE,
)


def is_webhook(address: str) -> bool:
    """Tell whether a text is the address of a webhook: ``https://HOST/…`` without user, backslash or fragment."""
    return _ADDRESS.fullmatch(address) is not None


def leads_here(webhook: Secret) -> bool:
    """Tell whether a webhook is on this machine; one that cannot be read is not."""
    found = _ADDRESS.fullmatch(webhook.reveal())
    return found is not None and (found["name"] or found["ipv6"]).lower() in LOOPBACK
