"""Records of trades or bars as columns: which of them can be in a bar, and what they make of each minute. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pine.core.timeframe import NS_PER_MINUTE
from pine.hub.instruments import REASONS, Outright
from pine.hub.root import Cell

UNDEF_PRICE: Final = (1 << 63) - 1
UNDEF_SIZE: Final = (1 << 32) - 1
F_BAD_TS_RECV: Final = 8

Trades = NDArray[np.void]
Int64 = NDArray[np.int64]


@frozen(eq=False)
class Batch:
    """Columns of records: where each belongs, when, and its open, high, low, close in 1e-9 and size.

    `trusted` is `received` where that can move the watermark, else 0.
    """

    slots: NDArray[np.int32]
    received: Int64
    trusted: Int64
    times: Int64
    prices: tuple[Int64, Int64, Int64, Int64]
    sizes: Int64

    def only(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Batch":
        """Return some of them, or all in another order."""
        same = {id(column): column[which] for column in (self.received, self.trusted, self.times, *self.prices)}
        received, trusted, times = (same[id(column)] for column in (self.received, self.trusted, self.times))
        opened, high, low, close = (same[id(column)] for column in self.prices)
        return Batch(self.slots[which], received, trusted, times, (opened, high, low, close), self.sizes[which])


def of_trades(trades: Trades, slots: NDArray[np.int32], bar_clock: str, counts: Counter[str]) -> Batch:
    """Return what is sound of a batch of trades; the rest is counted.

    Parameters
    ----------
    trades
        Structured array with Databento's trade fields, in the order in which they were received.
    slots
        Of each its outright, by `InstrumentTable.slots`.
    bar_clock
        Field whose time decides a trade's minute.
    counts
        Goes up by the trades, and by those left out, under the names of the reasons.
    """
    checks = {
        "not_a_trade": trades["action"] == b"T",
        "undefined_price": trades["price"] != UNDEF_PRICE,
        "zero_size": (trades["size"] != 0) & (trades["size"] != UNDEF_SIZE),
        "undefined_time": (trades["ts_recv"] != 0) & (trades["ts_recv"] < 1 << 63) & (trades["ts_event"] < 1 << 63),
    }
    counts["trades"] += len(trades)
    sound = _sound(slots, checks, counts)
    received = trades["ts_recv"][sound].astype(np.int64)
    trusted = np.where(trades["flags"][sound] & F_BAD_TS_RECV, 0, received)
    times = received if bar_clock == "ts_recv" else trades["ts_event"][sound].astype(np.int64)
    price = trades["price"][sound]
    return Batch(slots[sound], received, trusted, times, (price,) * 4, trades["size"][sound].astype(np.int64))


def of_bars(bars: Trades, slots: NDArray[np.int32], counts: Counter[str]) -> Batch:
    """Return what is sound of bars with Databento's ohlcv fields, each as what was traded in it; see `of_trades`."""
    ends = [bars[name] for name in ("open", "high", "low", "close")]
    checks = {
        "undefined_price": np.logical_and.reduce([end != UNDEF_PRICE for end in ends]),
        "zero_size": (bars["volume"] != 0) & (bars["volume"] < 1 << 63),
        "undefined_time": bars["ts_event"] < 1 << 63,
    }
    counts["bars"] += len(bars)
    sound = _sound(slots, checks, counts)
    times = bars["ts_event"][sound].astype(np.int64)
    opened, high, low, close = (end[sound] for end in ends)
    return Batch(slots[sound], times, times, times, (opened, high, low, close), bars["volume"][sound].astype(np.int64))


def _sound(
    slots: NDArray[np.int32], checks: Mapping[str, NDArray[np.bool_]], counts: Counter[str]
) -> NDArray[np.bool_] | slice:
    """Return which records may reach a bar; the others are counted."""
    sound = slots >= 0
    if not sound.all():
        for code, reason in REASONS.items():
            if refused := int(np.count_nonzero(slots == code)):
                counts[reason] += refused
    for reason, passed in checks.items():
        if refused := int(np.count_nonzero(sound & ~passed)):
            counts[reason] += refused
            sound &= passed
    return slice(None) if sound.all() else sound


def cells(minutes: Int64, batch: Batch, outrights: Sequence[Outright]) -> Iterator[tuple[int, Cell]]:
    """Fold records into one cell for each minute, in ns, and outright.

    Parameters
    ----------
    minutes
        Of each record its minute's start, in ns.
    batch
        The records.
    outrights
        What their slots stand for.
    """
    if not len(minutes):
        return
    width = len(outrights)
    oldest = int(minutes.min()) // NS_PER_MINUTE
    group = (minutes // NS_PER_MINUTE - oldest) * width + batch.slots
    if (group[1:] < group[:-1]).any():
        # Numbers of 16 bits are sorted without comparing.
        order = np.argsort(group.astype(np.uint16) if int(group.max()) < 1 << 16 else group, kind="stable")
        group, batch = group[order], batch.only(order)
    first = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    last = np.concatenate((first[1:], [len(group)])) - 1
    opened, high, low, close = batch.prices
    columns = (
        (group[first] + oldest * width).tolist(),
        opened[first].tolist(),
        np.maximum.reduceat(high, first).tolist(),
        np.minimum.reduceat(low, first).tolist(),
        close[last].tolist(),
        np.add.reduceat(batch.sizes, first).tolist(),
    )
    for key, o, h, lowest, c, volume in zip(*columns, strict=True):
        minute, slot = divmod(key, width)
        yield minute * NS_PER_MINUTE, Cell(outrights[slot], o, h, lowest, c, volume)


def first_time(trades: Trades) -> int:
    """Return the exchange's time, in ns, of the first trade that has one, else when it was received; 0 if none has."""
    received = np.where(trades["flags"] & F_BAD_TS_RECV, 0, trades["ts_recv"])
    times = np.where(_is_time(trades["ts_event"]), trades["ts_event"], received)
    known = times[_is_time(times)]
    return int(known[0]) if len(known) else 0


def _is_time(ts: NDArray[np.uint64]) -> NDArray[np.bool_]:
    return np.asarray((ts != 0) & (ts < 1 << 63))
