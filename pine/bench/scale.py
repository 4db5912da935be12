"""How cost grows: rate and memory of hub and strategies at more and more symbols, and of more and more strategies.

Every point is a process of its own, so that what it holds at its end is what it needed.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any, Final

import numpy as np
from attrs import frozen

from pine.bench.row import Bench, BenchError
from pine.core.bar import Bar
from pine.core.config import TradedInstrument
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_SECOND, Timeframe
from pine.feeds.builder import BarBuilder
from pine.feeds.steps import Step

SYMBOLS: Final = (1, 10, 100, 1000)
STRATEGIES: Final = (1, 4, 16)
ROOT: Final = "ES"
START: Final = int(datetime(2024, 1, 22, 14, tzinfo=UTC).timestamp()) * NS_PER_SECOND
_LETTERS: Final = "ABCDEIOPRSTWY"
"""Of which roots are made up; none is a month's code, so that no contract is read as another's."""


@frozen
class Point:
    """What one size came to.

    Attributes
    ----------
    rate
        In the table's unit a second.
    memory
        Megabytes that the process held at most, beyond what it held before.
    each
        Microseconds for each bar or trade of each symbol and strategy.
    """

    size: int
    rate: float
    memory: float
    each: float


@frozen
class Table:
    """One way in which cost grows."""

    name: str
    what: str
    unit: str
    points: tuple[Point, ...]


def tables(name: str, bench: Bench) -> list[Table]:
    """Measure ``scale-symbols`` or ``scale-strategies``."""
    if name == "scale-symbols":
        sizes = SYMBOLS[:2] if bench.quick else SYMBOLS
        return [
            _table(name, "hub: trades to closed bars, by symbols", "trades", sizes, _hub, bench),
            _table(name, "worker: steps of a strategy on all symbols", "steps", sizes, _worker, bench),
        ]
    counts = STRATEGIES[:2] if bench.quick else STRATEGIES
    return [_table(name, "strategies side by side, on 20 symbols each", "steps", counts, _workers, bench)]


def _table(
    name: str, what: str, unit: str, sizes: Sequence[int], measure: Callable[[int, bool], Point], bench: Bench
) -> Table:
    points = []
    for size in sizes:
        bench.tell(f"{name}: {what}: {size}")
        points.append(_apart(partial(measure, size, bench.quick)))
    return Table(name, what, unit, tuple(points))


def _apart(work: Callable[[], Any]) -> Any:
    """Do something in a new process and return what it returns."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def _resident() -> float:
    """Return the megabytes that this process has held at most; what the system tells of itself may be its parent's."""
    status = Path("/proc/self/status")
    if not status.exists():
        return getrusage(RUSAGE_SELF).ru_maxrss / 1e6
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1e3


def roots(count: int) -> list[str]:
    """Return made-up roots, three letters each."""
    found = [a + b + c for a in _LETTERS for b in _LETTERS for c in _LETTERS]
    if count > len(found):
        raise BenchError(f"roots: found {count} asked for, expected at most {len(found)}")
    return found[:count]


def _hub(size: int, quick: bool) -> Point:
    """Feed as many trades, spread over more and more symbols, to an aggregator in batches as a socket brings them."""
    from pine.hub.aggregator import Aggregator
    from pine.hub.clock import TapeClock
    from pine.sandbox.records import empty_trades

    count, batch = 20_000 if quick else 1_000_000, 1_365
    trades = empty_trades(count)
    rng = np.random.Generator(np.random.PCG64(size))
    trades["ts_recv"] = START + np.arange(count) * (30 * NS_PER_MINUTE // count)
    trades["ts_event"] = trades["ts_recv"]
    trades["instrument_id"] = rng.integers(1, size + 1, count)
    trades["price"] = rng.integers(4_000, 5_000, count) * 1_000_000_000
    trades["size"] = 1
    names = roots(size)
    aggregator = Aggregator({root: SessionRule(group="equity") for root in names}, TapeClock())
    aggregator.begin_session(replaying=False)
    aggregator.clock.observe(START)
    for number, root in enumerate(names, start=1):
        aggregator.map_instrument(number, f"{root}H4")
    before, began = _resident(), time.process_time()
    bars = 0
    for first in range(0, count, batch):
        aggregator.add(trades[first : first + batch])
        bars += sum(len(item.bars) for item in aggregator.advance())
    if not bars:
        raise BenchError("scale-symbols: found no bars, expected some")
    spent = time.process_time() - began
    return Point(size, count / spent, _resident() - before, spent / count * 1e6)


def _steps(symbols: Sequence[str], minutes: int) -> list[Step]:
    """Return steps with a bar of each symbol, and the hours that a hub would publish."""
    rng = np.random.Generator(np.random.PCG64(len(symbols)))
    closes = 4_000.0 + np.cumsum(rng.integers(-4, 5, (minutes, len(symbols))), axis=0) / 4
    builder = BarBuilder({symbol: SessionRule(group="equity") for symbol in symbols})
    steps = []
    for n, row in enumerate(closes.tolist()):
        start = START + n * NS_PER_MINUTE
        bars = [_minute(symbol, start, close) for symbol, close in zip(symbols, row, strict=True)]
        for bar in bars:
            builder.add(bar)
        steps.append(Step(start + NS_PER_MINUTE, 0, bars, builder.close(start + NS_PER_MINUTE), []))
    return steps


def _minute(symbol: str, start: int, close: float) -> Bar:
    return Bar(symbol, Timeframe.MINUTE, start, close, close + 0.5, close - 0.5, close, 10, 1, f"{symbol}H4")


class _Given:
    """A source that gives steps and forgets what came of them."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = iter(steps)

    def next(self) -> Step | None:
        return next(self._steps, None)

    def done(self, step: Step, outcome: Any) -> None:
        pass

    def warm_up(self) -> None:
        return None

    def refilled(self, told: Any) -> None:  # noqa: ARG002  # the engine's signature
        return None

    def alive(self) -> bool:
        return True


def _run(symbols: Sequence[str], steps: Sequence[Step]) -> None:
    """Run IBS on some symbols over steps, in the worker's engine on an account in memory."""
    from pine.orders.desk import Desk
    from pine.orders.portfolio import Portfolio
    from pine.strategies.ibs_rules import IbsParams
    from pine.strategies.risk import RiskRules
    from pine.worker.engine import Engine

    rules = {symbol: SessionRule(group="equity") for symbol in symbols}
    traded = {symbol: TradedInstrument(symbol, symbol, 1, 0.0, 50.0, IbsParams()) for symbol in symbols}
    desk = Desk("scale", Portfolio(1e9, SessionRule()), traded, RiskRules(len(symbols), 1e9))
    Engine("ibs", desk, rules, _Given(steps)).run()


def _worker(size: int, quick: bool) -> Point:
    """Run one strategy on more and more symbols."""
    symbols = roots(size)
    steps = _steps(symbols, 61 if quick else max(121, 6_000 // size))
    _run(symbols, steps[:2])
    before, began = _resident(), time.process_time()
    _run(symbols, steps)
    spent = time.process_time() - began
    return Point(size, len(steps) / spent, _resident() - before, spent / len(steps) / size * 1e6)


def _workers(size: int, quick: bool) -> Point:
    """Run more and more strategies, each in a process of its own, as many at once as there are."""
    minutes = 61 if quick else 1_440
    spawn = multiprocessing.get_context("spawn")
    processes = []
    told: Any = spawn.Queue()
    go = spawn.Event()
    for _ in range(size):
        process = spawn.Process(target=_one_of_many, args=(minutes, told, go))
        process.start()
        processes.append(process)
    for _ in processes:
        told.get()
    began = time.perf_counter()
    go.set()
    memories = [told.get() for _ in processes]
    spent = time.perf_counter() - began
    for process in processes:
        process.join()
    return Point(size, size * minutes / spent, sum(memories), spent / minutes / size / 20 * 1e6)


def _one_of_many(minutes: int, told: Any, go: Any) -> None:
    symbols = roots(20)
    steps = _steps(symbols, minutes)
    _run(symbols, steps[:2])
    told.put("ready")
    go.wait()
    _run(symbols, steps)
    told.put(_resident())
