from collections.abc import Callable, Iterator

import pytest

from pine.sandbox.background import GatewayThread
from pine.sandbox.gateway import Gateway
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.sandbox.tape import Tape


def pytest_configure(config: pytest.Config) -> None:
    """Let the trading calendar's library use what its own dependency is about to drop."""
    config.addinivalue_line("filterwarnings", "ignore:Series.values returning an ndarray that drops timezone")


@pytest.fixture(scope="session")
def market() -> GeneratedMarket:
    """Two roots over two sessions, about 6,000 trades."""
    return generate_market(["ES", "GC"], 2, seed=11, trades_per_day=1_500)


@pytest.fixture(scope="session")
def tape(market: GeneratedMarket) -> Tape:
    return Tape.of_trades(market.trades, market.symbols)


@pytest.fixture
def serve() -> Iterator[Callable[[Gateway], GatewayThread]]:
    """Start gateways that are stopped after the test."""
    running: list[GatewayThread] = []

    def start(gateway: Gateway) -> GatewayThread:
        thread = GatewayThread(gateway)
        thread.start()
        running.append(thread)
        return thread

    yield start
    for thread in running:
        thread.stop()
