"""How ``pine up`` looks: lines of all processes, and at the bottom of a terminal how each of them is."""

import contextlib
import io
import logging
import re
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, TextIO

import orjson
from attrs import define, field
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pine.ops.status import span
from pine.ops.supervisor.output import Relay, Screen

OWN: Final = "up"
COLOURS: Final = ("cyan", "magenta", "blue", "green", "bright_cyan", "bright_magenta", "bright_blue", "bright_green")
LEVELS: Final = {"warning": "yellow", "error": "bold red", "critical": "bold red"}
STATES: Final = {"running": "green", "failing": "bold red", "restarting": "yellow", "stopping": "yellow"}
NAME_WIDTH: Final = 14
BAR: Final = " │ "
LEAST: Final = 20
"""Columns that a line is given beside its name, however narrow the terminal is."""

_CONTROL: Final = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]")
"""What a terminal obeys, but for colours."""

LEFT_OUT: Final = frozenset(["event", "level", "timestamp", "logger", "role", "trace"])
"""What of a JSON line is shown otherwise, or not needed by a person."""


def screen(*, quiet: bool) -> Screen:
    """Return what suits standard output."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a letter that it does not know must not end the view
    console = Console(highlight=False, soft_wrap=True)
    return Terminal(console, quiet or console.is_dumb_terminal) if sys.stdout.isatty() else Plain(sys.stdout)


@define(eq=False)
class Plain:
    """Lines for a file or another program."""

    out: TextIO

    def write(self, lines: Sequence[tuple[str, str]]) -> None:
        """Print lines; JSON stays JSON, with the name in it."""
        self.out.write("".join(f"{named(name, line)}\n" for name, line in lines))
        self.out.flush()

    def draw(self, facts: dict[str, Any]) -> None:
        """Show nothing: lines say what happens."""

    def close(self) -> None:
        """Leave it."""


def named(name: str, line: str) -> str:
    """Return a line with the name of who printed it."""
    found = fields_of(line)
    if found is None:
        return f"{name} | {line}"
    if not found or "process" in found:
        return orjson.dumps({**found, "process": name}).decode()
    return f"{orjson.dumps({'process': name}).decode()[:-1]},{line.strip()[1:]}"


def fields_of(line: str) -> dict[str, Any] | None:
    """Return the fields of a JSON line, if it is one."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        found: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found


@define(eq=False)
class Terminal:
    """Lines in colour, and below them a table of states."""

    console: Console
    quiet: bool = False
    _live: Live | None = None
    _states: Table | None = None

    def write(self, lines: Sequence[tuple[str, str]]) -> None:
        """Print lines, each with the name of who printed it in a colour of its own."""
        self.console.print(Text("\n").join(hanging(shown(name, line), self.console) for name, line in lines))

    def draw(self, facts: dict[str, Any]) -> None:
        """Show how everybody is."""
        if self.quiet:
            return
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
        self._live.update(table(facts), refresh=True)

    def close(self) -> None:
        """Leave the last table where it is."""
        if self._live is not None:
            self._live.stop()


def shown(name: str, line: str) -> Text:
    """Return a line for a terminal."""
    style = "bold" if name == OWN else COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]
    text = Text(f"{name:<{NAME_WIDTH}}{BAR}", style=style)
    found = fields_of(line)
    if found is None or "event" not in found:
        return text.append(Text.from_ansi(_CONTROL.sub(_escaped, line)))
    level = str(found.get("level", ""))
    when = str(found.get("timestamp", ""))[11:19]
    known = {"strategy"} if name.endswith(f" {found.get('strategy')}") else set()
    rest = " ".join(f"{key}={value}" for key, value in found.items() if key not in LEFT_OUT | known)
    told = f"{when} {level:<7} {found['event']} {rest}".strip()
    trace = f"\n{found['trace']}".rstrip() if "trace" in found else ""
    return text.append(tame(told) + tame(trace, lines=True), style=LEVELS.get(level, ""))


def tame(text: str, *, lines: bool = False) -> str:
    """Return a text with every character written out that a terminal would obey; ends of lines stay if `lines`."""
    return "".join(c if c.isprintable() or (lines and c in "\n\t") else _written_out(c) for c in text)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _escaped(found: re.Match[str]) -> str:
    return _written_out(found[0])


def hanging(text: Text, console: Console) -> Text:
    """Return a line that `shown` made, broken between words so that all of it stands beside the name."""
    name, _, _ = text.plain.partition(BAR)
    begin = len(name) + len(BAR)
    first, *more = text[begin:].wrap(console, max(console.width - begin, LEAST)) or [Text()]
    beside = Text(" " * len(name) + BAR, style=text.style)
    return Text("\n").join([text[:begin] + first, *(beside + line for line in more)])


def table(facts: dict[str, Any]) -> Table:
    """Return a table of how each process is."""
    whole = Table.grid(padding=(0, 2))
    for column in ("process", "state", "pid", "restarts", "up", ""):
        whole.add_column(column, no_wrap=bool(column), style="dim" if column in ("pid", "restarts") else "")
    for one in facts["processes"]:
        state = one["state"]
        style = "bold red" if one["failing"] else STATES.get(state, "dim")
        plural = "" if one["restarts"] == 1 else "s"
        restarts = f"{one['restarts']} restart{plural}" if one["restarts"] else ""
        up = "" if one["uptime_s"] is None else f"up {span(one['uptime_s'])}"
        pid = "" if one["pid"] is None else str(one["pid"])
        whole.add_row(Text(one["name"], style="bold"), Text(state, style=style), pid, restarts, up, _remark(one))
    return whole


def _remark(one: dict[str, Any]) -> Text:
    """Return why a process does not run, and when it is tried again."""
    parts = []
    if one["code"] and (one["failing"] or one["state"] == "restarting"):
        parts.append(f"code {one['code']}")
    if one["again_in_s"] is not None and one["code"] is not None:
        parts.append(f"again in {span(one['again_in_s'])}")
    if one["last_lines"]:
        parts.append(tame(one["last_lines"][-1].strip()))
    return Text(", ".join(parts), style="red" if one["failing"] else "dim", overflow="ellipsis", no_wrap=True)


@define(eq=False)
class _Lines:
    """A text file whose lines go to the relay, as those of a process."""

    relay: Relay
    _lock: threading.RLock = field(factory=threading.RLock)
    _begun: str = ""

    def write(self, text: str) -> int:
        """Take text; what is not a whole line yet waits for its end."""
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self.relay.take(OWN, line.encode())
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        """Tell that this is no terminal."""
        return False


@contextlib.contextmanager
def told_to(relay: Relay) -> Iterator[None]:
    """Let what this process logs go where the lines of all others go."""
    handlers = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
    before = [handler.setStream(_Lines(relay)) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.setStream(stream)
