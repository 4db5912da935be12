"""Which instruments a subscription means."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from attrs import frozen

from pine.core.contract import SymbolKind, classify, parse_contract
from pine.core.errors import ContractError

ALL_SYMBOLS: Final = "ALL_SYMBOLS"

CONTINUOUS: Final = re.compile(r"(?P<root>[A-Z0-9]+)\.(?P<rule>[cv])\.(?P<rank>\d+)")


class Span(NamedTuple):
    """A symbol that an instrument id stands for, ``start <= t < end`` in ns."""

    start: int
    end: int
    symbol: str


@frozen
class Instrument:
    """One instrument on a tape.

    Attributes
    ----------
    instrument_id
        The number in its records.
    symbol
        Raw symbol; empty where the tape does not tell.
    root
        The product it belongs to: its own, or that of a spread's first leg.
    """

    instrument_id: int
    symbol: str
    root: str | None


def root_of(symbol: str, on: date, asset: str | None = None) -> str | None:
    """Return the product that an instrument is listed under, or ``None`` where its symbol does not tell.

    Parameters
    ----------
    symbol
        Raw symbol: outright, spread, user-defined.
    on
        Day of the data.
    asset
        The product according to the instrument's definition, believed where the symbol is no outright.
    """
    kind = classify(symbol)
    if kind is SymbolKind.OPTION:
        return None
    if asset and kind is not SymbolKind.OUTRIGHT:
        return asset
    if kind is SymbolKind.USER_DEFINED:
        head, _, rest = symbol.partition(":")
        return rest.partition(":")[0].strip() if head == "UD" else head
    try:
        return parse_contract(symbol.partition("-")[0], on).root
    except ContractError:
        return None


Volume = Callable[[int], int]
"""Contracts traded, by the position of an instrument in the tape's list."""


@frozen
class SymbolTable:
    """The instruments of a tape and the four ways to ask for them.

    Parameters
    ----------
    instruments
        Every instrument of the tape.
    on
        Day of the tape's first record, against which short years are resolved.
    volume
        Volume of the tape's first session.
    """

    instruments: Sequence[Instrument]
    on: date
    volume: Volume

    def resolve(self, stype: str, symbol: str) -> list[int]:
        """Return the positions of the instruments that a symbol stands for; none if it cannot be resolved.

        Parameters
        ----------
        stype
            ``parent``, ``raw_symbol``, ``instrument_id`` or ``continuous``.
        symbol
            One symbol as subscribed, or ``ALL_SYMBOLS``.
        """
        if symbol == ALL_SYMBOLS:
            return list(range(len(self.instruments)))
        lookup: Mapping[str, Callable[[str], list[int]]] = {
            "parent": self._parent,
            "raw_symbol": lambda raw: self._where(lambda i: i.symbol == raw),
            "instrument_id": lambda number: self._where(lambda i: str(i.instrument_id) == number),
            "continuous": self._continuous,
        }
        return lookup[stype](symbol)

    def _where(self, test: Callable[[Instrument], bool]) -> list[int]:
        return [at for at, instrument in enumerate(self.instruments) if test(instrument)]

    def _parent(self, symbol: str) -> list[int]:
        root, _, kind = symbol.partition(".")
        return self._where(lambda i: i.root == root) if kind == "FUT" else []

    def _continuous(self, symbol: str) -> list[int]:
        match = CONTINUOUS.fullmatch(symbol)
        if match is None:
            return []
        outrights = self._where(lambda i: i.root == match["root"] and classify(i.symbol) is SymbolKind.OUTRIGHT)
        ranked = self._by_expiry(outrights) if match["rule"] == "c" else self._by_volume(outrights)
        rank = int(match["rank"])
        return ranked[rank : rank + 1]

    def _by_expiry(self, outrights: Iterable[int]) -> list[int]:
        return sorted(outrights, key=lambda at: parse_contract(self.instruments[at].symbol, self.on).expiry)

    def _by_volume(self, outrights: Iterable[int]) -> list[int]:
        return sorted(self._by_expiry(outrights), key=lambda at: -self.volume(at))


STYPES: Final = ("parent", "raw_symbol", "instrument_id", "continuous")
"""Symbologies that `SymbolTable.resolve` understands."""
