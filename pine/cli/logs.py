"""Log lines on standard error: for people at a terminal, one JSON object a line for everybody else; never a secret.

Whatever reaches the handler goes through here, a library's own records too.
"""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from pine.core.errors import PineError

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

    from pine.core.config import Config

VARIABLE: Final = "PINE_LOG"
LEVEL_VARIABLE: Final = "PINE_LOG_LEVEL"
SHAPES: Final = ("console", "json")
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
TRACE: Final = "trace"
"""Field with the text of a traceback; ``error`` has its last line."""

_QUIET: Final = ("databento", "urllib3", "asyncio")
_FIRST: Final = ("timestamp", "level", "logger", "event", "role", "strategy", "step", "intent")

_told_by: dict[str, str] = {}
_hidden: list[str] = []


def set_up(role: str = "", strategy: str = "", environ: Mapping[str, str] = os.environ) -> None:
    """Send pine's events to standard error; libraries only when something is wrong.

    Parameters
    ----------
    role, strategy
        What this process is: in every line, whichever thread or library it comes from.
    environ
        ``PINE_LOG`` is ``json`` or ``console``; without it a terminal decides. ``PINE_LOG_LEVEL`` is the least level.

    Raises
    ------
    PineError
        If one of them is set to something else.
    """
    shape = _chosen(environ, VARIABLE, SHAPES) or ("console" if sys.stderr.isatty() else "json")
    level = _chosen(environ, LEVEL_VARIABLE, LEVELS) or "info"
    _told_by.clear()
    _told_by.update({name: value for name, value in (("role", role), ("strategy", strategy)) if value})
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter("json" if shape == "json" else "console", colours=_colours(environ)))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def hide(config: "Config") -> None:
    """Let no secret of a configuration through, wherever it stands in what is told."""
    from pine.core.config.secret import secret_values

    _hidden[:] = sorted({*_hidden, *secret_values(config)}, key=len, reverse=True)


def tell_warnings(name: str) -> None:
    """Send the warnings of some modules to standard error, for a command that otherwise logs nothing."""
    logger = logging.getLogger(name)
    if not logger.handlers and not logging.getLogger().handlers:
        handler = _Stderr(sys.stderr)
        handler.setFormatter(formatter("console", colours=sys.stderr.isatty() and _colours(os.environ)))
        handler.setLevel(logging.WARNING)
        logger.addHandler(handler)


def formatter(shape: Literal["console", "json"], *, colours: bool = False) -> logging.Formatter:
    """Return what makes a line of a record, structlog's or any other."""
    from structlog.stdlib import ProcessorFormatter

    render = _console(colours) if shape == "console" else _json()
    return ProcessorFormatter(processors=[_taken_from_record, _explain, _mask, render])


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _chosen(environ: Mapping[str, str], variable: str, known: tuple[str, ...]) -> str:
    word = environ.get(variable, "").strip().lower()
    if word and word not in known:
        raise PineError(f"{variable}: found {word!r}, expected one of {', '.join(known)}")
    return word


def _colours(environ: Mapping[str, str]) -> bool:
    return sys.stderr.isatty() and not environ.get("NO_COLOR")


def _taken_from_record(_logger: Any, level: str, event: "EventDict") -> "EventDict":
    """Put what everybody wants to know first, then the fields."""
    from datetime import UTC, datetime

    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog")
    stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    known = {"timestamp": stamp, "level": level, "logger": record.name.removeprefix("pine."), "event": event["event"]}
    fields = {**event, **_told_by, **getattr(record, "fields", {}), **known}
    first = {name: fields.pop(name) for name in _FIRST if name in fields}
    return {**first, **fields}


def _explain(_logger: Any, _level: str, event: "EventDict") -> "EventDict":
    """Turn an exception into one line and its trace."""
    from structlog.processors import format_exc_info

    found = event.get("exc_info")
    if isinstance(found, tuple) and found[1] is not None:
        event.setdefault("error", _one_line(found[1]))
    event = format_exc_info(_logger, _level, event)
    if trace := event.pop("exception", None):
        event[TRACE] = trace
    return event


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def _mask(_logger: Any, _level: str, event: "EventDict") -> "EventDict":
    """Make every value plain, and without secrets."""
    return {name: value if name == "timestamp" else _plain(value) for name, value in event.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_shown(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return _shown(value if isinstance(value, str) else str(value))


def _shown(text: str) -> str:
    from pine.core.config.secret import MASK, masked

    for value in _hidden:
        if value in text:
            text = text.replace(value, MASK)
    return masked(text).encode(errors="backslashreplace").decode()


def _json() -> "Processor":
    import orjson
    from structlog.processors import JSONRenderer

    def dumps(document: Any, **_options: Any) -> str:
        try:
            return orjson.dumps(document).decode()
        except TypeError:  # a number of more than 64 bits
            return orjson.dumps({name: str(value) for name, value in document.items()}).decode()

    return JSONRenderer(serializer=dumps)


def _console(colours: bool) -> "Processor":
    from structlog.dev import Column, ConsoleRenderer, KeyValueColumnFormatter, plain_traceback

    styles = ConsoleRenderer.get_default_column_styles(colours)
    levels = ConsoleRenderer.get_default_level_styles(colours)

    def aligned(style: str, width: int) -> KeyValueColumnFormatter:
        return KeyValueColumnFormatter(None, style, styles.reset, value_repr=str, width=width)

    def level(key: str, value: object) -> str:
        del key
        return f"{levels.get(str(value), '')}{value!s:<8}{styles.reset}"

    columns = [
        Column("timestamp", aligned(styles.timestamp, 0)),
        Column("level", level),
        Column("who", aligned(styles.logger_name, 14)),
        Column("logger", aligned(styles.logger_name, 14)),
        Column("event", aligned(styles.bright, 20)),
        Column("", KeyValueColumnFormatter(styles.kv_key, styles.kv_value, styles.reset, value_repr=_quoted)),
    ]
    renderer = ConsoleRenderer(columns=columns, sort_keys=False, exception_formatter=plain_traceback)

    def render(logger: Any, name: str, event: "EventDict") -> str:
        event["timestamp"] = f"{event['timestamp'][:-4]}Z"
        who = [str(event.pop(part)) for part in ("role", "strategy") if part in event]
        if who:
            event["who"] = ":".join(who)
        if TRACE in event:
            event["exception"] = str(event.pop(TRACE)).rstrip()
        return renderer(logger, name, event).rstrip()

    return render


def _quoted(value: object) -> str:
    """Return a value as a word, in quotes where it is not one."""
    text = str(value)
    return repr(text) if not text or any(letter.isspace() for letter in text) else text


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell what ends the process as everything else is told, without secrets."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("pine").critical("ended by an error", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: "threading.ExceptHookArgs") -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    where = {"fields": {"thread": args.thread.name if args.thread else "gone"}}
    info = (args.exc_type, args.exc_value, args.exc_traceback)
    logging.getLogger("pine").critical("a thread ended by an error", exc_info=info, extra=where)
