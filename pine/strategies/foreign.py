"""Code that is not pine's: what it raises is told whatever it is, and what it prints stays off standard output."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from pine.bus.ending import ENDING

LONGEST: Final = 300
"""Characters that are told of what somebody else's code says."""


def describe(error: BaseException) -> str:
    """Return type and text of an exception in one line, also of one that cannot say what it is."""
    try:
        return one_line(f"{type(error).__name__}: {error}".removesuffix(": "))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # its own text may raise anything, as the code did that raised it
        return type(error).__name__


def one_line(text: str) -> str:
    """Return the beginning of a text that may be anything, as one line that every record and screen can hold."""
    return " ".join(text.encode(errors="backslashreplace").decode().split())[:LONGEST]


@contextlib.contextmanager
def off_stdout() -> Iterator[None]:
    """Send what is printed to standard error: standard output is a command's own."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def hearing() -> Iterator[Callable[[], bool]]:
    """Provide a function that tells whether the process was asked to end meanwhile.

    A `KeyboardInterrupt` without that was raised by the code that runs, and must not end the process without a word.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals interrupt the main thread only
        yield asked.is_set
        return
    before = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}
    ours = {number: _noting(asked, handler) for number, handler in before.items()}
    for number, handler in ours.items():
        signal.signal(number, handler)
    try:
        yield asked.is_set
    finally:
        for number, handler in ours.items():
            if signal.getsignal(number) is handler:  # the code may have put its own there
                signal.signal(number, before[number])


def _noting(asked: threading.Event, handler: Callable[[int, FrameType | None], Any]) -> Callable[..., None]:
    def note(number: int, frame: FrameType | None) -> None:
        asked.set()
        handler(number, frame)

    return note
