"""Records that were bought, folded into minute bars, or into volumes of contracts."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pine.core.bar import Bar, price
from pine.core.contract import Contract, SymbolKind, classify, parse_contract
from pine.core.errors import ContractError
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.history.bought import Bought
from pine.history.schemas import SCHEMAS

_UNDEF_PRICE: Final = (1 << 63) - 1

_UNDEF_SIZE: Final = (1 << 32) - 1

Int64 = NDArray[np.int64]


def _sound(bought: Bought) -> NDArray[np.void]:
    """Return the records that can be in a bar."""
    records = bought.records
    if SCHEMAS[bought.request.schema].width > 1:
        sound = records["volume"] != 0
        for name in ("open", "high", "low", "close"):
            sound &= records[name] != _UNDEF_PRICE
    else:
        sound = (records["size"] != 0) & (records["size"] != _UNDEF_SIZE)
        sound &= (records["price"] != _UNDEF_PRICE) & (records["action"] == b"T")
    chosen: NDArray[np.void] = records[sound]
    return chosen


def _columns(bought: Bought) -> tuple[NDArray[np.void], Int64, dict[str, Any]]:
    """Return sound records, their times, and where they open, go and close, and how much was traded."""
    schema = SCHEMAS[bought.request.schema]
    records = _sound(bought)
    names = ("open", "high", "low", "close", "volume") if schema.width > 1 else ("price",) * 4 + ("size",)
    values = {
        to: np.ascontiguousarray(records[name]).astype(np.int64)
        for to, name in zip(("open", "high", "low", "close", "volume"), names, strict=True)
    }
    return records, records[schema.clock].astype(np.int64), values


def contract_volumes(bought: Bought, symbol: str) -> Iterator[tuple[Contract, Int64, Int64]]:
    """Return times and sizes of each outright of a root; spreads and other instruments are left out."""
    records, ts, values = _columns(bought)
    for label, intervals in bought.labels.items():
        if classify(label) is not SymbolKind.OUTRIGHT:
            continue
        for first, last, number in intervals:
            try:
                contract = parse_contract(label, first, [symbol])
            except ContractError:
                continue
            low, high = parse_time(first.isoformat()), parse_time(last.isoformat())
            mine = (records["instrument_id"] == number) & (ts >= low) & (ts < high)
            if mine.any():
                yield contract, ts[mine], values["volume"][mine]


def minute_bars(symbol: str, bought: Bought, begin: int, end: int) -> list[Bar]:
    """Fold records of one contract, in the order of receipt, into minutes of ``begin <= start < end``."""
    records, ts, values = _columns(bought)
    inside = (ts >= begin) & (ts < end)
    if not inside.any():
        return []
    minutes = (ts[inside] // NS_PER_MINUTE) * NS_PER_MINUTE
    order = np.argsort(minutes, kind="stable")
    minutes = minutes[order]
    folded = {name: column[inside][order] for name, column in values.items()}
    first = np.flatnonzero(np.concatenate(([True], minutes[1:] != minutes[:-1])))
    last = np.concatenate((first[1:], [len(minutes)])) - 1
    columns = (
        minutes[first].tolist(),
        folded["open"][first].tolist(),
        np.maximum.reduceat(folded["high"], first).tolist(),
        np.minimum.reduceat(folded["low"], first).tolist(),
        folded["close"][last].tolist(),
        np.add.reduceat(folded["volume"], first).tolist(),
        records["instrument_id"][inside][order][last].tolist(),
    )
    return [
        Bar(
            symbol,
            Timeframe.MINUTE,
            start,
            price(o),
            price(h),
            price(low),
            price(c),
            volume,
            number,
            bought.request.symbol,
        )
        for start, o, h, low, c, volume, number in zip(*columns, strict=True)
    ]
