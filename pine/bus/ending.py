"""What ends a process in order: Ctrl-C, a request to end, a terminal that was closed, the end of who started it."""

import contextlib
import os
import signal
import threading
import time
from types import FrameType
from typing import Final, NoReturn

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

WITH_INPUT: Final = "PINE_ENDS_WITH_ITS_INPUT"
"""Set in the environment of a process whose standard input is a pipe that is open for as long as it shall run."""

LONGEST_END: Final = 60.0
"""Seconds that a process whose input has closed may take to end in order."""


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


def end_with_input() -> None:
    """Have this process asked to end once its input closes, if whoever started it wants that.

    The system closes the pipe however that process ends, so nothing that it started is left behind.
    """
    if os.environ.pop(WITH_INPUT, None) is not None:  # what this process starts has another input
        threading.Thread(target=_end_when_closed, name="input", daemon=True).start()


def _end_when_closed() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, signal.SIGTERM)  # this thread, so that what it waits for is interrupted
    time.sleep(LONGEST_END)  # what ends in order takes its time; nothing is waited for here
    os.kill(os.getpid(), signal.SIGKILL)
