"""What every stand-in is: something that runs while a ``with`` block lasts."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class StandIn(ABC):
    """A part of the outside world that can be started and stopped."""

    @abstractmethod
    def start(self) -> None:
        """Listen, and return at once."""

    @abstractmethod
    def stop(self) -> None:
        """Stop listening and drop every connection."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
