"""A configuration that may hang while it is loaded, or have mistakes, where something must be done all the same."""

import queue
import sys
import sysconfig
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

import pine
from pine.cli.context import configuration, configuration_path
from pine.core.errors import ConfigError

if TYPE_CHECKING:
    from pine.core.config import Config

LOAD_SECONDS: Final = 60.0
"""For everything that a user's own modules import: xgboost alone takes seconds."""

URGENT_SECONDS: Final = 20.0
"""The same where somebody wants something to stop."""

STILL_WORKS: Final = (
    "What works meanwhile: POLICY_KILLSWITCH=1 in .env beside the configuration blocks every entry at once; "
    "pine halt NAME, while its worker runs; pine up --show and pine up --stop NAME. See docs/operations.md"
)


def load_within(ctx: click.Context, seconds: float) -> "Config":
    """Load the configuration, and wait no longer than that for modules that hang when they are imported.

    Raises
    ------
    ConfigError
        Also if it is not loaded by then; the message says what hangs.
    """
    found: queue.SimpleQueue[Config | BaseException] = queue.SimpleQueue()

    def load() -> None:
        try:
            found.put(configuration(ctx))
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            found.put(error)

    out = sys.stdout
    thread = threading.Thread(target=load, name="load the configuration", daemon=True)  # left behind if it hangs
    thread.start()
    try:
        got = found.get(timeout=seconds)
    except queue.Empty:
        sys.stdout = out  # what a module prints was sent elsewhere while it is imported
        raise ConfigError(
            [f"{configuration_path(ctx)}: not loaded within {seconds:g} s; it hangs at {_place(thread)}"]
        ) from None
    if isinstance(got, BaseException):
        raise got
    return got


def load_parts(ctx: click.Context) -> "Config":
    """Load where everything is and what the strategies are called, of a configuration that may have mistakes."""
    from pine.cli import logs
    from pine.core.config.parts import load_parts

    parts = load_parts(configuration_path(ctx))
    logs.hide(parts)
    return parts


def _place(thread: threading.Thread) -> str:
    """Return file and line where a thread is, in code that is neither pine's nor Python's own if there is any."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  # the only way to see where it is
    frames = traceback.extract_stack(frame) if frame is not None else []
    own = (str(Path(pine.__file__).parent), sysconfig.get_paths()["stdlib"], "<frozen")
    theirs = [each for each in frames if not each.filename.startswith(own)] or frames
    return f"{theirs[-1].filename}:{theirs[-1].lineno}" if theirs else "an unknown place"
