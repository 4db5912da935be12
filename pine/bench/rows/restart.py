"""Restart: a worker from nothing to its first live step, against reading the same history and computing once.

The worker reads on the stream server what it was fed at its origin and every minute since, and judges all of it again;
the other side reads the same bars from the archive and has the same indicators computed over them. The archive has a
file for each session of each table; a note says what one file for each symbol and length would have taken.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
from attrs import define, field

from pine.bench.house import Watched, fill_archive, publishing, server
from pine.bench.market import closed_market, configure
from pine.bench.measure import refuse_difference, timed
from pine.bench.row import Aim, Bench, Row, Sides, Taken
from pine.bus import keys
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.bar import Bar
from pine.core.config import Config, WarmUpConfig
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.feeds.steps import Step
from pine.history.archive import Archive
from pine.history.leads import look_back
from pine.history.manifest import bars_table
from pine.history.tables import frame_bars
from pine.strategies.ibs_rules import IbsState
from pine.strategies.judge import Standards
from pine.worker.live import LiveSource

NAME: Final = "one"
SYMBOLS: Final = ("ES", "NQ", "6E")
CONFIG: Final = """\
data_dir: data
bus: {{fsync: everysec}}
warm_up: {{daily: {daily}, hourly: 15, buy: false}}
instruments: {{ES: {{}}, NQ: {{}}, 6E: {{}}}}
strategies:
  one: {{type: ibs, daily_stop_loss: 1000000000, instruments: [ES, NQ, 6E]}}
"""
AFTER: Final = 1_500
"""Steps between a strategy's origin and the end of the market."""
COMING: Final = 300
"""Steps that are left for the restarted workers."""
PROVENANCE: Final = {"config": "c", "code": "d"}


@define
class _FromParquet:
    """Reads what a restarted worker needs to know, and computes the indicators of the IBS rule over it once."""

    config: Config
    archive: Archive
    origin: int
    until: int
    states: dict[str, IbsState] = field(factory=dict)
    bars: int = 0

    def compute(self) -> None:
        """Read the archive's files, one for each session of each table, and compute."""
        self._compute(self.archive.bars)

    def compute_compact(self, folder: Path) -> None:
        """Read one file for each symbol and length, which somebody made of the same bars beforehand, and compute."""

        def read(symbol: str, kind: Timeframe, first: int, end: int) -> list[Bar]:
            import polars as pl

            path = folder / f"{symbol}-{kind.value}.parquet"
            if not path.exists():
                self.archive.frame(bars_table(symbol, kind), first, end).write_parquet(path)
            return frame_bars(symbol, kind, pl.read_parquet(path))

        self._compute(read)

    def _compute(self, read: Callable[[str, Timeframe, int, int], list[Bar]]) -> None:
        self.bars = 0
        for symbol, rule in self.config.rules_of(NAME).items():
            began = session_begin(self.origin - NS_PER_MINUTE, rule)
            asked = self.config.warm_up_of(NAME) or WarmUpConfig()
            spans = {
                Timeframe.DAY: look_back(began, asked.daily, rule),
                Timeframe.HOUR: look_back(began, asked.hourly, rule),
                Timeframe.MINUTE: began,
            }
            whole = self.until - self.until % NS_PER_HOUR  # the hour under way is not known yet
            ends = {Timeframe.DAY: whole, Timeframe.HOUR: whole, Timeframe.MINUTE: self.until}
            found = {kind: read(symbol, kind, first, ends[kind]) for kind, first in spans.items()}
            self.bars += sum(map(len, found.values()))
            state = self.states[symbol] = IbsState(self.config.traded[NAME][symbol].params)
            for bar in found[Timeframe.HOUR]:
                state.update(bar)


@contextmanager
def ready(bench: Bench) -> Iterator[Sides]:
    """Let a strategy begin with a year of days and three weeks of hours, and live for about a session."""
    from pine.worker.run import make_standards

    daily, days = (12, 20) if bench.quick else (252, 262)
    config = configure(bench.folder, CONFIG.format(daily=daily))
    closed = closed_market(SYMBOLS, days, 600 if bench.quick else 1_500)
    before, lived, coming = closed[:-AFTER], closed[-AFTER:-COMING], iter(closed[-COMING:])
    origin = before[-1].boundary
    bench.tell("restart: filling an archive")
    parquet = _FromParquet(config, fill_archive(config, closed), origin, lived[-1].boundary)
    standards = make_standards(config, NAME)
    with server(config) as client, publishing(config, client) as publisher:
        publisher.publish(list(before[-AFTER:]))
        source = start(config, client, standards)
        publisher.publish(list(lived))
        live(source, standards, len(lived))

        def ours() -> Taken:
            publisher.publish([next(coming)])
            again, spent = timed(lambda: live(restarted(config, client), standards, 1))
            return Taken(*spent.cost(1, 1e3), notes={"steps gone over again": again.vitals.steps - 1})

        def theirs() -> Taken:
            _, spent = timed(parquet.compute)
            _, compact = timed(lambda: parquet.compute_compact(bench.folder))
            return Taken(
                *spent.cost(1, 1e3), notes={"from one file for each symbol and length, ms": compact.wall * 1e3}
            )

        def same() -> str:
            parquet.compute()
            refuse_difference([state.ibs for state in parquet.states.values()], _last_strengths(client))
            return f"the newest internal bar strength of {len(SYMBOLS)} symbols alike"

        parquet.compute_compact(bench.folder)
        parquet.compute()
        size = (
            f"{len(SYMBOLS)} symbols: {daily} sessions of days, 15 of hours, then {len(lived):,} steps lived; "
            f"{parquet.bars:,} bars read"
        )
        yield Sides(size, theirs, ours, same)


def start(config: Config, client: Client, standards: Standards) -> LiveSource:
    """Start a strategy for the first time, as its process does."""
    from pine.strategies.catalog import strategy_class
    from pine.worker.coldstart import ColdStart

    source = restarted(config, client)
    source.asked = config.warm_up_of(NAME) or WarmUpConfig()
    read = standards.timeframes(strategy_class(config.strategies[NAME].type).timeframes)
    source.open(ColdStart(config, NAME, client, read, source.asked, source.stop, source.vitals.sign).run())
    return source


def restarted(config: Config, client: Client) -> LiveSource:
    """Return a source of steps for a worker that has just taken over the role."""
    from pine.worker.run import make_desk

    lease = Lease.acquire(client, f"worker:{NAME}", lambda _: None, threading.Event())
    assert lease is not None
    return LiveSource(config, NAME, client, lease, make_desk(config, NAME), threading.Event(), PROVENANCE, dict)


def live(source: LiveSource, standards: Standards, steps: int) -> LiveSource:
    """Take a cursor up and live for some live steps, then let go of the role."""
    from pine.worker.run import make_engine

    if source.origin is None:
        source.open()
    left = steps

    def after(step: Step) -> None:
        nonlocal left
        left -= step.live
        if not left:
            source.stop.set()

    try:
        make_engine(source.config, NAME, source.desk, Watched(source, after), source.reach, standards).run()
    finally:
        source.lease.release()
    return source


def _last_strengths(client: Client) -> list[float]:
    """Return what the newest hour's flight record says of each symbol."""
    ((_, fields),) = client.xrevrange(keys.flight(NAME), count=1)
    observed = orjson.loads(fields[b"flight"])["observed"]
    return [seen["ibs"] for symbol in SYMBOLS for seen in observed if seen["symbol"] == symbol]


ROW: Final = Row(
    name="restart",
    path="restart to first live step",
    against="reading that history from the archive's Parquet files and computing the indicators once",
    aim=Aim(at_most=2.0),
    unit="ms",
    ready=ready,
)
