"""A generated market on a server's streams, and workers over it, all in this process."""

import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from attrs import define

from pine.bench.house import Watched
from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.config import Config, load_config
from pine.core.timeframe import NS_PER_HOUR
from pine.feeds.steps import Step
from pine.feeds.warmup import WarmUp
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.clock import TapeClock
from pine.hub.publisher import Publisher
from pine.sandbox.market import generate_market
from pine.strategies.catalog import PARAMS
from pine.worker.engine import Engine
from pine.worker.live import LiveSource
from pine.worker.run import make_desk, make_engine, make_standards

CONFIG = """
data_dir: data
warm_up: off
instruments: {ES: {}, GC: {}, 6E: {}}
strategies:
  one: {type: ibs, max_positions: 2, instruments: [ES, GC], params: {entry_setting: none, stop_percent: 0.3}}
  two: {type: ibs, starting_cash: 50000, instruments: [GC, ES, 6E], params: {bar_stop_bars: 3}}
"""

STREAMS = (keys.CLOCK, keys.ledger("one"), keys.flight("one"))
"""What hub and worker of strategy ``one`` write that must be the same in any run."""


def configure(folder: Path, text: str = CONFIG) -> Config:
    """Write a configuration and load it."""
    path = folder / "pine.yaml"
    path.write_text(text)
    return load_config(path, PARAMS, {})


@cache
def closed_bars(days: int = 2, seed: int = 5, silence: int = 3) -> tuple[Closed, ...]:
    """Return what closes in a few generated sessions of ES, GC and 6E, and some hours of silence after them."""
    config_rules = {symbol: _rule(symbol) for symbol in ("ES", "GC", "6E")}
    market = generate_market(["ES", "GC", "6E"], days, seed, trades_per_day=3000)
    aggregator = Aggregator(config_rules, TapeClock())
    aggregator.begin_session(replaying=False)
    aggregator.clock.observe(int(market.trades["ts_recv"][0]))
    for instrument, raw in market.symbols.items():
        aggregator.map_instrument(instrument, raw)
    aggregator.add(market.trades)
    closed = aggregator.advance()
    aggregator.heartbeat(int(market.trades["ts_recv"][-1]) + silence * NS_PER_HOUR)
    return tuple(closed + aggregator.advance())


def _rule(symbol: str):
    from pine.core.instruments import spec
    from pine.core.period import SessionRule

    return SessionRule(group=spec(symbol).group)


def publish(client: Client, config: Config, closed: Sequence[Closed]) -> None:
    """Put bars on the streams as a hub does."""
    lease = Lease.try_acquire(client, keys.HUB, "test")
    assert isinstance(lease, Lease)
    publisher = Publisher.resume(client, lease.token)
    publisher.register(config, {})
    publisher.publish(list(closed))
    lease.release()


@define
class Run:
    """One life of a worker."""

    source: LiveSource
    engine: Engine
    stop: threading.Event

    def until(self, reached: Callable[[Step], bool]) -> "Run":
        """Run until a condition holds after a step, then end in order."""

        def look(step: Step) -> None:
            if reached(step):
                self.stop.set()

        self.engine.source = Watched(self.source, look)
        self.engine.run()
        self.source.lease.release()
        return self

    def until_caught_up(self) -> "Run":
        """Run until the newest clock entry is done."""
        newest = streams.ms_of(streams.last_id(self.source.client, keys.CLOCK) or "0")
        return self.until(lambda step: step.ts // 1_000_000 == newest)

    def until_step(self, count: int) -> "Run":
        """Run for some live steps."""
        left = iter(range(count - 1, -1, -1))
        return self.until(lambda step: step.live and next(left) == 0)


def begin(client: Client, config: Config, name: str, history: WarmUp | None = None) -> Run:
    """Start a worker and take up its cursor; it has not read anything yet."""
    client.config_set("appendfsync", "everysec")  # type: ignore[attr-defined]  # thousands of steps, no power cut here
    lease = Lease.try_acquire(client, f"worker:{name}", "test")
    assert isinstance(lease, Lease)
    stop = threading.Event()
    desk = make_desk(config, name)
    source = LiveSource(config, name, client, lease, desk, stop, {"config": "c", "code": "d"}, dict)
    source.open(history)
    return Run(source, make_engine(config, name, desk, source, source.reach, make_standards(config, name)), stop)


def record(client: Client, stream: str) -> list[tuple[str, dict[bytes, bytes]]]:
    """Return a stream without the writers' tokens."""
    found = streams.read_range(client, stream)
    return [(identifier, {k: v for k, v in fields.items() if k != b"fence"}) for identifier, fields in found]


def written(client: Client) -> dict[str, list]:
    """Return what `STREAMS` hold."""
    return {stream: record(client, stream) for stream in STREAMS}


def lags(client: Client) -> dict[str, int | None]:
    """Return how many entries of each bar stream of strategy ``one`` its group has not been moved over."""
    streams_of = [
        f"market:{symbol}:{timeframe}" for symbol in ("ES", "GC") for timeframe in ("1min", "hourly", "daily")
    ]
    return {stream: streams.group_info(client, stream, "one")["lag"] for stream in streams_of}
