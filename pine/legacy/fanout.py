"""One bounded queue per root between the callback thread and Backtrader.

A boundary goes into every root's queue, with or without a bar, so each feed knows at each boundary whether its bar
exists: whoever takes one item from each queue has one whole boundary, however threads were scheduled. A full queue
makes the callback thread wait, and with it the gateway, instead of losing a bar.
"""

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

from attrs import field, frozen

from pine.core.bar import Bar
from pine.legacy.market import Boundary

MAXSIZE: Final = 2048
_LOOK_S: Final = 0.1

OnOverflow = Callable[[str, int], None]


class QueueSignal(Enum):
    """What an item tells besides bars."""

    RESET = "reset"
    SHUTDOWN = "shutdown"


@frozen
class Slot:
    """One boundary as one root sees it.

    Attributes
    ----------
    ts
        The boundary, ns; the same in every queue.
    bar
        The root's minute that closes there, if it traded.
    roll
        Symbol of the contract that leads from here on, if that changes.
    known
        Hours and days of the warm-up that close there.
    live
        Whether decisions count.
    """

    ts: int
    bar: Bar | None = None
    roll: str | None = None
    known: tuple[Bar, ...] = field(default=())
    live: bool = True


@frozen
class Reset:
    """Minutes from `first` to `last` (ns) are lost: hours and days over them make no bar."""

    first: int
    last: int
    signal: QueueSignal = QueueSignal.RESET


@frozen
class Shutdown:
    """Nothing comes any more."""

    signal: QueueSignal = QueueSignal.SHUTDOWN


Item = Slot | Reset | Shutdown


class QueueFanout:
    """Bounded queues, written by one thread at a time, read by the engine.

    Parameters
    ----------
    symbols
        Roots, in the strategy's order.
    maxsize
        Items that a queue holds.
    live_after
        Boundaries up to this one (ns) are not decided on: they lie before the start.
    on_overflow
        Told a root whose queue is full when something comes, and how often that was.

    Attributes
    ----------
    overflows
        How often a root's queue was full when something came; nothing is lost by it.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        maxsize: int = MAXSIZE,
        live_after: int = 0,
        on_overflow: OnOverflow = lambda _symbol, _count: None,
    ) -> None:
        self._queues: dict[str, queue.Queue[Item]] = {symbol: queue.Queue(maxsize) for symbol in symbols}
        self._live_after = live_after
        self._on_overflow = on_overflow
        self._lock = threading.Lock()
        self._deserted = threading.Event()
        self._ended = False
        self.overflows: Counter[str] = Counter()

    def publish(self, boundary: Boundary) -> None:
        """Put a boundary into every queue, what was lost before it first."""
        live = boundary.ts > self._live_after
        with self._lock:
            if self._ended:
                return
            for symbol in self._queues:
                if symbol in boundary.resets:
                    self._put(symbol, Reset(*boundary.resets[symbol]))
                bar, roll = boundary.minutes.get(symbol), boundary.rolls.get(symbol)
                self._put(symbol, Slot(boundary.ts, bar, roll, live=live))

    def shutdown(self) -> None:
        """Say in every queue that nothing comes any more; what is in them is still read."""
        with self._lock:
            if not self._ended:
                self._ended = True
                for symbol in self._queues:
                    self._put(symbol, Shutdown())

    def desert(self) -> None:
        """Let nobody wait for a reader that is gone."""
        self._deserted.set()

    @property
    def deserted(self) -> bool:
        """Whether the reader is gone."""
        return self._deserted.is_set()

    def take(self, symbol: str) -> Item:
        """Wait for a root's next item; a request to end interrupts the wait for a moment, not for good."""
        while True:
            try:
                return self._queues[symbol].get(timeout=_LOOK_S)
            except queue.Empty:
                if self._deserted.is_set():
                    return Shutdown()

    def depths(self) -> dict[str, int]:
        """Return how many items wait, by root."""
        return {symbol: waiting.qsize() for symbol, waiting in self._queues.items()}

    def _put(self, symbol: str, item: Item) -> None:
        waiting = self._queues[symbol]
        try:
            waiting.put_nowait(item)
        except queue.Full:
            self.overflows[symbol] += 1
            self._on_overflow(symbol, self.overflows[symbol])
            while not self._deserted.is_set():
                try:
                    waiting.put(item, timeout=_LOOK_S)
                except queue.Full:
                    continue
                return
