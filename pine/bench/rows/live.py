"""Live: what a socket brings to closed bars, against databento's own client handing each record to nobody."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from pine.bench.gateway import KEY, gateway
from pine.bench.market import SEED, START, bars_of, configure
from pine.bench.measure import Spent, Stopwatch, refuse_difference, timed
from pine.bench.row import Aim, Bench, BenchError, Row, Sides, Taken
from pine.core.config import Config
from pine.core.instruments import spec
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_HOUR
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.bulk import Builder, survey
from pine.hub.clock import TapeClock
from pine.sandbox.market import DATASET, write_market

SYMBOLS: Final = ("ES", "NQ", "CL", "GC")
CONFIG: Final = "data_dir: data\nhub: {clock: tape}\ninstruments: {ES: {}, NQ: {}, CL: {}, GC: {}}\n"
PARENTS: Final = [f"{symbol}.FUT" for symbol in SYMBOLS]
QUIET: Final = 24 * NS_PER_HOUR
"""The gateway lets time pass after the tape, so that the last session closes; here it is said to have passed."""


@contextmanager
def ready(bench: Bench) -> Iterator[Sides]:
    """Play a file by a gateway in a process of its own; every run gets all of it, as a replay from its beginning."""
    tape = bench.folder / "trades.dbn.zst"
    days, per_day = (1, 2_000) if bench.quick else (2, 200_000)
    market = write_market(tape, SYMBOLS, days, SEED, START, trades_per_day=per_day)
    count = len(market.trades)
    config = configure(bench.folder, CONFIG)
    with gateway(bench.folder, tape, "close") as port:
        same = partial(_same, port, tape, config, count)
        size = f"{count:,} trades of {len(SYMBOLS)} roots in {days} sessions, from a gateway in another process"
        yield Sides(size, partial(_theirs, port, count), partial(_ours, port, count), same)


def _theirs(port: int, count: int, callback: Callable[[Any], None] = lambda _: None) -> Taken:
    import databento as db

    client = db.Live(key=KEY, gateway="127.0.0.1", port=port)
    client.subscribe(dataset=DATASET, schema="trades", symbols=PARENTS, stype_in="parent", start=0)
    client.add_callback(callback)

    def work() -> None:
        client.start()
        client.block_for_close()

    _, spent = timed(work)
    return Taken(*spent.rate(count, 1e3))


def _ours(port: int, count: int) -> Taken:
    closed, seen, spent = asyncio.run(_session(port))
    if seen != count:
        raise BenchError(f"live: pine saw {seen} trades, expected {count}")
    return Taken(*spent.rate(count, 1e3), did=closed)


async def _session(port: int) -> tuple[list[Closed], int, Spent]:
    """Connect as a hub does, and return what closed, how many trades came, and what that took."""
    from pine.hub.session import HubSession

    aggregator = Aggregator({symbol: SessionRule(group=spec(symbol).group) for symbol in SYMBOLS}, TapeClock())
    aggregator.begin_session(replaying=False)
    closed: list[Closed] = []

    def fresh() -> HubSession:
        return HubSession(KEY, DATASET, 30, aggregator, 1, lambda: closed.extend(aggregator.advance()))

    _, protocol = await asyncio.get_running_loop().create_connection(fresh, "127.0.0.1", port)
    await protocol.authenticated
    protocol.subscribe(schema="trades", symbols=PARENTS, stype_in="parent", start=0)
    watch = Stopwatch()
    protocol.start()
    await protocol.disconnected
    return closed, aggregator.counts["trades"], watch.spent()


def _same(port: int, tape: Path, config: Config, count: int) -> str:
    """Count what the vendor's client hands out, and compare pine's bars with those made from the file at once."""
    seen: list[None] = []
    _theirs(port, count, lambda record: seen.append(None) if type(record).__name__ == "TradeMsg" else None)
    if len(seen) != count:
        raise BenchError(f"live: databento's client handed out {len(seen)} trades, expected {count}")
    (run,) = survey([tape]).runs
    expected = bars_of([item for closed in Builder(config).build(run, run.end + QUIET, {}, {}) for item in closed])
    made = bars_of(_ours(port, count).did)
    refuse_difference(expected, made)
    return f"{count:,} trades seen by both; pine's {len(made):,} bars equal those made from the file"


ROW: Final = Row(
    name="live",
    path="socket to closed bars",
    against="databento's Live with an empty callback, same gateway, same tape",
    aim=Aim(at_least=3.0),
    unit="thousand trades a second",
    ready=ready,
)
