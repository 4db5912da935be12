"""What each instrument id of the live session stands for."""

from collections import Counter
from collections.abc import Collection
from typing import Final

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from pine.core.contract import Contract, SymbolKind, classify, parse_contract
from pine.core.errors import ContractError
from pine.core.times import to_datetime

NOT_MAPPED: Final = -1
_REFUSED: Final = {
    SymbolKind.SPREAD: -2,
    SymbolKind.USER_DEFINED: -3,
    SymbolKind.OPTION: -4,
    SymbolKind.UNKNOWN: -5,
}
NOT_CONFIGURED: Final = -6

REASONS: Final = {
    NOT_MAPPED: "unmapped_instrument",
    NOT_CONFIGURED: "root_not_configured",
    **{code: kind.value for kind, code in _REFUSED.items()},
}
"""Why the trades of a slot below zero make no bar, as counter names."""


@frozen
class Outright:
    """One contract under one instrument id."""

    instrument_id: int
    raw_symbol: str
    contract: Contract


@define
class InstrumentTable:
    """Maps instrument ids to the outrights of the configured roots.

    A slot is the index of an `Outright` in `outrights`; a negative slot says why there is none.
    """

    roots: Collection[str]
    outrights: list[Outright] = field(factory=list)
    kinds: Counter[str] = field(factory=Counter)
    _slots: dict[int, int] = field(factory=dict)
    _symbols: dict[int, str] = field(factory=dict)
    _ids: NDArray[np.uint32] = field(factory=lambda: np.zeros(0, np.uint32))
    _codes: NDArray[np.int32] = field(factory=lambda: np.zeros(0, np.int32))
    _stale: bool = False

    def begin_session(self) -> None:
        """Forget all mappings: ids are only unique within one connection and day."""
        self._slots.clear()
        self._symbols.clear()
        self._stale = True

    def add(self, instrument_id: int, raw_symbol: str, ts: int) -> str | None:
        """Map an id.

        Parameters
        ----------
        instrument_id, raw_symbol
            As the gateway sent them.
        ts
            Time of the data in ns, against which short years are resolved.

        Returns
        -------
        str or None
            The root that the id now belongs to if it belonged to another root before, else nothing.
        """
        before = self._symbols.get(instrument_id)
        if before == raw_symbol:
            return None
        old_root = self._root(instrument_id)
        self._symbols[instrument_id] = raw_symbol
        self._slots[instrument_id] = self._slot(instrument_id, raw_symbol, ts)
        self._stale = True
        new_root = self._root(instrument_id)
        return new_root if old_root is not None and new_root is not None and old_root != new_root else None

    def slots(self, instrument_ids: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Return the slot of each id."""
        if self._stale:
            order = sorted(self._slots)
            self._ids = np.array(order, dtype=np.uint32)
            self._codes = np.array([self._slots[i] for i in order], dtype=np.int32)
            self._stale = False
        if not len(self._ids):
            return np.full(len(instrument_ids), NOT_MAPPED, dtype=np.int32)
        at = np.minimum(np.searchsorted(self._ids, instrument_ids), len(self._ids) - 1)
        return np.where(self._ids[at] == instrument_ids, self._codes[at], NOT_MAPPED).astype(np.int32)

    def _root(self, instrument_id: int) -> str | None:
        slot = self._slots.get(instrument_id, NOT_MAPPED)
        return self.outrights[slot].contract.root if slot >= 0 else None

    def _slot(self, instrument_id: int, raw_symbol: str, ts: int) -> int:
        kind = classify(raw_symbol)
        self.kinds[kind.value] += 1
        if kind is not SymbolKind.OUTRIGHT:
            return _REFUSED[kind]
        try:
            contract = parse_contract(raw_symbol, to_datetime(ts).date(), self.roots)
        except ContractError:
            return NOT_CONFIGURED
        outright = Outright(instrument_id, raw_symbol, contract)
        try:
            return self.outrights.index(outright)
        except ValueError:
            self.outrights.append(outright)
            return len(self.outrights) - 1
