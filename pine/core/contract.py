"""Futures symbols: outrights, spreads and user-defined instruments, and what each one is called where."""

import re
from collections.abc import Iterable
from datetime import date
from enum import Enum
from functools import lru_cache
from typing import Final

from attrs import frozen

from pine.core.errors import ContractError

MONTH_CODES: Final = "FGHJKMNQUVXZ"

_OUTRIGHT: Final = re.compile(rf"(?P<root>[A-Z0-9]{{1,5}}?)(?P<month>[{MONTH_CODES}])(?P<year>[0-9]{{4}}|[0-9]{{1,2}})")
_OPTION: Final = re.compile(r"\S+ [CP]\d+")


class SymbolKind(Enum):
    """What a raw symbol of the exchange stands for."""

    OUTRIGHT = "outright"
    SPREAD = "spread"
    USER_DEFINED = "user_defined"
    OPTION = "option"
    UNKNOWN = "unknown"


@frozen(order=False, cache_hash=True)
class Contract:
    """One expiry of one root.

    Attributes
    ----------
    root
        ``ES``, ``6E``.
    year, month
        Delivery month, the year with four digits.
    """

    root: str
    year: int
    month: int

    @property
    def expiry(self) -> tuple[int, int]:
        """Sort key in order of delivery: ``(year, month)``."""
        return self.year, self.month

    @property
    def symbol(self) -> str:
        """The exchange's short form with a one-digit year, ``ESZ4``."""
        return f"{self.root}{MONTH_CODES[self.month - 1]}{self.year % 10}"

    @property
    def traderspost(self) -> str:
        """TradersPost's form with the full year, ``ESZ2024``."""
        return f"{self.root}{MONTH_CODES[self.month - 1]}{self.year}"

    def with_root(self, root: str) -> "Contract":
        """Return the same delivery month of another root, as for trading micros on the full contract's bars."""
        return Contract(root, self.year, self.month)


def resolve_year(digits: str, month: int, on: date) -> int:
    """Return the full year that a short one stands for in data of day `on`.

    A contract is traded until its delivery month at the latest, so the year is the first that fits and
    is not over; the delivery month itself and the one after it still count as current.

    Parameters
    ----------
    digits
        One, two or four digits.
    month
        Delivery month, 1 to 12.
    on
        Day of the data, not of the reader.
    """
    if len(digits) == 4:
        return int(digits)
    modulus = 10 ** len(digits)
    earliest = on.year * 12 + on.month - 2
    year = on.year - 1
    while year % modulus != int(digits) or year * 12 + month - 1 < earliest:
        year += 1
    return year


def parse_contract(raw: str, on: date, roots: Iterable[str] | None = None) -> Contract:
    """Read an outright's symbol.

    Parameters
    ----------
    raw
        ``ESZ4``, ``6EZ24`` or ``ESZ2024``.
    on
        Day of the data, against which a short year is resolved.
    roots
        The roots to accept; without them any root of the right shape is.

    Raises
    ------
    ContractError
        If `raw` is no outright, or of none of the `roots`.
    """
    known = None if roots is None else frozenset(roots)
    contract = _parse(raw, on.year, on.month)
    if contract is None or (known is not None and contract.root not in known):
        allowed = "an outright such as ESZ4" if known is None else f"an outright of {', '.join(sorted(known))}"
        raise ContractError(f"contract symbol: found {raw!r}, expected {allowed}")
    return contract


@lru_cache(maxsize=4096)
def _parse(raw: str, year: int, month: int) -> Contract | None:
    match = _OUTRIGHT.fullmatch(raw)
    if match is None:
        return None
    delivery = MONTH_CODES.index(match["month"]) + 1
    return Contract(match["root"], resolve_year(match["year"], delivery, date(year, month, 1)), delivery)


def classify(raw: str) -> SymbolKind:
    """Tell what kind of instrument a raw symbol names.

    ``ESZ4`` is an outright, ``ESZ4-ESH5`` a spread, ``UD:1V: VT 2301`` or ``CL:C1 RB-CL Z5`` user-defined or
    otherwise combined, ``ESZ4 C4500`` an option.
    """
    if _OUTRIGHT.fullmatch(raw):
        return SymbolKind.OUTRIGHT
    if ":" in raw:
        return SymbolKind.USER_DEFINED
    if _OPTION.fullmatch(raw):
        return SymbolKind.OPTION
    if "-" in raw:
        return SymbolKind.SPREAD
    return SymbolKind.UNKNOWN


def root_of_parent(parent: str) -> str:
    """Return the root of a Databento parent symbol: ``6E.FUT`` gives ``6E``.

    Raises
    ------
    ContractError
        If the symbol does not end in ``.FUT``.
    """
    root, dot, kind = parent.partition(".")
    if not root or not dot or kind != "FUT":
        raise ContractError(f"parent symbol: found {parent!r}, expected ROOT.FUT such as ES.FUT")
    return root
