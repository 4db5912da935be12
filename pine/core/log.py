"""Loggers of events with fields: structlog's, on top of the standard library's.

A module writes ``log = get_logger(__name__)`` and ``log.info("worker ready", token=7)``. Until somebody listens, see
`pine.cli.logs`, only what is wrong reaches standard error, as with any library. structlog is imported by the first
event, not by the module that may have one to tell.
"""

import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from pine.core.times import isoformat

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import Processor

_CALLER: Final = 4
"""Frames between the line that logs and the standard library: structlog's."""

_STDLIB: Final = ("exc_info", "stack_info")

_step: ContextVar[int] = ContextVar("step", default=0)
_intent: ContextVar[str] = ContextVar("intent", default="")

at_step = _step.set
"""Name the step, in ns, that what this thread logs from now on is about: one assignment, for a loop that is hot."""


@contextmanager
def about_intent(identifier: str) -> Iterator[None]:
    """Name the intent that everything logged in the block is about."""
    token = _intent.set(identifier)
    try:
        yield
    finally:
        _intent.reset(token)


def get_logger(name: str) -> "BoundLogger":
    """Return the logger of a module."""
    return cast("BoundLogger", _Deferred(name))


def parsed(line: str) -> dict[str, Any]:
    """Return what a line of a process that logs JSON says; nothing if it is no such line."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


class _Deferred:
    """Becomes structlog's logger when it is asked to log."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        from structlog import wrap_logger
        from structlog.stdlib import BoundLogger, filter_by_level

        processors: list[Processor] = [filter_by_level, _with_context, _for_stdlib]
        bound = wrap_logger(logging.getLogger(self._name), processors, wrapper_class=BoundLogger).bind()
        for told in ("debug", "info", "warning", "error", "critical", "exception", "log"):
            self.__dict__[told] = getattr(bound, told)
        return getattr(bound, method)


def _with_context(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add what the event is about, unless it says so itself."""
    if step := _step.get():
        event.setdefault("step", isoformat(step))
    if intent := _intent.get():
        event.setdefault("intent", intent)
    return event


def _for_stdlib(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str], MutableMapping[str, Any]]:
    """Return the event as the message of a record that has its fields under one name, for any handler to read."""
    told = {name: event.pop(name) for name in _STDLIB if name in event}
    text = str(event.pop("event"))
    return (text,), {"extra": {"fields": dict(event)}, "stacklevel": _CALLER, **told}
