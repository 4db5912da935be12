"""Decision: from a minute's close at the hub to the worker's decision, against a bare hop over the same server.

A worker process is blocked on the clock, as in a live desk. What is timed begins before the hub's publisher writes the
minute, which is one write with the clock entry as its end, and ends when the strategy has decided.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median, quantiles
from typing import Final

import orjson
from attrs import define, field

from pine.bench import hopper
from pine.bench.house import publishing, server
from pine.bench.market import closed_market, configure
from pine.bench.row import Aim, Bench, BenchError, Row, Sides, Taken
from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config
from pine.core.timeframe import Timeframe
from pine.core.times import to_ms
from pine.hub.aggregator import Closed
from pine.hub.publisher import Publisher
from pine.sandbox.demo.stage import Child, stop_all

CONFIG: Final = """\
data_dir: data
bus: {fsync: everysec}
warm_up: off
instruments: {ES: {}}
strategies:
  stamping: {type: "pine.bench.rules:Stamping", daily_stop_loss: 1000000000, instruments: [ES]}
"""
NAME: Final = "stamping"
PAUSE: Final = 0.01
"""Seconds between two entries: both readers are blocked again by then."""
PATIENCE: Final = 60.0
NS_PER_US: Final = 1e3


@contextmanager
def ready(bench: Bench) -> Iterator[Sides]:
    """Start a server, a worker and a reader of a bare stream."""
    config = configure(bench.folder, CONFIG)
    count = 20 if bench.quick else 300
    closed = iter([item for item in closed_market(("ES",), 3, 10_000) if _has_minute(item)])
    with server(config) as client, publishing(config, client) as publisher:
        publisher.publish([next(closed)])
        worker = Child.start("worker", ["-c", str(config.path), "worker", NAME, "--no-courier"], bench.folder)
        url = EmbeddedServer(config.data_dir).url
        command = [sys.executable, "-P", "-m", "pine.bench.hopper", url]
        reader = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            minutes = _Minutes(config, client, publisher, worker, closed)
            minutes.await_worker()
            assert reader.stdout is not None
            reader.stdout.readline()
            theirs = partial(_hops, client, reader, count)
            ours = partial(minutes.decide, count)
            size = f"{count} minutes of one symbol, {PAUSE * 1e3:.0f} ms apart, server with fsync everysec"
            yield Sides(size, theirs, ours, partial(_same, theirs, ours))
        finally:
            stop_all([worker])
            reader.terminate()
            reader.communicate()


def _has_minute(item: Closed) -> bool:
    return any(bar.timeframe is Timeframe.MINUTE for bar in item.bars)


def _hops(client: Client, reader: "subprocess.Popen[bytes]", count: int) -> Taken:
    sent = []
    for _ in range(count):
        time.sleep(PAUSE)  # the pace of the entries
        sent.append(time.monotonic_ns())
        client.xadd(hopper.STREAM, {"bar": b"x" * 200})
    client.xadd(hopper.STREAM, {hopper.LAST.decode(): b""})
    assert reader.stdout is not None
    came = orjson.loads(reader.stdout.readline())
    return _taken([b - a for a, b in zip(sent, came, strict=True)], "bare hop")


@define(eq=False)
class _Minutes:
    """Publishes minutes one by one and learns from the flight records when each was decided."""

    config: Config
    client: Client
    publisher: Publisher
    worker: Child
    closed: Iterator[Closed]
    clocked: dict[int, int] = field(factory=dict)

    def await_worker(self) -> None:
        """Wait until the worker has done what is there."""
        self._wait(lambda: self.client.hget(keys.heartbeat(f"worker:{NAME}"), "status") == b"running")

    def decide(self, count: int) -> Taken:
        """Publish some minutes; return what it took until each was decided."""
        sent: dict[int, int] = {}
        for _ in range(count):
            item = next(self.closed)
            time.sleep(PAUSE)  # the pace of the minutes
            sent[to_ms(item.boundary)] = time.monotonic_ns()
            self.publisher.publish([item])
        newest = max(sent)
        self._wait(lambda: streams.ms_of(streams.last_id(self.client, keys.flight(NAME)) or "0") >= newest)
        decided = {
            streams.ms_of(identifier): orjson.loads(fields[b"flight"])["observed"][0]["decided"]
            for identifier, fields in streams.read_range(self.client, keys.flight(NAME), str(min(sent)))
        }
        if decided.keys() != sent.keys():
            raise BenchError(f"decision: found {len(decided)} minutes decided, expected {len(sent)}")
        return _taken([decided[ms] - sent[ms] for ms in sent], "decision")

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.worker.check()
            if time.monotonic() > deadline:
                raise BenchError(f"decision: the worker is not done after {PATIENCE:.0f} s; see {self.worker.log}")
            time.sleep(0.05)  # heartbeats and flight records tell nobody


def _taken(spans: Sequence[int], name: str) -> Taken:
    micros = [span / NS_PER_US for span in spans]
    return Taken(
        median(micros), did=len(micros), notes={f"99th percentile of the {name}, µs": quantiles(micros, n=100)[98]}
    )


def _same(theirs: partial[Taken], ours: partial[Taken]) -> str:
    hops, minutes = theirs().did, ours().did
    return f"{hops} entries read, {minutes} minutes decided, each once"


ROW: Final = Row(
    name="decision",
    path="minute close to decision",
    against="a bare XADD to a blocked XREADGROUP on the same server",
    aim=Aim(at_most=3.0),
    unit="µs, median",
    ready=ready,
)
