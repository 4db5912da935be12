"""Gives an engine its steps from any recording, books what was asked between them, and has everything recorded."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import define, field, frozen

from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_SECOND
from pine.feeds.steps import Step
from pine.feeds.warmup import WarmUp
from pine.history.refill import Refill
from pine.orders.desk import Desk
from pine.orders.entries import Asked
from pine.replay.recorder import Recorder
from pine.worker.engine import Outcome

LONGEST_PAUSE: Final = 0.2


@frozen
class Request:
    """What an operator or a courier had booked, and the step (ns) after which it took effect."""

    step: int
    entry: Asked


@define
class Pace:
    """Lets event time pass so many times faster than real time; influences nothing but when a step is run."""

    speed: float
    stopped: Callable[[], bool]
    _began: tuple[int, float] | None = None

    def wait(self, ts: int) -> None:
        """Wait until a step (ns) is due."""
        if self._began is None:
            self._began = (ts, time.monotonic())
        first, at = self._began
        due = at + (ts - first) / NS_PER_SECOND / self.speed
        while (left := due - time.monotonic()) > 0 and not self.stopped():
            time.sleep(min(left, LONGEST_PAUSE))  # the pace that was asked for; a request to end is seen in between


@define(eq=False)
class ReplaySource:
    """Steps of a recording for one engine.

    Parameters
    ----------
    steps
        In order; those that are not live are warm-up.
    desk
        The account, of which nothing is kept but the record.
    recorder
        Told everything.
    requests
        What was booked between steps, in order; each one's step must be among `steps`.
    stopped
        Asked before each step whether to end.
    on_step
        Told each step (ns) that is done.
    pace
        Slows live steps down; nothing for as fast as it goes.
    history
        What comes before the first step; nothing if warm-up is steps too.
    refill
        Returns the minutes of a hole that was filled.
    """

    steps: Iterator[Step]
    desk: Desk
    recorder: Recorder
    requests: deque[Request] = field(factory=deque)
    stopped: Callable[[], bool] = lambda: False
    on_step: Callable[[int], None] = lambda _: None
    pace: Pace | None = None
    history: WarmUp | None = None
    refill: Callable[[Refill], Sequence[Bar]] = lambda _: ()
    _reached: int = 0

    def warm_up(self) -> WarmUp | None:
        """Return what comes before the first step."""
        if self.history is not None:
            self._reached = self.history.until
            self.recorder.feed(self.history)
        return self.history

    def refilled(self, told: Refill) -> Sequence[Bar]:
        """Return the minutes of a hole that was filled."""
        return self.refill(told)

    def alive(self) -> bool:
        """Tell whether to go on."""
        return not self.stopped()

    def next(self) -> Step | None:
        """Return the next step; nothing at the end of the recording, or when asked to end."""
        if self.requests:
            self._book()
        if self.stopped():
            return None
        step = next(self.steps, None)
        if step is None:
            return None
        if step.live and self.pace is not None:
            self.pace.wait(step.ts)
        self.recorder.see(step.ts, [*step.minutes, *step.longer], step.events)
        return step

    def done(self, step: Step, outcome: Outcome) -> None:
        """Have an outcome recorded."""
        self._reached = step.ts
        if step.live:
            self.recorder.book(step.ts, outcome.entries)
            if outcome.flight is not None:
                self.recorder.think(step.ts, outcome.flight)
        self.on_step(step.ts)

    def _book(self) -> None:
        """Book what was asked before the next step, as a worker does: at the last one it has done."""
        while self.requests and self.requests[0].step <= self._reached:
            request = self.requests.popleft()
            self.recorder.book(request.step, self.desk.book(request.entry))
