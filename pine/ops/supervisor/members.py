"""Which processes a configuration asks for."""

import difflib
from collections import deque
from collections.abc import Collection, Sequence
from enum import IntEnum
from typing import Any, Final

from attrs import define, field

from pine.bus import keys
from pine.core.config import Config
from pine.core.errors import PineError
from pine.ops.supervisor.backoff import Backoff
from pine.ops.supervisor.child import Child

LAST_LINES: Final = 3


class Rank(IntEnum):
    """In which order processes end."""

    WORKER = 0
    COURIER = 1
    HUB = 2
    OTHER = 3


@define(eq=False)
class Member:
    """A process that shall run, whether it does or not.

    Attributes
    ----------
    name
        Its command, such as ``hub`` or ``worker ibs_a``.
    strategy
        Whose it is, if it belongs to one.
    due
        When it is started, on the supervisor's clock; nothing while it runs, or is not to be started.
    wanted
        Whether it is started again when it has ended.
    code
        With what it has ended last.
    """

    name: str
    rank: Rank
    strategy: str | None = None
    backoff: Backoff = field(factory=Backoff)
    child: Child | None = None
    due: float | None = None
    wanted: bool = True
    since: float = 0.0
    restarts: int = 0
    code: int | None = None
    tail: deque[str] = field(factory=lambda: deque(maxlen=LAST_LINES))

    def answers_to(self, word: str) -> bool:
        """Tell whether a word means this process: its name, or its strategy's."""
        return word in (self.name, self.strategy)

    @property
    def state(self) -> str:
        """How it is, in a word."""
        if self.child is not None:
            return "running" if self.wanted else "stopping"
        if not self.wanted:
            return "stopped"
        if self.code is None:
            return "waiting"
        return "failing" if self.backoff.failing else "restarting"

    @property
    def failing(self) -> bool:
        """Whether somebody should look: it has ended too often, and has not run well since."""
        return self.wanted and self.backoff.failing

    @property
    def amiss(self) -> bool:
        """Whether it fails, or does not run at the moment because it ended badly."""
        return self.failing or (self.wanted and self.child is None and bool(self.code))

    def facts(self, now: float) -> dict[str, Any]:
        """Return what there is to say of it."""
        running = self.child is not None
        return {
            "name": self.name,
            "state": self.state,
            "failing": self.failing,
            "pid": self.child.pid if self.child is not None else None,
            "restarts": self.restarts,
            "uptime_s": round(now - self.since, 1) if running else None,
            "again_in_s": round(max(self.due - now, 0.0), 1) if self.due is not None else None,
            "code": self.code,
            "last_lines": list(self.tail) if self.amiss else [],
        }


def planned(config: Config, extras: Collection[str] = ()) -> list[Member]:
    """Return everything that a configuration asks for, in the order in which it is started.

    Parameters
    ----------
    config
        The configuration.
    extras
        Further commands, such as ``dashboard``.
    """
    members = [Member(keys.HUB, Rank.HUB)] if config.instruments else []
    members.append(Member(keys.ARCHIVE, Rank.OTHER))
    members += [Member(name, Rank.OTHER) for name in extras]
    enabled = [name for name, setting in config.strategies.items() if setting.enabled]
    return members + [member for name in enabled for member in of_strategy(config, name)]


def of_strategy(config: Config, strategy: str) -> list[Member]:
    """Return the processes of a strategy: its worker and, with a webhook, its courier."""
    members = [Member(f"courier {strategy}", Rank.COURIER, strategy)] if config.strategies[strategy].webhook else []
    return [*members, Member(f"worker {strategy}", Rank.WORKER, strategy)]


def arguments_of(member: Member, config: Config) -> list[str]:
    """Return the command line of a process."""
    whole = ["-c", str(config.path), *member.name.split()]
    return [*whole, "--no-courier"] if member.rank is Rank.WORKER else whole


def chosen(members: Sequence[Member], words: Sequence[str], config: Config) -> list[Member]:
    """Return the processes that words mean; all of them if there is none.

    Raises
    ------
    PineError
        If a word means none.
    """
    for word in words:
        if not any(member.answers_to(word) for member in members):
            raise PineError(unknown(word, members, config))
    return [member for member in members if not words or any(map(member.answers_to, words))]


def unknown(word: str, members: Sequence[Member], config: Config) -> str:
    """Return what is wrong with a word that means no process."""
    if word in config.strategies and not config.strategies[word].enabled:
        return f"strategy {word} is disabled; set strategies.{word}.enabled to true"
    known = list(dict.fromkeys(member.strategy or member.name for member in members))
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"nothing is called {word!r}; {hint}there is {', '.join(known) or 'nothing'}"
