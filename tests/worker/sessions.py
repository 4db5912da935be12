"""Eight sessions of a market, and everywhere that a new strategy's history may come from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from market import Run, configure, publish, record
from standin import stand_ins

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.bar import Bar
from pine.core.config import Config, WarmUpConfig
from pine.core.instruments import spec
from pine.core.period import SessionRule, session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_SECOND, Timeframe
from pine.core.times import parse_time
from pine.history.archive import Archive
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.clock import TapeClock
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_data import HistoryData
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.sandbox.tape import Tape
from pine.strategies.catalog import strategy_class
from pine.worker.coldstart import ColdStart
from pine.worker.live import LiveSource
from pine.worker.run import make_desk, make_engine, make_standards

ROOTS = ("ES", "GC")
KEY = "db-" + "k" * 29
START = parse_time("2024-03-13T14:37")
"""The step after which the strategies of these tests live: in the middle of an hour of the eighth session."""

CONFIG = """
data_dir: data
databento: {{api_key: {key}{gateway}}}
warm_up: {warm_up}
instruments: {{ES: {{}}, GC: {{}}}}
strategies:
  one: {{type: {kind}, max_positions: 2, instruments: [ES, GC]{more}}}
"""
IBS = ", params: {entry_setting: none, ibs_entry_high: 0.45, stop_percent: 0.1, bar_stop_bars: 3}"
SMALL = "{daily: 4, hourly: 3}"
NOT_BUYING = "{daily: 4, hourly: 3, buy: false}"
STREAMS = (keys.ledger("one"), keys.flight("one"), keys.warm_up("one"))
"""What a strategy leaves on the server."""


@cache
def market() -> GeneratedMarket:
    """ES and GC over nine sessions around the roll of ES in March 2024."""
    return generate_market(ROOTS, 9, seed=5, trades_per_day=900)


@cache
def tape() -> Tape:
    return Tape.of_trades(market().trades, market().symbols)


@cache
def closed() -> tuple[Closed, ...]:
    """Return what a hub that saw all of it publishes."""
    aggregator = Aggregator({root: SessionRule(group=spec(root).group) for root in ROOTS}, TapeClock())
    aggregator.begin_session(replaying=False)
    first = int(market().trades["ts_recv"][0])
    for number, name in market().symbols.items():
        aggregator.table.add(number, name, first)
    aggregator.add(market().trades)
    found = aggregator.advance()
    aggregator.heartbeat(int(market().trades["ts_recv"][-1]) + 120 * NS_PER_SECOND)
    return tuple(found + aggregator.advance())


def until(step: int = START) -> list[Closed]:
    """Return what closes up to a step."""
    return [item for item in closed() if item.boundary <= step]


def life(client: Client) -> dict[str, list]:
    """Return what a strategy has left on the server."""
    return {stream: record(client, stream) for stream in STREAMS}


_PUBLISHED: dict[int, dict[bytes, bytes]] = {}


def publish_until(client: Client, config: Config, step: int = START) -> None:
    """Put what closes up to a step on the streams of a server that has none: published once, then copied."""
    assert not client.exists(keys.CLOCK)
    if step not in _PUBLISHED:
        publish(client, config, until(step))
        _PUBLISHED[step] = {key: client.dump(key) for key in client.keys("*")}  # type: ignore[attr-defined]
    for key, content in _PUBLISHED[step].items():
        client.restore(key, 0, content, replace=True)  # type: ignore[attr-defined]


def after(step: int = START, hours: int = 40) -> list[Closed]:
    """Return what closes in some hours after a step."""
    return [item for item in closed() if step < item.boundary <= step + hours * NS_PER_HOUR]


def bare(step: int = START) -> list[Closed]:
    """Return a step at which nothing is known to have closed: all that a hub that just began would leave."""
    return [evolve(item, bars=(), volumes={}, leads=(), events=()) for item in closed() if item.boundary == step]


def bars(symbol: str, timeframe: Timeframe) -> list[Bar]:
    return [bar for item in closed() for bar in item.bars if (bar.symbol, bar.timeframe) == (symbol, timeframe)]


def fill_archive(config: Config, end: int = START, symbols: Sequence[str] = ROOTS) -> Archive:
    """Put the minutes before a step into the archive."""
    archive = Archive.of(config)
    for symbol in symbols:
        begin = session_begin(bars(symbol, Timeframe.MINUTE)[0].start, config.session_rule(symbol))
        minutes = [bar for bar in bars(symbol, Timeframe.MINUTE) if bar.start < end]
        archive.add_bars(symbol, Timeframe.MINUTE, minutes, begin, end, "import")
    return archive


@contextmanager
def historical(folder: Path, monkeypatch: pytest.MonkeyPatch, *faults: str, **more: Any) -> Iterator[HistoryServer]:
    """Sell the market on a Historical API of our own."""
    with stand_ins(folder, monkeypatch) as begin:
        yield begin(HistoryData(tape()), *faults, **more)


def config_of(
    folder: Path, warm_up: str = SMALL, *, gateway: str = "", kind: str = "ibs", more: str = IBS, key: str = KEY
) -> Config:
    folder.mkdir(exist_ok=True)
    where = f', historical_gateway: "{gateway}"' if gateway else ""
    return configure(folder, CONFIG.format(key=key, gateway=where, warm_up=warm_up, kind=kind, more=more))


def start(client: Client, config: Config, name: str = "one", *, skip: bool = True) -> Run:
    """Start a worker as its process does, up to where it reads its first step."""
    import threading

    client.config_set("appendfsync", "everysec")  # type: ignore[attr-defined]
    lease = Lease.try_acquire(client, f"worker:{name}", "test")
    assert isinstance(lease, Lease)
    stop = threading.Event()
    desk, standards = make_desk(config, name), make_standards(config, name)
    source = LiveSource(config, name, client, lease, desk, stop, {"config": "c", "code": "d"}, dict)
    try:
        history = None
        if config.warm_up_of(name) is not None and source.is_new():
            kind = strategy_class(config.strategies[name].type)
            source.asked = standards.reach(config.warm_up_of(name) or WarmUpConfig())
            read = standards.timeframes(kind.timeframes)
            history = ColdStart(config, name, client, read, source.asked, stop, source.vitals.sign).run()
        source.open(history)
    except BaseException:
        lease.release()
        raise
    engine = make_engine(config, name, desk, source, source.reach, standards)
    engine.skip = skip
    return Run(source, engine, stop)
