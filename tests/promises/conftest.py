"""One small market, and what an undisturbed desk makes of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from house import END, House, house
from once import once

from pine.sandbox.demo.record import Record
from pine.sandbox.market import GeneratedMarket, generate_market
from pine.sandbox.tape import Tape

OpenHouse = Callable[..., AbstractContextManager[House]]


@pytest.fixture(scope="session")
def market() -> GeneratedMarket:
    return generate_market(["ES", "GC"], 2, 3, trades_per_day=3000)


@pytest.fixture(scope="session")
def tape(market: GeneratedMarket) -> Tape:
    return Tape.of_trades(market.trades, market.symbols)


@pytest.fixture(scope="session")
def unbroken(tape: Tape, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """What one hub and two workers that nothing happens to leave on the streams."""
    return once(tmp_path_factory, "promises", lambda: undisturbed(tape, tmp_path_factory.mktemp("unbroken")))


def undisturbed(tape: Tape, folder: Path) -> Record:
    """Run them."""
    with house(folder, tape, webhooks=False) as desk:
        for strategy in ("one", "two"):
            desk.worker(strategy)
        desk.hub()
        desk.play(END)
        for strategy in ("one", "two"):
            desk.decided(strategy, END)
        return desk.record()
