"""A market with a roll, served by the Historical stand-in, and what the hub makes of the same trades."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from market import configure
from standin import stand_ins

from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.bar import Bar
from pine.core.config import Config, DatabentoConfig, InstrumentConfig, Secret
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_SECOND, Timeframe
from pine.history.historical import HistoricalSource
from pine.history.vendor import Patience
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.clock import TapeClock
from pine.hub.lead import choose_lead
from pine.sandbox.history import HistoryServer
from pine.sandbox.history_data import SCHEMAS, HistoryData
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.sandbox.tape import Tape

KEY = "db-" + "k" * 29
Serve = Callable[..., HistoryServer]


def pytest_configure(config: pytest.Config) -> None:
    """Let the trading calendar's library use what its own dependency is about to drop."""
    config.addinivalue_line("filterwarnings", "ignore:Series.values returning an ndarray that drops timezone")


@frozen
class HubBars:
    """Minutes of ES as the hub publishes them, the lead of each session, and everything that closed."""

    bars: list[Bar]
    leads: list[tuple[int, str]]
    closed: list[Closed]


@pytest.fixture(scope="session")
def market() -> GeneratedMarket:
    """ES over nine sessions around its roll in March 2024, about 7,000 trades."""
    return generate_market(["ES"], 9, seed=5, trades_per_day=800)


@pytest.fixture(scope="session")
def tape(market: GeneratedMarket) -> Tape:
    return Tape.of_trades(market.trades, market.symbols)


@pytest.fixture(scope="session")
def hub(market: GeneratedMarket) -> HubBars:
    aggregator = Aggregator({"ES": SessionRule(group="equity")}, TapeClock())
    aggregator.begin_session(replaying=False)
    first = int(market.trades["ts_recv"][0])
    for number, name in market.symbols.items():
        aggregator.table.add(number, name, first)
    aggregator.add(market.trades)
    closed = aggregator.advance()
    aggregator.heartbeat(int(market.trades["ts_recv"][-1]) + 120 * NS_PER_SECOND)
    closed += aggregator.advance()
    bars = [bar for item in closed for bar in item.bars if bar.timeframe is Timeframe.MINUTE]
    return HubBars(bars, [(lead.session_start, lead.raw_symbol) for item in closed for lead in item.leads], closed)


@pytest.fixture
def serve(tape: Tape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start stand-ins that are stopped after the test."""
    with stand_ins(tmp_path, monkeypatch) as start:

        def sell(
            *faults: str, schemas: tuple[str, ...] = SCHEMAS, until: int | None = None, **more: Any
        ) -> HistoryServer:
            return start(HistoryData(tape, until=until, schemas=schemas), *faults, **more)

        yield sell


def configured(gateway: str | None, tmp_path: Path = Path("/nowhere"), **databento: Any) -> Config:
    settings = {"api_key": Secret(KEY, where="databento.api_key"), "historical_gateway": gateway} | databento
    return Config(
        path=tmp_path / "pine.yaml",
        data_dir=tmp_path,
        databento=DatabentoConfig(**settings),  # type: ignore[arg-type]
        instruments={"ES": InstrumentConfig(), "GC": InstrumentConfig()},
    )


def source(
    gateway: str, waits: list[float] | None = None, timeout_s: float = 20.0, **databento: Any
) -> HistoricalSource:
    """A source that does not wait, but notes how long it would have."""
    noted: list[float] = [] if waits is None else waits
    return HistoricalSource(
        configured(gateway, **databento), choose_lead, Patience(timeout_s=timeout_s), noted.append, lambda: 1.0
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Config]]:
    """A server and a configuration for a test of many examples."""
    folder = tmp_path_factory.mktemp("kept")
    server = EmbeddedServer(folder / "data", "everysec")
    server.ensure()
    client = client_for(server.url)
    yield client, configure(folder)
    client.close()
    server.stop()
