"""Who uses an embedded server: each connection carries the process and the command that made it."""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Final

_COMMAND: Final = re.compile(r"[a-z][a-z-]*")
_STRATEGY: Final = re.compile(r"[a-z][a-z0-9_]*")
_OF_STRATEGIES: Final = frozenset({"worker", "courier"})
_NAME: Final = re.compile(r"pine/(?P<pid>\d+)/(?P<command>.+)")


def own_name() -> str:
    """Return what connections of this process are called."""
    return f"pine/{os.getpid()}/{_command(sys.argv[1:])}"


def _command(arguments: list[str]) -> str:
    """Return a command without its options, which are nobody's business."""
    while arguments[:1] in (["-c"], ["--config"]):
        arguments = arguments[2:]
    command, rest = [*arguments, ""][0], arguments[1:]
    if _COMMAND.fullmatch(command) is None:
        return "pine"
    named = rest and command in _OF_STRATEGIES and _STRATEGY.fullmatch(rest[0])
    return f"{command}:{rest[0]}" if named else command


def users(connections: Iterable[Mapping[str, str]]) -> list[str]:
    """Return who has these connections of ``CLIENT LIST``, each process once, such as ``hub (process 77)``."""
    found: dict[str, None] = {}
    strangers = 0
    for connection in connections:
        name = _NAME.fullmatch(connection.get("name", ""))
        if name is None:
            strangers += 1
        else:
            found[f"{name['command'].replace(':', ' ')} (process {name['pid']})"] = None
    unnamed = [f"{strangers} connection{'' if strangers == 1 else 's'} without a name"] if strangers else []
    return [*sorted(found), *unnamed]
