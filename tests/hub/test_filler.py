"""A hole built from bars of a minute that were bought is what trades would have made of it, wherever its edges are."""

import asyncio
from pathlib import Path

import pytest
import zstandard
from files import configured, made_market
from hypothesis import given
from hypothesis import strategies as st

from pine.core.config import Config
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.core.times import to_datetime
from pine.history.outrights import FOLDER, Outrights
from pine.hub.aggregator import Aggregator, Closed
from pine.hub.clock import TapeClock
from pine.hub.filler import Filler
from pine.sandbox.history_data import HistoryData
from pine.sandbox.history_query import parse_query
from pine.sandbox.tape import Tape

MARKET = made_market("2024-03-07")
TRADES = MARKET.trades
BEGIN = int(TRADES["ts_recv"][0]) // NS_PER_MINUTE * NS_PER_MINUTE
END = int(TRADES["ts_recv"][-1]) // NS_PER_HOUR * NS_PER_HOUR
MINUTES = (END - BEGIN) // NS_PER_MINUTE
SPARE = 20 * NS_PER_MINUTE
"""Filled is a little more than what the gateway lacks."""


class Collected:
    """Takes what closes, in the place of an outbox."""

    def __init__(self) -> None:
        self.closed: list[Closed] = []

    def put(self, closed: list[Closed]) -> None:
        self.closed += closed

    async def room(self) -> None:
        """There always is some."""


class Away:
    """A hub that has everything up to a minute, and a gateway that has everything from another one on."""

    def __init__(self, aggregator: Aggregator, earliest: int) -> None:
        self.aggregator = aggregator
        self._earliest = earliest

    def needed(self) -> int:
        return self.aggregator.closed_until

    def earliest(self) -> int:
        return self._earliest


def fresh(config: Config, **more: object) -> Aggregator:
    rules = {symbol: config.session_rule(symbol) for symbol in config.instruments}
    return Aggregator(rules, TapeClock(), **more)  # type: ignore[arg-type]


def follow(aggregator: Aggregator, floor: int, until: int) -> list[Closed]:
    """Feed the trades of some time, as a connection brings them, and return what closes."""
    aggregator.begin_session(replaying=False, floor=floor)
    for number, name in MARKET.symbols.items():
        aggregator.table.add(number, name, floor)
    times = TRADES["ts_recv"]
    aggregator.add(TRADES[(times >= floor) & (times < until)])
    aggregator.heartbeat(until + aggregator.lateness + 10**9)
    return aggregator.advance()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A desk that has bought the minutes of every root."""
    config = configured(tmp_path_factory.mktemp("desk"))
    data = HistoryData(Tape.of_trades(TRADES, MARKET.symbols))
    folder = config.data_dir / FOLDER
    folder.mkdir(parents=True)
    begin, end = data.available("ohlcv-1m")
    stamps = "_".join(f"{to_datetime(ts):%Y%m%dT%H%M}" for ts in (begin, end))
    for symbol in config.instruments:
        asked = {"dataset": "GLBX.MDP3", "schema": "ohlcv-1m", "symbols": f"{symbol}.FUT", "stype_in": "parent"}
        found = data.select(parse_query(asked | {"start": str(begin), "end": str(end)}))
        body = zstandard.compress(found.header + found.records.tobytes())
        (folder / f"{symbol}_ohlcv-1m_{stamps}.dbn.zst").write_bytes(body)
    return config


@pytest.fixture(scope="module")
def unbroken(config: Config) -> dict[bool, list[Closed]]:
    return {quiet: follow(fresh(config, fill_quiet=quiet), BEGIN, END) for quiet in (False, True)}


@pytest.mark.examples(8, long=25)
@given(first=st.integers(0, MINUTES - 30), length=st.integers(1, 5 * 24 * 60), quiet=st.booleans())
def test_a_filled_hole_closes_as_if_it_had_never_been(
    config: Config, unbroken: dict[bool, list[Closed]], first: int, length: int, quiet: bool
) -> None:
    begin = BEGIN + first * NS_PER_MINUTE
    until = min(begin + length * NS_PER_MINUTE, END - SPARE)
    aggregator = fresh(config, fill_quiet=quiet)
    closed = follow(aggregator, BEGIN, begin) if first else []
    aggregator.closed_until = begin
    kept = Collected()
    filler = Filler(config, aggregator, kept, Away(aggregator, until))  # type: ignore[arg-type]
    floor = asyncio.run(filler.floor())
    assert floor >= until
    found = closed + kept.closed + follow(aggregator, floor, END)
    wrong = [(a, b) for a, b in zip(found, unbroken[quiet], strict=False) if a != b]
    assert wrong[:1] == []
    assert len(found) == len(unbroken[quiet])


def test_what_was_not_bought_is_a_gap(config: Config, tmp_path: Path) -> None:
    aggregator = fresh(configured(tmp_path))
    follow(aggregator, BEGIN, BEGIN + NS_PER_HOUR)
    until = BEGIN + 3 * NS_PER_HOUR
    filler = Filler(configured(tmp_path), aggregator, Collected(), Away(aggregator, until))  # type: ignore[arg-type]
    assert asyncio.run(filler.floor()) == until
    closed = follow(aggregator, until, until + NS_PER_HOUR)
    gaps = [(e.details["first_minute"], e.details["last_minute"]) for c in closed for e in c.events if e.kind == "gap"]
    assert set(gaps) == {(BEGIN + NS_PER_HOUR, until - NS_PER_MINUTE)}


def test_a_damaged_file_is_removed_and_counts_for_nothing(config: Config, tmp_path: Path) -> None:
    own = configured(tmp_path)
    folder = own.data_dir / FOLDER
    folder.mkdir(parents=True)
    for path in (config.data_dir / FOLDER).iterdir():
        (folder / path.name).write_bytes(path.read_bytes()[:-50])
    aggregator = fresh(own)
    follow(aggregator, BEGIN, BEGIN + NS_PER_HOUR)
    until = BEGIN + 3 * NS_PER_HOUR
    filler = Filler(own, aggregator, Collected(), Away(aggregator, until))  # type: ignore[arg-type]
    assert asyncio.run(filler.floor()) == until
    assert Outrights(own).reached(["ES"], BEGIN, until) == BEGIN
