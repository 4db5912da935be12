"""How far a worker's warm-up is, for whoever looks on at a terminal."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pine.worker.coldstart import Progress


@contextlib.contextmanager
def progress() -> "Iterator[Callable[[Progress], None] | None]":
    """Provide something to tell the progress to; nothing unless a terminal looks on: then the log tells it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Display

    columns = (
        TextColumn("warming up {task.fields[what]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[bars]:,} bars"),
        TimeElapsedColumn(),
    )
    display = Display(*columns, console=Console(stderr=True), transient=True)
    task = display.add_task("", total=None, what="", bars=0)
    handlers = [handler for handler in logging.root.handlers if isinstance(handler, logging.StreamHandler)]

    def finish() -> None:
        display.stop()
        for handler in handlers:
            handler.setStream(sys.stderr)

    def show(now: "Progress") -> None:
        if not now.what:
            finish()
            return
        if not display.live.is_started:
            display.start()
            for handler in handlers:
                handler.setStream(sys.stderr)  # which the display has put itself in front of
        display.update(task, total=now.of, completed=now.done, what=now.what, bars=now.bars)

    try:
        yield show
    finally:
        finish()
