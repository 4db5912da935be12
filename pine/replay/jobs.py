"""Several strategies side by side, each in a process of its own, their records kept as run folders."""

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from pine.bus.ending import ENDING
from pine.core.errors import PineError
from pine.replay import record as records
from pine.replay.notes import notes_of
from pine.replay.plans import Wish, follow, from_history, from_tape
from pine.replay.run import replay
from pine.replay.tape import Spool

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from pine.bus.client import Client
    from pine.core.config import Config
    from pine.feeds.steps import Step
    from pine.replay.past import Past
    from pine.replay.run import Plan

TELL_SECONDS: Final = 0.2
RUNS: Final = "runs"


@frozen
class Job:
    """One strategy to replay.

    Attributes
    ----------
    folder
        Where its record is put; with a number behind it if that is there already.
    lived
        Whether to do what its worker did, from its origin on, instead of beginning with an empty account.
    tape
        Trades to replay instead of bars from streams and archive.
    """

    config: "Config"
    strategy: str
    wish: Wish
    folder: Path
    lived: bool = False
    tape: Spool | None = None


@frozen
class Progress:
    """How far a job has come: event time in ns, from where to where, and steps so far."""

    at: int
    begin: int
    end: int
    steps: int


@frozen
class Done:
    """What came of a job.

    Attributes
    ----------
    folder
        Its record; nothing if it was stopped.
    holes
        What was missing of its bars, a line each.
    notes
        What somebody should know who reads its figures, a line each.
    """

    strategy: str
    folder: Path | None
    steps: int = 0
    seconds: float = 0.0
    alerts: tuple[str, ...] = ()
    holes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


OnProgress = Callable[[str, Progress], None]


def run_folder(config: "Config", strategy: str, now: datetime | None = None) -> Path:
    """Return the folder for a record: when it was made, and of which strategy."""
    moment = now or datetime.now(UTC)
    return config.data_dir / RUNS / f"{moment:%Y%m%dT%H%M%SZ}-{strategy}"


def unused(wanted: Path) -> Path:
    """Return a folder of that name that is not there, with a number if need be."""
    folder, n = wanted, 1
    while folder.exists():
        n += 1
        folder = wanted.with_name(f"{wanted.name}-{n}")
    return folder


def run_job(job: Job, stopped: Callable[[], bool], on_progress: Callable[[Progress], None]) -> Done:
    """Replay one strategy and keep its record.

    Raises
    ------
    PineError
        If its bars, its ledger or its configuration do not allow it.
    """
    from pine.replay.past import Past
    from pine.replay.warming import filled

    began = time.monotonic()
    with streams_of(job.config) as client:
        past = Past.of(job.config, client, job.config.reads(job.strategy))
        plan, steps = prepared(job, past, client)
        tell = _Teller(plan.begin, plan.end, on_progress)
        done = replay(
            job.config,
            plan,
            steps,
            refill=lambda told: filled(past.archive.archive, told),
            stopped=stopped,
            on_step=tell.step,
        )
        holes = () if job.tape is not None else tuple(past.holes(plan.begin, plan.end))
    folder = records.write(done.record, unused(job.folder)) if done.complete else None
    told = tuple(f"{hole.symbol}: {span(hole.begin, hole.end)}" for hole in holes)
    notes = notes_of(plan.standards, done.record)
    return Done(job.strategy, folder, done.steps, time.monotonic() - began, done.alerts, told, notes)


def prepared(job: Job, past: "Past", client: "Client | None") -> "tuple[Plan, Iterator[Step]]":
    """Return the plan of a job, and its steps."""
    if job.lived:
        from pine.replay.flights import Life

        return follow(job.config, past, Life(job.strategy, past.archive.archive, client), job.wish, job.tape)
    if job.tape is not None:
        return from_tape(job.config, past, job.strategy, job.wish, job.tape)
    return from_history(job.config, past, job.strategy, job.wish)


def run_jobs(jobs: Sequence[Job], on_progress: OnProgress = lambda *_: None) -> list[Done]:
    """Replay strategies, as many at a time as there are cores; SIGINT or SIGTERM ends them, and leaves no record.

    Raises
    ------
    PineError
        If one of them cannot run.
    """
    with ending() as stop:
        if len(jobs) == 1:
            (job,) = jobs
            return [run_job(job, stop.is_set, lambda progress: on_progress(job.strategy, progress))]
        return _side_by_side(jobs, on_progress, stop)


@frozen
class _Side:
    """Processes, and what they tell."""

    told: Any
    running: dict[str, "SpawnProcess"] = field(factory=dict)


def _side_by_side(jobs: Sequence[Job], on_progress: OnProgress, stop: threading.Event) -> list[Done]:
    spawn = multiprocessing.get_context("spawn")
    # Each child ends when the other end of its pipe closes: by hand, or because this process was killed.
    side, alive = _Side(spawn.Queue()), contextlib.ExitStack()
    waiting, finished = list(jobs), dict[str, Done]()
    try:
        while waiting or side.running:
            while waiting and len(side.running) < _cores():
                job = waiting.pop(0)
                ended, ours = spawn.Pipe(duplex=False)
                alive.callback(ours.close)
                process = spawn.Process(target=_child, args=(job, side.told, ended), name=job.strategy)
                with _deaf(), ended:
                    process.start()
                side.running[job.strategy] = process
            if stop.is_set():
                alive.close()
                waiting.clear()
            _listen(side, finished, on_progress)
    finally:
        alive.close()
        for process in side.running.values():
            process.join(10.0)
            if process.is_alive():
                process.kill()
                process.join()
    return [finished.get(job.strategy, Done(job.strategy, None)) for job in jobs]


def _listen(side: _Side, finished: dict[str, Done], on_progress: OnProgress) -> None:
    """Take one message; raise what a process could not do."""
    try:
        strategy, message = side.told.get(timeout=TELL_SECONDS)
    except queue.Empty:
        for strategy, process in side.running.items():
            if not process.is_alive() and side.told.empty():
                raise PineError(f"{strategy}: its process ended with code {process.exitcode}") from None
        return
    if isinstance(message, Progress):
        on_progress(strategy, message)
        return
    side.running.pop(strategy).join()
    if isinstance(message, BaseException):
        raise message
    finished[strategy] = message


def _child(job: Job, told: Any, ended: Any) -> None:
    stop = threading.Event()
    threading.Thread(target=_until_closed, args=(ended, stop), daemon=True).start()
    try:
        message: Any = run_job(job, stop.is_set, lambda progress: told.put((job.strategy, progress)))
    except PineError as error:
        message = error
    except Exception as error:  # noqa: BLE001  # said by the command, as one line
        message = PineError(f"{job.strategy}: {type(error).__name__}: {error}")
    told.put((job.strategy, message))


def _until_closed(ended: Any, stop: threading.Event) -> None:
    with contextlib.suppress(EOFError, OSError):
        ended.recv()
    stop.set()


class _Teller:
    """Tells of progress some times a second, so that telling costs nothing."""

    def __init__(self, begin: int, end: int, on_progress: Callable[[Progress], None]) -> None:
        self._begin, self._end, self._on_progress = begin, end, on_progress
        self._steps = 0
        self._told_at = 0.0

    def step(self, ts: int) -> None:
        """Take a step (ns) that is done."""
        self._steps += 1
        if self._steps % 64 == 0 and time.monotonic() - self._told_at > TELL_SECONDS:
            self._told_at = time.monotonic()
            self._on_progress(Progress(ts, self._begin, self._end, self._steps))


@contextlib.contextmanager
def streams_of(config: "Config") -> "Iterator[Client | None]":
    """Provide the streams if their server runs; nothing is started for them."""
    from pine.bus.connection import connect
    from pine.core.errors import BusError, ServerUnfit

    client = None
    try:
        client = connect(config, start=False)
    except ServerUnfit:
        raise
    except BusError:
        pass
    try:
        yield client
    finally:
        if client is not None:
            client.close()


def leads_of(config: "Config") -> dict[str, dict[int, str]]:
    """Return the leads that archive and streams know, by root and start of session in ns."""
    from pine.history.archive import Archive
    from pine.history.sources import StreamBars

    archive = Archive.of(config)
    with streams_of(config) as client:
        streams = None if client is None else StreamBars(client, config.session_rule, frozenset(config.instruments))
        return {
            symbol: archive.leads(symbol) | ({} if streams is None else streams.leads(symbol))
            for symbol in config.instruments
        }


@contextlib.contextmanager
def ending() -> Iterator[threading.Event]:
    """Provide an event that SIGINT, SIGTERM and SIGHUP set, where signals can be had."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in ENDING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Have a process begin without hearing Ctrl-C, which its parent answers for it; the parent hears it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def span(begin: int, end: int) -> str:
    """Return a time from begin to end as messages say it."""
    from pine.core.times import isoformat

    return f"{isoformat(begin)} to {isoformat(end)}"
