"""A desk for a row: a server of its own, an archive, a hub's publisher, a worker's life, all in an empty folder."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from attrs import define, frozen

from pine.bench.row import BenchError
from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import connect
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.period import session, session_begin
from pine.core.timeframe import Timeframe
from pine.feeds.steps import Step
from pine.feeds.warmup import WarmUp
from pine.history.archive import Archive
from pine.history.refill import Refill
from pine.hub.aggregator import Closed
from pine.hub.publisher import Publisher
from pine.worker.engine import Outcome
from pine.worker.live import LiveSource


@contextlib.contextmanager
def server(config: Config) -> Iterator[Client]:
    """Provide a connection to the configuration's embedded server, which ends afterwards."""
    embedded = EmbeddedServer(config.data_dir, config.bus.fsync)
    embedded.ensure()
    try:
        client = connect(config)
        try:
            yield client
        finally:
            client.close()
    finally:
        embedded.stop()


@contextlib.contextmanager
def held(client: Client, role: str) -> Iterator[Lease]:
    """Hold a role."""
    lease = Lease.acquire(client, role, lambda _: None, threading.Event())
    if lease is None:
        raise BenchError(f"{role}: found it held, expected it free")
    lease.keep()
    try:
        yield lease
    finally:
        lease.release()


@contextlib.contextmanager
def publishing(config: Config, client: Client) -> Iterator[Publisher]:
    """Provide what a hub publishes with, its symbols registered."""
    with held(client, keys.HUB) as lease:
        publisher = Publisher.resume(client, lease.token)
        publisher.register(config, {})
        yield publisher


def fill_archive(config: Config, closed: Sequence[Closed]) -> Archive:
    """Put all bars of some whole sessions into the archive, and return it."""
    archive = Archive.of(config)
    bars = sorted((bar for item in closed for bar in item.bars), key=lambda bar: (bar.symbol, bar.timeframe.value))
    for (symbol, timeframe), alike in groupby(bars, key=lambda bar: (bar.symbol, bar.timeframe)):
        found, rule = list(alike), config.session_rule(symbol)
        minutes = found if timeframe is Timeframe.MINUTE else [bar for bar in bars if bar.symbol == symbol]
        begin = session_begin(min(bar.start for bar in minutes if bar.timeframe is Timeframe.MINUTE), rule)
        end = session(max(bar.start for bar in minutes), rule).end
        archive.add_bars(symbol, timeframe, found, begin, end, "import")
    return archive


@define
class Watched:
    """A live worker's source of steps that tells somebody after every step that is done."""

    source: LiveSource
    after: Callable[[Step], None] = lambda _: None

    def next(self) -> Step | None:
        """Return the next step."""
        return self.source.next()

    def done(self, step: Step, outcome: Outcome) -> None:
        """Finish a step, and tell of it."""
        self.source.done(step, outcome)
        self.after(step)

    def warm_up(self) -> WarmUp | None:
        """Return the history that is fed first."""
        return self.source.warm_up()

    def refilled(self, told: Refill) -> Sequence[Bar] | None:
        """Return the minutes of a hole."""
        return self.source.refilled(told)

    def alive(self) -> bool:
        """Show a sign of life while history is fed; return whether to go on."""
        return self.source.alive()


@frozen
class Ran:
    """A command that ended well, and what it printed."""

    out: str


def command(arguments: Sequence[str]) -> Ran:
    """Run ``pine`` with arguments and wait for it.

    Raises
    ------
    BenchError
        If it fails.
    """
    import subprocess

    from pine.ops.process import pine_command

    done = subprocess.run(pine_command(arguments), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"pine {' '.join(arguments)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return Ran(done.stdout)
