"""The supervisor: starts what a configuration asks for, starts it again, and ends it in order."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from types import FrameType
from typing import Any, Final

from attrs import define, field

from pine.bus.ending import ENDING
from pine.core.config import Config
from pine.core.errors import BusError, PineError
from pine.core.log import get_logger
from pine.core.times import isoformat
from pine.ops.supervisor.child import Child
from pine.ops.supervisor.door import alone, open_door
from pine.ops.supervisor.members import Member, Rank, arguments_of, of_strategy, unknown
from pine.ops.supervisor.output import Relay
from pine.ops.supervisor.server import Server, await_server, hub_is_ready
from pine.ops.supervisor.turns import Turns
from pine.orders.courier import nothing_owed

HUB_SECONDS: Final = 20.0
"""How long workers are kept back for a hub; then they wait for it by themselves."""

POST_SECONDS: Final = 10.0
"""How long a courier may go on, at the end, to post what is owed; what is left stays in the ledger."""

END_SECONDS: Final = 30.0
"""How long a process may take to end in order before it is killed."""

HURRIED_SECONDS: Final = 5.0
"""The same after somebody has asked a second time."""

JOIN_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.1
DRAW_SECONDS: Final = 0.5
REFUSED: Final = 126
"""The exit code that stands for a process that the system could not start."""

WISHES: Final = ("start", "stop", "restart")
"""What the running one is asked to do."""

IN_ORDER: Final = (0, -signal.SIGTERM)
"""Exit codes of a process that was asked to end; one that had nothing to end yet leaves that to the system."""

log = get_logger("pine.up")


def say(level: int, event: str, **fields: object) -> None:
    """Log an event of the supervisor's own."""
    log.log(level, event, **fields)


@define(eq=False)
class Supervisor:
    """Runs the processes of one machine.

    Parameters
    ----------
    config
        The configuration as it is now.
    members
        What shall run.
    relay
        Takes what they print.
    reload
        Returns the configuration as it is by then, for what is started by hand: enough of it to know who belongs to
        what. Raises `PineError` if it has mistakes.
    clock
        Tells seconds that never go back.
    """

    config: Config
    members: list[Member]
    relay: Relay
    reload: Callable[[], Config]
    clock: Callable[[], float] = time.monotonic
    server: Server = field(init=False)
    _changed: threading.Condition = field(factory=threading.Condition)
    _turns: Turns = field(factory=Turns)
    _asked: int = 0
    _phase: str = "starting"
    _gate_open: bool = False
    _wound_down: bool = False
    _bad_ends: list[str] = field(factory=list)
    _drawn: list[tuple[str, int]] = field(factory=list)
    _drawn_at: float = 0.0
    _hurry_at: float | None = None
    _began_at: int = field(factory=time.time_ns)

    def __attrs_post_init__(self) -> None:
        self.server = Server(self.config)

    def run(self) -> int:
        """Run until SIGINT, SIGTERM or SIGHUP, and end everything in order; return the exit code.

        Raises
        ------
        PineError
            If another supervisor runs, or the embedded server cannot be started.
        """
        with alone(self.config.data_dir):
            for number in ENDING:
                signal.signal(number, self._on_signal)
            with open_door(self.config.data_dir, self.answer):
                try:
                    if self._start_server():
                        self._work()
                finally:
                    self._stop_server()
        failing = sorted(set(self._bad_ends))
        say(logging.ERROR if failing else logging.INFO, "all ended", failing=",".join(failing) or "nothing")
        return 1 if failing else 0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1  # noticed soon: a handler may not wait for a lock

    def _start_server(self) -> bool:
        try:
            self.server.start(lambda: self._asked > 1)
        except BusError:
            if self._asked:
                return False
            raise
        if self.server.ours:
            say(logging.INFO, "server started")
        return True

    def _stop_server(self) -> None:
        try:
            if self.server.ours:
                say(logging.INFO, "server", now=self.server.stop())
        except BusError as error:
            self._bad_ends.append("server")
            say(logging.ERROR, "server", reason=str(error))

    def _work(self) -> None:
        """Start what is due and see to the rest, until everything has ended."""
        watching = threading.Thread(target=self._watch_hub, name="hub", daemon=True)
        watching.start()
        with self._changed:
            for member in self.members:
                member.due = self.clock()
            self._phase = "running"
            while not self._over():
                if self._asked:
                    self._end()
                else:
                    self._start_due()
                self._draw()
                self._changed.wait(LOOK_SECONDS)
            self._phase = "ended"
            self._draw(now=True)
        watching.join(JOIN_SECONDS)  # its connection would count as somebody's who uses the server

    def _over(self) -> bool:
        """Tell whether everything has ended, and in a hurry or not that was the wish."""
        gone = all(member.child is None for member in self.members)
        return bool(self._asked) and gone and (self._wound_down or self._asked > 1)

    # Starting

    def _watch_hub(self) -> None:
        """Let the workers start once the hub is there, or has had its time."""
        if any(member.rank is Rank.HUB for member in self.members):
            await_server(
                self.config, hub_is_ready(self.config), HUB_SECONDS, lambda: self._gate_open or self._asked > 0
            )
        with self._changed:
            self._gate_open = True
            self._changed.notify_all()

    def _start_due(self) -> None:
        now = self.clock()
        for member in self.members:
            kept_back = member.rank is Rank.WORKER and not self._gate_open
            if (
                member.child is None
                and member.wanted
                and member.due is not None
                and member.due <= now
                and not kept_back
            ):
                self._start(member)
            elif member.child is not None:
                member.backoff.settle(now - member.since)

    def _start(self, member: Member) -> None:
        member.since, member.due = self.clock(), None
        take = partial(self._on_line, member)
        try:
            member.child = Child.start(arguments_of(member, self.config), take, partial(self._on_end, member))
        except OSError as error:
            member.tail.append(str(error))
            self._note_end(member, REFUSED)
            return
        self._changed.notify_all()
        say(logging.INFO, "started", child=member.name, pid=member.child.pid)

    def _on_line(self, member: Member, line: bytes) -> None:
        member.tail.append(self.relay.take(member.name, line))

    def _on_end(self, member: Member, code: int) -> None:
        with self._changed:
            self._note_end(member, code)
            self._changed.notify_all()

    def _note_end(self, member: Member, code: int) -> None:
        ran = self.clock() - member.since
        member.child, member.code = None, code
        if member.rank is Rank.HUB:
            self._gate_open = True  # workers wait by themselves
        if not member.wanted:
            in_order = code in IN_ORDER
            if not in_order:
                self._bad_ends.append(member.name)
            say(logging.INFO if in_order else logging.ERROR, "ended", child=member.name, code=code)
            return
        pause = member.backoff.pause(code, ran)
        member.due = self.clock() + pause
        member.restarts += 1
        say(logging.WARNING, "ended", child=member.name, code=code, ran_s=round(ran, 1), again_in_s=round(pause, 1))

    # Ending

    def _end(self) -> None:
        """See that everything ends: in order when first asked, at once when asked again, hard the third time."""
        if self._phase != "stopping":
            self._phase = "stopping"
            self._bad_ends += [member.name for member in self.members if member.amiss]
            for member in self.members:
                self._dismiss(member)
            say(logging.INFO, "stopping")
            threading.Thread(target=self._wind_down, name="wind down", daemon=True).start()
        if self._asked > 1 and self._hurry_at is None:
            say(logging.WARNING, "stopping at once", because="asked again")
            self._hurry_at = self.clock() + HURRIED_SECONDS
            self._ask_to_end(self.members)
        if self._hurry_at is not None and (self._asked > 2 or self.clock() > self._hurry_at):
            self._kill(self.members)

    def _wind_down(self) -> None:
        try:
            self.stop(self.members)
        finally:
            with self._changed:
                self._wound_down = True
                self._changed.notify_all()

    def stop(self, members: Sequence[Member]) -> None:
        """End processes in order, and return when they are gone: workers, couriers once nothing is owed, the rest."""
        with self._changed:
            for member in members:
                self._dismiss(member)
        for rank in Rank:
            mine = [member for member in members if member.rank is rank]
            if rank is Rank.COURIER:
                self._let_post(mine)
            with self._changed:
                self._ask_to_end(mine)
                if not self._changed.wait_for(lambda mine=mine: _gone(mine), END_SECONDS):  # type: ignore[misc]
                    self._kill(mine)
                    self._changed.wait_for(lambda mine=mine: _gone(mine), END_SECONDS)  # type: ignore[misc]

    def _let_post(self, couriers: Sequence[Member]) -> None:
        """Give couriers time to post what is owed."""
        deadline = self.clock() + POST_SECONDS
        for member in couriers:
            if member.child is not None and member.strategy is not None:
                done = partial(nothing_owed, strategy=member.strategy)
                left = deadline - self.clock()
                if not await_server(self.config, done, left, partial(self._need_not_wait, member)):
                    say(logging.WARNING, "still owed", child=member.name, now="stays in the ledger for the next start")

    def _need_not_wait(self, member: Member) -> bool:
        return self._asked > 1 or member.child is None

    def _dismiss(self, member: Member) -> None:
        """Let it not be started again."""
        member.wanted, member.due = False, None

    def _ask_to_end(self, members: Sequence[Member]) -> None:
        for member in members:
            if member.child is not None:
                member.child.ask_to_end()

    def _kill(self, members: Sequence[Member]) -> None:
        for member in members:
            if member.child is not None:
                say(logging.ERROR, "killed", child=member.name, because="it did not end in time")
                member.child.kill()

    # Telling and being told

    def facts(self) -> dict[str, Any]:
        """Return how everybody is."""
        now = self.clock()
        return {
            "pid": os.getpid(),
            "since": isoformat(self._began_at),
            "state": self._phase,
            "server": "started here" if self.server.ours else "found running",
            "wishes": self._turns.taken,
            "processes": [member.facts(now) for member in self.members],
        }

    def _draw(self, *, now: bool = False) -> None:
        """Have it shown how everybody is, twice a second, and at once if that has changed."""
        states = [(member.state, member.restarts) for member in self.members]
        if now or states != self._drawn or self.clock() - self._drawn_at >= DRAW_SECONDS:
            self._drawn, self._drawn_at = states, self.clock()
            self.server.note()
            self.relay.draw(self.facts())

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what another process asks, and return what to say to it.

        Raises
        ------
        PineError
            If that cannot be done.
        """
        wish, word = str(request["do"]), str(request.get("name", ""))
        if wish == "show":
            with self._changed:
                return self.facts()
        if wish not in WISHES:
            raise PineError(f"pine up was asked to {wish!r}, and does {', '.join(WISHES)} and show")
        with self._turns.turn(word):
            return self._grant(wish, word)

    def _grant(self, wish: str, word: str) -> dict[str, Any]:
        config = self.reload() if wish in ("start", "restart") else None
        with self._changed:
            if self._phase != "running" or self._asked:
                raise PineError(f"pine up is {'stopping' if self._phase == 'running' else self._phase}")
            members = self._named(word, config)
        if wish in ("stop", "restart"):
            say(logging.INFO, f"asked to {wish}", child=word)
            self.stop(members)
        if wish in ("start", "restart"):
            self._begin(members)
        with self._changed:
            now = self.clock()
            return {"processes": [member.facts(now) for member in members]}

    def _named(self, word: str, config: Config | None) -> list[Member]:
        """Return the processes of a name, also those that it has only in a configuration of now."""
        if config is not None and word in config.strategies and config.strategies[word].enabled:
            known = {member.name for member in self.members}
            self.members += [member for member in of_strategy(config, word) if member.name not in known]
        found = [member for member in self.members if member.answers_to(word)]
        if not found or (config is not None and any(_is_off(member, config) for member in found)):
            raise PineError(unknown(word, self.members, config or self.config))
        return found

    def _begin(self, members: Sequence[Member]) -> None:
        """Start processes that do not run, at once."""
        with self._changed:
            for member in members:
                if self._asked:
                    raise PineError(f"pine up is stopping, {member.name} is not started")
                if member.child is not None and not member.wanted:
                    raise PineError(f"{member.name} was asked to end and does not, process {member.child.pid}")
                if member.child is None:
                    member.wanted, member.code = True, None
                    member.backoff.forget()
                    member.tail.clear()
                    member.due = self.clock()
            self._changed.notify_all()
            waiting = partial(_begun, members)
            self._changed.wait_for(waiting, HURRIED_SECONDS)


def _gone(members: Collection[Member]) -> bool:
    return all(member.child is None for member in members)


def _begun(members: Collection[Member]) -> bool:
    return all(member.child is not None or member.code is not None for member in members)


def _is_off(member: Member, config: Config) -> bool:
    """Tell whether a process belongs to a strategy that is not there, or not enabled."""
    if member.strategy is None:
        return False
    setting = config.strategies.get(member.strategy)
    return setting is None or not setting.enabled
