"""Killing what runs: at moments that a seed chooses, and at pause points between two things that belong together."""

import os
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any, Final, Literal

import redis
from attrs import define, field, frozen

from pine.bus import keys, streams
from pine.bus.connection import is_away
from pine.bus.cursors import read_cursors
from pine.bus.embedded import EmbeddedServer
from pine.bus.pauses import POINTS, Holder, kind_of
from pine.core.errors import SandboxError
from pine.core.timeframe import NS_PER_MS
from pine.core.times import to_datetime
from pine.orders.courier import GROUP
from pine.sandbox.demo.stage import Stage
from pine.sandbox.faults import EARLY, LATE, SOUND

SERVER: Final = "server"
EARLIEST, LATEST = 0.03, 0.85
"""Part of the tape in which kills are due."""

SECONDS_PER_KILL: Final = 11.0
"""A killed process's lease runs out, another takes it, and must get somewhere before it is killed in its turn."""

PATIENCE_SECONDS: Final = 15.0
"""How long nobody comes by a pause point before the kill is done anywhere."""

STANDBY_SECONDS: Final = 2.0
RECOVERY_SECONDS: Final = 90.0

Say = Callable[[str], None]


@frozen
class Strike:
    """One kill that is planned.

    Attributes
    ----------
    victim
        Role: ``hub``, ``archive``, ``worker:NAME``, ``courier:NAME``, or ``server``.
    part
        Part of the tape, 0 to 1, that the victim must have come to.
    point
        Pause point at which it is held first, or nothing for any moment.
    standby
        Whether another process already waits for the lease.
    """

    victim: str
    part: float
    point: str | None = None
    standby: bool = False


@define
class Kill:
    """One kill that was done, and how long nobody was there."""

    victim: str
    at: int
    point: str | None
    standby: bool
    seconds: float | None = None


@frozen
class Plan:
    """What goes wrong in a run: kills, and a fault for each of the gateway's first sessions."""

    seed: int
    strikes: tuple[Strike, ...]
    faults: tuple[str, ...]

    def speed(self, tape_seconds: float) -> float:
        """Return the times real time at which the tape lasts long enough for the victim with the most kills."""
        most = max(Counter(strike.victim for strike in self.strikes).values(), default=0)
        return tape_seconds / max(most * SECONDS_PER_KILL / (LATEST - EARLIEST), 15.0)


def make_plan(seed: int, kills: int, strategies: Sequence[str]) -> Plan:
    """Draw a plan: the kinds of process in turn, each pause point of each kind before one comes twice.

    Parameters
    ----------
    seed
        The same seed makes the same plan.
    kills
        How many.
    strategies
        Names of the strategies that run.
    """
    chance = random.Random(seed)  # noqa: S311  # a plan, not a secret
    roles = {SERVER: [SERVER], "hub": [keys.HUB], "archive": [keys.ARCHIVE]}
    roles |= {kind: [f"{kind}:{name}" for name in strategies] for kind in ("worker", "courier")}
    counts = {kind: kills // len(roles) + (n < kills % len(roles)) for n, kind in enumerate(roles)}
    strikes = []
    for kind, count in counts.items():
        points: list[str | None] = [*POINTS.get(kind, ()), None]
        for n, part in enumerate(sorted(chance.uniform(EARLIEST, LATEST) for _ in range(count))):
            victim = roles[kind][n % len(roles[kind])]
            point = points[n // len(roles[kind]) % len(points)] if kind != SERVER else None
            strikes.append(Strike(victim, part, point, standby=kind == "hub" and n % 3 == 2))
    return Plan(seed, tuple(strikes), _draw_faults(chance, counts["hub"]))


def _draw_faults(chance: random.Random, hub_kills: int) -> tuple[str, ...]:
    """Every manner once if there are as many connections, sound ones between them; the first is sound."""
    manners = [manner if manner in EARLY else f"{manner}:{chance.randrange(200_000)}" for manner in (*EARLY, *LATE)]
    chance.shuffle(manners)
    faults = [SOUND]
    for manner in manners[: max(hub_kills, 2)]:
        faults += [manner, SOUND]
    return tuple(faults)


@define
class Victim:
    """The strikes against one role, one after the other."""

    role: str
    due: deque[Strike]
    state: Literal["waiting", "standby", "asked", "down"] = "waiting"
    since: float = 0.0
    killed: Kill | None = None
    token: int = 0


@define(eq=False)
class Chaos:
    """Carries a plan out while a demonstration runs.

    Parameters
    ----------
    plan
        What is to happen.
    span
        First and last time of the tape, in ns.
    holder
        The pause points of the run's processes.
    say
        Is told of each kill and each recovery.
    """

    plan: Plan
    span: tuple[int, int]
    holder: Holder
    say: Say
    kills: list[Kill] = field(factory=list)
    _victims: list[Victim] = field(factory=list)
    _chance: random.Random = field(init=False)
    _told_faults: int = 0
    _began: float = field(factory=time.monotonic)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(self.plan.seed + 1)  # noqa: S311  # moments, not secrets
        roles = dict.fromkeys(strike.victim for strike in self.plan.strikes)
        self._victims = [
            Victim(role, deque(strike for strike in self.plan.strikes if strike.victim == role)) for role in roles
        ]

    @property
    def over(self) -> bool:
        """Whether everything planned has happened and everybody is back."""
        return all(not victim.due and victim.state == "waiting" for victim in self._victims)

    def look(self, stage: Stage) -> None:
        """Do what is due."""
        self._tell_faults(stage)
        for victim in self._victims:
            try:
                self._look_at(stage, victim)
            except redis.RedisError as error:  # the server was killed: what it says of the others can wait
                if not is_away(error):
                    raise

    def _look_at(self, stage: Stage, victim: Victim) -> None:
        match victim.state:
            case "waiting":
                self._await_moment(stage, victim)
            case "standby":
                if time.monotonic() - victim.since > STANDBY_SECONDS:
                    self._begin(stage, victim)
            case "asked":
                self._await_held(stage, victim)
            case "down":
                self._await_recovery(stage, victim)

    def _await_moment(self, stage: Stage, victim: Victim) -> None:
        if not victim.due or _pid(stage, victim.role) is None:
            return
        first, last = self.span
        moment = first + victim.due[0].part * (last - first)
        if not stage.tape_end and _reached(stage, victim.role) < moment:
            return
        if victim.due[0].standby:
            stage.start_standby(victim.role)
            victim.state, victim.since = "standby", time.monotonic()
            return
        self._begin(stage, victim)

    def _begin(self, stage: Stage, victim: Victim) -> None:
        point = victim.due[0].point
        if point is None:
            time.sleep(self._chance.uniform(0.0, 0.05))  # `look` comes at regular times, a kill at any
            self._kill(stage, victim, None)
            return
        self.holder.ask(victim.role, point)
        victim.state, victim.since = "asked", time.monotonic()

    def _await_held(self, stage: Stage, victim: Victim) -> None:
        point = victim.due[0].point
        assert point is not None
        held = self.holder.held(victim.role, point)
        if held is not None and held == _pid(stage, victim.role):
            self._kill(stage, victim, point)
        elif time.monotonic() - victim.since > PATIENCE_SECONDS and _pid(stage, victim.role) is not None:
            self._kill(stage, victim, None)

    def _kill(self, stage: Stage, victim: Victim, point: str | None) -> None:
        strike = victim.due[0]
        pid = _pid(stage, victim.role)
        if pid is None:
            victim.state = "waiting"  # it ended by itself; the next one will do
            return
        victim.token = _token(stage, victim.role)
        at = _reached(stage, victim.role)
        victim.due.popleft()  # everything that the server must be asked for is known
        name = _process(victim.role)
        if name is not None:
            stage.kill(name)
        else:
            os.kill(pid, signal.SIGKILL)
        if strike.point is not None:
            self.holder.release(victim.role, strike.point)
        victim.killed = Kill(victim.role, at, point, strike.standby)
        victim.state, victim.since = "down", time.monotonic()
        self.kills.append(victim.killed)
        where = "at a random moment" if point is None else f"held where {POINTS[kind_of(victim.role)][point]}"
        self._tell(f"{_when(at)}  killed {victim.role} {where}{', one stands by' if strike.standby else ''}")

    def _await_recovery(self, stage: Stage, victim: Victim) -> None:
        assert victim.killed is not None
        seconds = time.monotonic() - victim.since
        if _pid(stage, victim.role) is not None and _token(stage, victim.role) != victim.token:
            victim.killed.seconds = seconds
            victim.state = "waiting"
            self._tell(f"{_when(victim.killed.at)}  {victim.role} is back after {seconds:.1f} s")
        elif seconds > RECOVERY_SECONDS and kind_of(victim.role) != "courier":
            raise SandboxError(f"{victim.role} is not back {seconds:.0f} s after it was killed")
        elif kind_of(victim.role) == "courier" and stage.tape_end and stage.finished():
            victim.state = "waiting"  # nothing is owed any more, so nobody has to come back

    def _tell(self, text: str) -> None:
        """Say something with the seconds since the start in front: each role has its own time on the tape."""
        self.say(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def _tell_faults(self, stage: Stage) -> None:
        for manner in stage.faults[self._told_faults :]:
            self._tell(f"gateway fault: {manner}")
        self._told_faults = len(stage.faults)

    def facts(self, stage: Stage) -> dict[str, Any]:
        """Return what was done, ready for JSON."""
        return {
            "seed": self.plan.seed,
            "kills": len(self.kills),
            "by_victim": dict(Counter(kind_of(kill.victim) for kill in self.kills)),
            "by_point": dict(
                Counter(f"{kind_of(kill.victim)}.{kill.point}" for kill in self.kills if kill.point is not None)
            ),
            "standby": sum(kill.standby for kill in self.kills),
            "faults": dict(Counter(stage.faults)),
            "recovery_s": _recoveries(self.kills),
        }


def _recoveries(kills: Iterable[Kill]) -> dict[str, dict[str, float]]:
    by_kind: dict[str, list[float]] = {}
    for kill in kills:
        if kill.seconds is not None:
            name = kind_of(kill.victim) + (" standby" if kill.standby else "")
            by_kind.setdefault(name, []).append(kill.seconds)
    return {kind: {"median": round(median(all_), 1), "most": round(max(all_), 1)} for kind, all_ in by_kind.items()}


def _when(ns: int) -> str:
    return f"{to_datetime(ns):%a %m-%d %H:%M}" if ns else "at the start"


def _process(role: str) -> str | None:
    """Return the name under which the stage has a process, if it started it itself."""
    kind, _, name = role.partition(":")
    return {"hub": keys.HUB, "archive": keys.ARCHIVE, "worker": f"worker {name}"}.get(kind)


def _pid(stage: Stage, role: str) -> int | None:
    """Return the process id of whoever has the role now, if anybody does."""
    if role == SERVER:
        server = EmbeddedServer(stage.config.data_dir)
        return server.pid() if server.is_running() else None
    holder = stage.client.get(keys.lease(role))
    return int(holder.decode().rpartition("#")[0].rpartition(":")[2]) if holder else None


def _token(stage: Stage, role: str) -> int:
    """Return a number that is another one for each holder of the role."""
    if role == SERVER:
        return EmbeddedServer(stage.config.data_dir).pid() or 0
    return int(stage.client.get(keys.fence(role)) or 0)


def _reached(stage: Stage, role: str) -> int:
    """Return the event time, in ns, that a process has come to."""
    kind, _, name = role.partition(":")
    if kind == "worker":
        return _delivered(stage, keys.CLOCK, name)
    if kind == "courier":
        return _delivered(stage, keys.ledger(name), GROUP)
    return streams.ms_of(streams.last_id(stage.client, keys.CLOCK) or "0") * NS_PER_MS


def _delivered(stage: Stage, stream: str, group: str) -> int:
    """Return the time, in ns, of the entry that a group was handed last; 0 if its reader has not come to make it."""
    cursor = read_cursors(stage.client, stream).get(group)
    return 0 if cursor is None else cursor.delivered[0] * NS_PER_MS
