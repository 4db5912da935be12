"""Memory: a hub process after ten million trades, against itself after the first million.

A gateway plays a tape over and over, each turn some weeks later, at a steady pace of some hundred thousand trades a
second; the hub publishes to a server. Its own tape is off: what waits for the disk is bounded, but comes and goes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from pine.bench.gateway import KEY, gateway
from pine.bench.house import server
from pine.bench.market import SEED, START, configure
from pine.bench.row import Aim, Bench, BenchError, Row, Sides, Taken
from pine.bus import keys
from pine.bus.client import Client
from pine.sandbox.demo.stage import Child, stop_all
from pine.sandbox.market import write_market

CONFIG: Final = """\
data_dir: data
databento: {{api_key: {key}, gateway: "127.0.0.1:{port}"}}
bus: {{fsync: everysec}}
hub: {{clock: tape, tape: off}}
instruments: {{ES: {{}}, NQ: {{}}, CL: {{}}, GC: {{}}}}
"""
PATIENCE: Final = 600.0
SPEED: Final = "30000"
"""Times real time: some hundred thousand trades a second."""
FIRST: Final = 1_000_000
LAST: Final = 10_000_000


@contextmanager
def ready(bench: Bench) -> Iterator[Sides]:
    """Run gateway, server and hub until the run is over."""
    scale = 1_000 if bench.quick else 1
    tape = bench.folder / "trades.dbn.zst"
    days, per_day = (2, 2_000) if bench.quick else (5, 100_000)
    market = write_market(tape, ("ES", "NQ", "CL", "GC"), days, SEED, START, trades_per_day=per_day)
    with gateway(bench.folder, tape, "loop", SPEED) as port:
        config = configure(bench.folder, CONFIG.format(key=KEY, port=port))
        with server(config) as client:
            hub = Child.start("hub", ["-c", str(config.path), "hub"], bench.folder)
            try:
                watch = _Watch(bench, hub, client)
                size = (
                    f"a tape of {len(market.trades):,} trades of 4 roots in {days} sessions, played until "
                    f"{LAST // scale:,} trades"
                )
                yield Sides(size, lambda: watch.at(FIRST // scale), lambda: watch.at(LAST // scale), lambda: SAME)
            finally:
                stop_all([hub])


SAME: Final = "one hub process, looked at twice; it counts what it received"


class _Watch:
    """Looks at how much memory a hub has once it has received so many trades."""

    def __init__(self, bench: Bench, hub: Child, client: Client) -> None:
        self._bench, self._hub, self._client = bench, hub, client

    def at(self, trades: int) -> Taken:
        """Wait for a number of trades; return the megabytes that the process holds then."""
        deadline, beat = time.monotonic() + PATIENCE, 0
        while True:
            self._hub.check()
            facts = self._client.hgetall(keys.heartbeat(keys.HUB))
            counts: dict[str, Any] = orjson.loads(facts.get(b"counts", b"{}"))
            seen = int(counts.get("trades", 0))
            if seen >= trades:
                return Taken(_resident(self._hub.process.pid), notes={f"trades when {trades:,} were waited for": seen})
            if time.monotonic() > deadline:
                raise BenchError(f"memory: found {seen:,} trades after {PATIENCE:.0f} s, expected {trades:,}")
            if seen != beat:
                beat, held = seen, _resident(self._hub.process.pid)
                self._bench.tell(f"memory: {seen:,} of {trades:,} trades, {held:.0f} MB")
            time.sleep(0.1)  # the heartbeat is a key, which nobody can wait for


def _resident(pid: int) -> float:
    """Return the megabytes of memory that a process holds."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        raise BenchError("memory: /proc is needed to see what a process holds; this system has none")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1e3


ROW: Final = Row(
    name="memory",
    path="hub memory over 10 million trades",
    against="after the first million",
    aim=Aim(at_most=1.05),
    unit="MB",
    ready=ready,
    once=True,
)
