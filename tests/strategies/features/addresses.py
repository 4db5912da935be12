"""Addresses to try: of every definition and old name, with windows small enough to fill."""

import re

from pine.strategies.features.address import parse_address
from pine.strategies.features.aliases import ALIASES

from .oracle import examples

UNCONFIGURED = ("VIX",)


def small() -> list[str]:
    """Return every example and every old name's address, windows shortened, on the symbols ES and NQ alone."""
    texts = [*examples(), *ALIASES.values()]
    short = (re.sub(r"=(\d+)", lambda found: f"={_shortened(int(found[1]))}", str(parse_address(t))) for t in texts)
    return sorted({re.sub(r"@(6?[A-Z]+)", _configured, text) for text in short})


def _shortened(window: int) -> int:
    return window if window < 4 else 4 + window % 3


def _configured(found: re.Match[str]) -> str:
    return "@ES" if found[1] == "ES" else "@NQ"
