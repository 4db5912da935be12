"""Generated markets as the rows need them: as a file, as what closed, as bars in memory."""

from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from pine.core.bar import Bar
from pine.core.config import Config, load_config
from pine.core.instruments import spec
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.clock import TapeClock
from pine.sandbox.market import generate_market
from pine.strategies.catalog import PARAMS

START: Final = date(2024, 1, 22)
"""Some sessions from here on none of the roots rolls; equity, currencies and rates not before March."""
SEED: Final = 11
BATCH: Final = 100_000
AFTER: Final = 3 * NS_PER_HOUR
"""Silence after the last trade, so that the last session closes too."""

ROOTS: Final = (
    *("ES", "NQ", "RTY", "YM", "6A", "6B", "6C", "6E", "6J", "6M", "6N", "6S", "ZB"),
    *("MES", "MNQ", "M2K", "MYM", "M6A", "M6B", "M6E"),
)
"""Twenty roots that roll in March, June, September and December."""


@cache
def closed_market(symbols: tuple[str, ...], days: int, trades_per_day: int) -> tuple[Closed, ...]:
    """Return what closes in some sessions of a market."""
    market = generate_market(symbols, days, SEED, START, trades_per_day=trades_per_day)
    aggregator = Aggregator({symbol: SessionRule(group=spec(symbol).group) for symbol in symbols}, TapeClock())
    aggregator.begin_session(replaying=False)
    aggregator.clock.observe(int(market.trades["ts_recv"][0]))
    for number, name in market.symbols.items():
        aggregator.map_instrument(number, name)
    closed: list[Closed] = []
    for first in range(0, len(market.trades), BATCH):
        aggregator.add(market.trades[first : first + BATCH])
        closed += aggregator.advance()
    aggregator.heartbeat(int(np.asarray(market.trades["ts_recv"][-1])) + AFTER)
    return (*closed, *aggregator.advance())


def bars_of(closed: Sequence[Closed], timeframe: Timeframe | None = None) -> list[Bar]:
    """Return all bars, or those of one timeframe, in the order in which they closed."""
    return [bar for item in closed for bar in item.bars if timeframe is None or bar.timeframe is timeframe]


def configure(folder: Path, text: str) -> Config:
    """Write a configuration and load it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pine.yaml"
    path.write_text(text)
    return load_config(path, PARAMS, {})
