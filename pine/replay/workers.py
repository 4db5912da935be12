"""Worker processes over a private desk: begun where a plan begins, started again when they are killed."""

import os
import subprocess
import sys
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import define, field

from pine.bus import keys
from pine.bus.cursors import reached
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.errors import BusError, PineError
from pine.core.log import parsed
from pine.core.timeframe import NS_PER_MS
from pine.core.times import to_ms
from pine.replay.desk import PrivateDesk
from pine.replay.run import Plan
from pine.worker.origin import begin_after, begin_at

ENDING_SECONDS: Final = 20.0
DEATHS: Final = 3
"""How often a worker may be killed without having done a step in between."""
_ALERTS: Final = "worker.engine"
"""Who tells, as an error, what an engine finds wrong."""


@define(eq=False)
class WorkerProcess:
    """One strategy's worker, the ordinary command, and what is known of it.

    Parameters
    ----------
    desk
        Where it runs.
    plan
        What it is to do.
    """

    desk: PrivateDesk
    plan: Plan
    _process: "subprocess.Popen[bytes] | None" = None
    _deaths: list[int] = field(factory=list)

    @property
    def log(self) -> Path:
        """What it told, of all its lives."""
        return self.desk.folder / f"{self.plan.strategy}.log"

    @property
    def is_started(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None

    def begin(self, first: int) -> None:
        """Put the beginning of its life on record, as its first start would, and start it.

        Parameters
        ----------
        first
            First clock entry that its features are fed from, in ns.
        """
        strategy, role = self.plan.strategy, f"worker:{self.plan.strategy}"
        lease = Lease.try_acquire(self.desk.client, role)
        if not isinstance(lease, Lease):
            raise BusError(f"{role}: held by {lease}, expected nobody on a private server")
        writer = Writer(self.desk.client, role, lease.token)
        if self.plan.warm_up is None:
            begin_at(writer, strategy, to_ms(first), to_ms(self.plan.begin))
        else:
            begin_after(writer, strategy, self.plan.warm_up, self.plan.reach)
        lease.release()
        self._start()

    def look(self) -> int:
        """Start it again if it was killed; return the newest step, in ns, that it has done.

        Raises
        ------
        PineError
            If it ended by itself, or is killed again and again before it has done a step.
        """
        at = self.done()
        if self._process is None or (code := self._process.poll()) is None:
            return at
        self.desk.guard.ended(self._process.pid)
        strategy = self.plan.strategy
        if code > 0:
            raise PineError(f"{strategy}: its worker ended with exit code {code}: {self._last_words()}")
        self._deaths = [*(death for death in self._deaths if death == at), at]
        if len(self._deaths) > DEATHS:
            raise PineError(f"{strategy}: its worker was killed {len(self._deaths)} times before its next step")
        self._start()
        return at

    def done(self) -> int:
        """Return the newest step, in ns, up to which it has acknowledged everything."""
        found = reached(self.desk.client, keys.CLOCK, self.plan.strategy)
        return self.plan.begin if found is None else found[0] * NS_PER_MS

    def end(self) -> None:
        """End it in order; kill it if it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.desk.guard.ended(process.pid)

    def alerts(self) -> tuple[str, ...]:
        """Return what its engine found wrong, each once."""
        events = (parsed(line) for line in self._told())
        wrong = (e for e in events if (e.get("level"), e.get("logger")) == ("error", _ALERTS))
        return tuple(dict.fromkeys(str(event["event"]) for event in wrong))

    def _start(self) -> None:
        command = [sys.executable, "-P", "-m", "pine", "-c", str(self.desk.config.path), "worker", self.plan.strategy]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C is the parent's to answer.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PINE_LOG": "json"},
                start_new_session=True,
            )
        self.desk.guard.started(self._process.pid)

    def _told(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def _last_words(self) -> str:
        told = [line for line in self._told() if line.strip()]
        final = [n for n, line in enumerate(told) if line.startswith(("Error: ", "Stopped: "))]
        return "\n".join(told[final[-1] :]) if final else (told[-1] if told else "it said nothing")


@define(eq=False)
class Clock:
    """The boundaries published so far, in ns."""

    _boundaries: "array[int]" = field(factory=lambda: array("q"))

    def add(self, boundaries: Sequence[int]) -> None:
        """Take what was published, in order."""
        self._boundaries.extend(boundaries)

    def newest(self, until: int) -> int:
        """Return the newest one up to a time; 0 if there is none."""
        n = bisect_right(self._boundaries, until)
        return self._boundaries[n - 1] if n else 0

    def count(self, after: int, until: int) -> int:
        """Return how many there are in ``after < t <= until``."""
        return max(0, bisect_right(self._boundaries, until) - bisect_right(self._boundaries, after))
