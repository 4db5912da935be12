"""``--via bus``: what a replay reads is published as a hub does it, and real worker processes do what it takes."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from pine.bus import keys
from pine.bus.connection import patiently
from pine.bus.lease import Lease
from pine.core.errors import BusError, CannotCompare, PineError
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.feeds.steps import Step
from pine.history import refill
from pine.history.archive import Archive
from pine.history.refill import Refill
from pine.hub.aggregator import Closed
from pine.hub.publisher import Publisher
from pine.replay import record as records
from pine.replay.desk import PrivateDesk, private_desk
from pine.replay.flights import UNKNOWN, Life
from pine.replay.jobs import Done, Job, OnProgress, Progress, ending, prepared, span, streams_of, unused
from pine.replay.notes import notes_of
from pine.replay.past import Past
from pine.replay.publication import closed_of
from pine.replay.record import Facts, Record
from pine.replay.recorder import Recorder
from pine.replay.run import BUS, Costs, Plan, facts_of
from pine.replay.source import Pace
from pine.replay.warming import filled
from pine.replay.workers import Clock, WorkerProcess

if TYPE_CHECKING:
    from pine.core.config import Config

AT_ONCE: Final = 500
"""Boundaries published in one go."""
LOOK_SECONDS: Final = 0.1
TELL_SECONDS: Final = 0.2
PUBLISHED: Final = "bars published"
"""What the progress of the publication is told under; no strategy has such a name."""


@define(eq=False)
class _Side:
    """One strategy: what it is to do, what it was given, and who does it."""

    job: Job
    plan: Plan
    recorder: Recorder
    worker: WorkerProcess
    holes: tuple[str, ...]
    is_over: bool = False

    @property
    def first(self) -> int:
        """The first boundary, in ns, that it is fed from."""
        return self.recorder.first_step(self.plan.begin)


def run_on_bus(jobs: Sequence[Job], on_progress: OnProgress = lambda *_: None) -> list[Done]:
    """Replay strategies through worker processes on a private server, all at once, over one publication.

    Nothing of the desk is touched, and nothing can be posted. SIGINT, SIGTERM and SIGHUP end everything that was
    started, and leave no record.

    Parameters
    ----------
    jobs
        Of one configuration and wish.
    on_progress
        Told how far each strategy is, and under `PUBLISHED` how far the publication.

    Raises
    ------
    CannotCompare
        If a worker's life is to be repeated in which it was asked something.
    PineError
        If the bars do not allow it, or a worker ends by itself.
    """
    began = time.monotonic()
    config = jobs[0].config
    with ending() as stop, streams_of(config) as client:
        known = [(job, *_planned(job, client)) for job in jobs]
        with private_desk(config, [job.strategy for job in jobs], jobs[0].folder.parent) as desk:
            sides = [
                _Side(job, plan, _recorder(config, plan), WorkerProcess(desk, plan), holes)
                for job, plan, _, holes in known
            ]
            steps = [_seen(side, given) for side, (_, _, given, _) in zip(sides, known, strict=True)]
            run = _Run(config, desk, sides, stop, on_progress)
            try:
                run.publish(closed_of(steps, [side.plan.begin for side in sides]))
                run.finish()
                if stop.is_set():
                    return [Done(job.strategy, None) for job in jobs]
                made = [(side, _record(config, side), run.steps(side), side.worker.alerts()) for side in sides]
            finally:
                run.end()
    seconds = time.monotonic() - began
    return [
        Done(
            side.job.strategy,
            records.write(record, unused(side.job.folder)),
            count,
            seconds,
            alerts,
            side.holes,
            notes_of(side.plan.standards, record),
        )
        for side, record, count, alerts in made
    ]


def _planned(job: Job, client: Any) -> tuple[Plan, Iterator[Step], tuple[str, ...]]:
    """Return what to do, the steps it takes, and what is missing of them.

    Raises
    ------
    PineError
        If a worker cannot do it.
    """
    if job.wish.costs != Costs():
        raise PineError("--via bus: workers know no costs but the configured ones; use --via engine")
    past = Past.of(job.config, client, job.config.reads(job.strategy))
    plan, steps = prepared(job, past, client)
    if plan.requests:
        raise CannotCompare(
            f"{job.strategy}: its worker was asked {len(plan.requests)} time(s) to halt, resume, flatten or void, "
            "which --via bus cannot ask at the same steps; use --via engine"
        )
    holes = [] if job.tape is not None else past.holes(plan.begin, plan.end)
    return plan, steps, tuple(f"{hole.symbol}: {span(hole.begin, hole.end)}" for hole in holes)


def _recorder(config: "Config", plan: Plan) -> Recorder:
    recorder = Recorder(
        config.rules_of(plan.strategy), config.strategies[plan.strategy].starting_cash, config.desk_session
    )
    if plan.warm_up is not None:
        recorder.feed(plan.warm_up)
    return recorder


def _seen(side: _Side, steps: Iterator[Step]) -> Iterator[Step]:
    for step in steps:
        side.recorder.see(step.ts, [*step.minutes, *step.longer], step.events)
        yield step


def _record(config: "Config", side: _Side) -> Record:
    """Return what a worker was given and what it thought."""
    desk, plan = side.worker.desk, side.plan
    thought = Life(plan.strategy, Archive.of(desk.config), desk.client).record(desk.config, plan.begin, plan.end)
    facts: Facts = facts_of(config, plan, side.recorder, BUS, thought.facts.settings)
    given = side.recorder.record(facts)
    return Record(facts, {**thought.tables, **{name: given.tables[name] for name in UNKNOWN}})


@define(eq=False)
class _Run:
    """Publishes for several workers, and looks after them."""

    config: "Config"
    desk: PrivateDesk
    sides: Sequence[_Side]
    stop: threading.Event
    on_progress: OnProgress
    _clock: Clock = field(factory=Clock)
    _lease: Lease = field(init=False)
    _publisher: Publisher = field(init=False)
    _looked_at: float = 0.0

    def __attrs_post_init__(self) -> None:
        lease = Lease.try_acquire(self.desk.client, keys.HUB)
        if not isinstance(lease, Lease):
            raise BusError(f"{keys.HUB}: held by {lease}, expected nobody on a private server")
        lease.keep()
        self._lease = lease
        self._publisher = Publisher.resume(self.desk.client, lease.token)
        self._publisher.register(self.desk.config, {})

    def publish(self, closed: Iterable[Closed]) -> None:
        """Publish, and start and end each worker where its plan begins and ends, until it is time to stop."""
        speed = self.sides[0].plan.speed
        pace = None if speed is None else Pace(speed, self._is_ending)
        begins = {side.plan.begin for side in self.sides}
        batch: list[Closed] = []
        for item in closed:
            if over := [side for side in self.sides if side.plan.end < item.boundary and not side.is_over]:
                self._flush(batch)
                self._await(over)
            if pace is not None and item.boundary > min(begins):
                self._flush(batch)
                pace.wait(item.boundary)
            batch.append(item)
            if item.boundary in begins or len(batch) >= AT_ONCE:
                self._flush(batch)
            if self.stop.is_set():
                return
        self._flush(batch)

    def finish(self) -> None:
        """Wait until every worker has done everything, and end it."""
        self._await([side for side in self.sides if not side.is_over])

    def end(self) -> None:
        """End whatever was started."""
        for side in self.sides:
            side.worker.end()
        self._lease.release()

    def steps(self, side: _Side) -> int:
        """Return how many boundaries a worker was given."""
        return self._clock.count(side.first - 1, side.plan.end)

    def _flush(self, batch: list[Closed]) -> None:
        """Publish some boundaries and forget them; start the workers whose time has come."""
        if not batch or self.stop.is_set():
            return
        for item in batch:
            self._provide(item)
        self._patiently(lambda: self._send(batch))
        self._clock.add([item.boundary for item in batch])
        newest = batch[-1].boundary
        batch.clear()
        for side in self.sides:
            if side.plan.begin <= newest and not (side.worker.is_started or side.is_over):
                side.worker.begin(side.first)
        self._look()

    def _send(self, batch: list[Closed]) -> None:
        self._lease.check()
        if self._publisher.is_behind():
            self._publisher.take_back()
            self._publisher.register(self.desk.config, {})
        self._publisher.publish(list(batch))

    def _provide(self, item: Closed) -> None:
        """Put the minutes that a refill names where workers look for them."""
        for event in item.events:
            if event.kind == refill.KIND:
                told = Refill.from_event({"kind": event.kind, "symbol": event.symbol, **event.details})
                bars = filled(Archive.of(self.config), told)
                end = told.last_minute + NS_PER_MINUTE
                Archive.of(self.desk.config).add_bars(
                    told.symbol, Timeframe.MINUTE, bars, told.first_minute, end, "historical"
                )

    def _await(self, sides: Sequence[_Side]) -> None:
        """Wait until some workers have done everything up to their end, and end them."""
        while not self.stop.is_set():
            self._look()
            done = self._patiently(lambda: [side.worker.done() for side in sides])
            wanted = [self._clock.newest(side.plan.end) for side in sides]
            if done is not None and all(at >= until for at, until in zip(done, wanted, strict=True)):
                break
            self.stop.wait(LOOK_SECONDS)
        for side in sides:
            side.worker.end()
            side.is_over = True

    def _is_ending(self) -> bool:
        """Tell whether it is time to stop; look after the workers some times a second."""
        if time.monotonic() - self._looked_at > TELL_SECONDS:
            self._look()
        return self.stop.is_set()

    def _look(self) -> None:
        """Look after every worker under way, and tell how far everything is."""
        self._looked_at = time.monotonic()
        for side in self.sides:
            if side.worker.is_started:
                at = self._patiently(side.worker.look)
                if at is not None:
                    count = self._clock.count(side.first - 1, at)
                    self.on_progress(side.job.strategy, Progress(at, side.plan.begin, side.plan.end, count))
        newest = self._clock.newest(1 << 62)
        ends = min(side.plan.begin for side in self.sides), max(side.plan.end for side in self.sides)
        self.on_progress(PUBLISHED, Progress(newest, *ends, self._clock.count(0, newest)))

    def _patiently(self, action: Callable[[], Any]) -> Any:
        """Do something on the server, again while it is away; nothing if it is time to stop first."""
        return patiently(action, self.desk.config, self.stop)
