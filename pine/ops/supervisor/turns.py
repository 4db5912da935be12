"""Wishes about the same processes, one after the other in the order in which they came."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

from attrs import define, field


@define(eq=False)
class Turns:
    """Who waits for whom: a strategy's worker and courier have one queue, whichever of their names is used.

    Attributes
    ----------
    taken
        Wishes that came so far, also those that still wait.
    """

    taken: int = 0
    _changed: threading.Condition = field(factory=threading.Condition)
    _waiting: dict[str, deque[object]] = field(factory=dict)

    @contextlib.contextmanager
    def turn(self, word: str) -> Iterator[None]:
        """Wait until nobody who came before is about the same."""
        mine = object()
        with self._changed:
            queue = self._waiting.setdefault(word.rpartition(" ")[2], deque())
            queue.append(mine)
            self.taken += 1
            self._changed.wait_for(lambda: queue[0] is mine)
        try:
            yield
        finally:
            with self._changed:
                queue.popleft()
                self._changed.notify_all()
