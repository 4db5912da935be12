"""What ends a process in order: Ctrl-C, a request to end, a terminal that was closed."""

import signal
import threading
from types import FrameType
from typing import Final, NoReturn

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_end() -> None:
    """Let every request to end arrive as Ctrl-C does, so that whatever was begun is taken down."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in ENDING:
        signal.signal(number, interrupt)


def stop_on_end() -> threading.Event:
    """Return an event that every request to end sets."""
    stop = threading.Event()
    for number in ENDING:
        signal.signal(number, lambda *_: stop.set())
    return stop
