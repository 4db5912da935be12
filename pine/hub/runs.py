"""Cuts a live stream into runs of trades, as arrays, and everything else, as bytes for the vendor's decoder.

Nearly all records are trades, each as long as the next: a run of them is looked at as one array, and no object is made
for any.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from attrs import define

from pine.hub.dbn import TRADE, Records

WORD: Final = 4
LEAST: Final = 16
_HEADER: Final = 8
_TRADE_WORDS: Final = TRADE.itemsize // WORD
_TRADE_TYPE: Final = 0


def header_length(data: bytes) -> int:
    """Return the length of the metadata at the beginning of a stream once all of it is there, else 0.

    Raises
    ------
    ValueError
        If the bytes are not the beginning of a stream.
    """
    if len(data) < _HEADER:
        return 0
    if data[:3] != b"DBN":
        raise ValueError(f"found {data[:8]!r}, expected the header of a stream")
    length = _HEADER + int.from_bytes(data[4:8], "little")
    return length if len(data) >= length else 0


@define
class Runs:
    """Splits what was received; an incomplete record waits for its end."""

    _rest: bytes = b""
    _begun: bool = False

    def split(self, data: bytes) -> Iterator[Records | bytes]:
        """Yield, in order, runs of trades, and pieces of whole other records; the header is such a piece, too.

        Raises
        ------
        ValueError
            If the bytes are no records at all: nothing tells where the next one would begin.
        """
        data, self._rest = self._rest + data, b""
        at = 0
        if not self._begun:
            at = header_length(data)
            if not at:
                self._rest = data
                return
            self._begun = True
            yield data[:at]
        while True:
            count = _trades_at(data, at)
            if count:
                yield np.frombuffer(data, TRADE, count, at)
                at += count * TRADE.itemsize
            end = _others_end(data, at)
            if end > at:
                yield data[at:end]
            elif not count:
                break
            at = end
        self._rest = data[at:]


def _trades_at(data: bytes, at: int) -> int:
    """Return how many trades follow each other from a place on."""
    whole = (len(data) - at) // TRADE.itemsize
    if not whole:
        return 0
    records = np.frombuffer(data, TRADE, whole, at)
    trade = (records["length"] == _TRADE_WORDS) & (records["rtype"] == _TRADE_TYPE)
    return whole if trade.all() else int(np.argmin(trade))


def _others_end(data: bytes, at: int) -> int:
    """Return where the whole records that are no trades end."""
    while at + 1 < len(data) and not (data[at] == _TRADE_WORDS and data[at + 1] == _TRADE_TYPE):
        length = data[at] * WORD
        if length < LEAST:
            raise ValueError(f"found a record of {length} bytes, expected at least {LEAST}")
        if at + length > len(data):
            break
        at += length
    return at
