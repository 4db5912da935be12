"""Layout of the vendor's records, as far as the sandbox looks into them."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TradeArray = NDArray[np.void]
"""Trades as a structured array of `TRADE_DTYPE`, one element per 48-byte wire record."""

TRADE_DTYPE: Final[np.dtype[Any]] = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("action", "S1"),
        ("side", "S1"),
        ("flags", "u1"),
        ("depth", "u1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)

MBP1_DTYPE: Final[np.dtype[Any]] = np.dtype(
    [
        *((name, TRADE_DTYPE.fields[name][0]) for name in TRADE_DTYPE.names or ()),  # type: ignore[index]
        ("bid_px", "<i8"),
        ("ask_px", "<i8"),
        ("bid_sz", "<u4"),
        ("ask_sz", "<u4"),
        ("bid_ct", "<u4"),
        ("ask_ct", "<u4"),
    ]
)

OHLCV_DTYPE: Final[np.dtype[Any]] = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("open", "<i8"),
        ("high", "<i8"),
        ("low", "<i8"),
        ("close", "<i8"),
        ("volume", "<u8"),
    ]
)

HEADER_DTYPE: Final[np.dtype[Any]] = np.dtype(
    [("length", "u1"), ("rtype", "u1"), ("publisher_id", "<u2"), ("instrument_id", "<u4"), ("ts_event", "<u8")]
)

TRADE_WORDS: Final = TRADE_DTYPE.itemsize // 4
RTYPE_TRADE: Final = 0
RTYPE_DEFINITION: Final = 19
RTYPE_ERROR: Final = 21
RTYPE_MAPPING: Final = 22
RTYPE_SYSTEM: Final = 23

TS_EVENT_OFFSET: Final = 8
TRADE_SIZE_OFFSET: Final = 24

# Bars have no ts_recv; every other record does, at one of three places.
TS_RECV_OFFSETS: Final[Mapping[int, int]] = {
    **dict.fromkeys((0, 1, 10, 177, 192, 193, 194, 195, 196), 32),
    **dict.fromkeys((18, 19, 20, 24), 16),
    160: 40,
}

RTYPES: Final[Mapping[str, int]] = {
    "trades": 0,
    "mbp-1": 1,
    "tbbo": 1,
    "mbp-10": 10,
    "status": 18,
    "definition": 19,
    "imbalance": 20,
    "statistics": 24,
    "ohlcv-1s": 32,
    "ohlcv-1m": 33,
    "ohlcv-1h": 34,
    "ohlcv-1d": 35,
    "ohlcv-eod": 36,
    "mbo": 160,
    "cmbp-1": 177,
    "cbbo-1s": 192,
    "cbbo-1m": 193,
    "tcbbo": 194,
    "bbo-1s": 195,
    "bbo-1m": 196,
}
"""Record type of each schema's records."""


def empty_trades(count: int) -> TradeArray:
    """Return `count` trades of the exchange with every field zero except those that are the same in all trades."""
    trades = np.zeros(count, TRADE_DTYPE)
    trades["length"] = TRADE_WORDS
    trades["publisher_id"] = 1
    trades["action"] = b"T"
    trades["side"] = b"N"
    trades["flags"] = 128
    return trades
