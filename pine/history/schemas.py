"""Schemas of Databento: layout of the records, the field that places them in time, how much to ask for at once."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from attrs import frozen

from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND

_TRADE: Final[Mapping[str, tuple[str, int]]] = {
    "price": ("<i8", 16),
    "size": ("<u4", 24),
    "action": ("S1", 28),
    "ts_recv": ("<u8", 32),
}

_BAR: Final[Mapping[str, tuple[str, int]]] = {
    "open": ("<i8", 16),
    "high": ("<i8", 24),
    "low": ("<i8", 32),
    "close": ("<i8", 40),
    "volume": ("<u8", 48),
}

_HEADER: Final[Mapping[str, tuple[str, int]]] = {
    "length": ("u1", 0),
    "rtype": ("u1", 1),
    "instrument_id": ("<u4", 4),
    "ts_event": ("<u8", 8),
}


def _layout(fields: Mapping[str, tuple[str, int]], size: int) -> np.dtype[Any]:
    placed = {**_HEADER, **fields}
    return np.dtype(
        {
            "names": list(placed),
            "formats": [kind for kind, _ in placed.values()],
            "offsets": [offset for _, offset in placed.values()],
            "itemsize": size,
        }
    )


@frozen(eq=False)
class Schema:
    """One of the vendor's schemas.

    Attributes
    ----------
    rtype, layout
        Type and layout of its records, the same in every DBN version.
    width
        Length in ns of the bars; 1 for trades.
    span
        Longest time in ns to ask for at once: what has to be bought again if it comes short.
    """

    name: str
    rtype: int
    layout: np.dtype[Any]
    width: int
    span: int

    @property
    def clock(self) -> str:
        """Field by which the vendor selects, and by which records are placed in time."""
        return "ts_event" if self.width > 1 else "ts_recv"


_DAY: Final = 24 * NS_PER_HOUR

SCHEMAS: Final[Mapping[str, Schema]] = {
    schema.name: schema
    for schema in (
        Schema("ohlcv-1h", 34, _layout(_BAR, 56), NS_PER_HOUR, 366 * _DAY),
        Schema("ohlcv-1m", 33, _layout(_BAR, 56), NS_PER_MINUTE, 31 * _DAY),
        Schema("ohlcv-1s", 32, _layout(_BAR, 56), NS_PER_SECOND, 7 * _DAY),
        Schema("trades", 0, _layout(_TRADE, 48), 1, _DAY),
        Schema("mbp-1", 1, _layout(_TRADE, 80), 1, _DAY // 4),
    )
}
