"""Log lines as events with fields, on standard error."""

import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_QUIET: Final = ("databento", "urllib3", "asyncio")


class EventFormatter(logging.Formatter):
    """``2026-01-02T03:04:05Z INFO hub connected gateway=… replay_from=…``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; an exception's trace follows it."""
        stamp = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = getattr(record, "fields", {})
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        line = (
            f"{stamp} {record.levelname:<7} {record.name.removeprefix('pine.')} {record.getMessage()} {told}".rstrip()
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def set_up(level: int = logging.INFO) -> None:
    """Send pine's events to standard error; libraries only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EventFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def tell_warnings(name: str) -> None:
    """Send the warnings of some modules to standard error, for a command that otherwise logs nothing."""
    logger = logging.getLogger(name)
    if not logger.handlers and not logging.getLogger().handlers:
        handler = _Stderr(sys.stderr)
        handler.setFormatter(EventFormatter())
        handler.setLevel(logging.WARNING)
        logger.addHandler(handler)
