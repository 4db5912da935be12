"""The old system's names of features, and the addresses that mean the same."""

from typing import Final

ALIASES: Final[dict[str, str]] = {}


def alias(_text: str) -> str | None:
    """Return the address of an old name."""
    return None
