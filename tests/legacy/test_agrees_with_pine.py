"""The reference and pine decide alike on the same trades, although only the rules are shared."""

from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve
from market import begin, publish

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.legacy.record import MemoryRecorder
from pine.orders.entries import Fill, Intent
from pine.orders.ledger import read_ledger
from pine.sandbox.market import GeneratedMarket, generate_market

from .both import STRATEGIES, PineRun, by_timeframe, closed_of, configure, reference

SEED = 7
"""Of a market in which a position is open at the roll."""


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    """Three roots over three sessions with the roll of March 2024 in them; few trades, so most minutes are quiet."""
    return generate_market(["ES", "GC", "6E"], 3, seed=SEED, start=date(2024, 3, 11), trades_per_day=150)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_bars_features_intents_and_fills_equal_those_of_pine(
    market: GeneratedMarket, tmp_path: Path, strategy: str
) -> None:
    config = configure(tmp_path)
    pine = PineRun(config, strategy, closed_of(config, market, ("ES", "GC", "6E"))).run()
    compare(reference(config, strategy, market), pine)


@pytest.mark.parametrize(
    "hub",
    [
        ", bar_clock: ts_event, fill_quiet_minutes: true, lateness_ms: 5000",
        pytest.param(", bar_clock: ts_event", marks=pytest.mark.long),
        pytest.param(", fill_quiet_minutes: true", marks=pytest.mark.long),
        pytest.param(", lateness_ms: 5000", marks=pytest.mark.long),
    ],
)
def test_they_agree_however_bars_are_configured(market: GeneratedMarket, tmp_path: Path, hub: str) -> None:
    config = configure(tmp_path, hub)
    pine = PineRun(config, "near", closed_of(config, market, ("ES", "GC", "6E"))).run()
    compare(reference(config, "near", market), pine)


def test_a_position_is_closed_at_the_roll_in_the_old_contract(market: GeneratedMarket, tmp_path: Path) -> None:
    record = reference(configure(tmp_path), "inside", market)
    rolled = {symbol: step for step, kind, symbol, _ in record.events if kind == "roll"}
    (closed,) = [intent for intent in record.intents if intent.reason == "roll"]
    (fill,) = [fill for fill in record.fills if fill.intent == closed.id]
    assert (closed.step, closed.price) == (rolled[closed.symbol], fill.price)
    assert (closed.symbol, closed.contract) == ("ES", "ESH4")
    after = [intent for intent in record.intents if intent.symbol == closed.symbol and intent.step > closed.step]
    assert {intent.contract[-2:] for intent in after} == {"M4"}


def test_ledger_and_flight_records_of_a_worker_on_a_real_server_hold_the_same(
    market: GeneratedMarket, tmp_path: Path, client: Client
) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "inside")
    publish(client, config, closed_of(config, market, ("ES", "GC", "6E")))
    run.until_caught_up()
    theirs = reference(config, "inside", market)
    ledger = [entry for _, entry in read_ledger(client, "inside") if isinstance(entry, Intent | Fill)]
    assert ledger == [entry for _, entry in theirs.entries]
    flights = [orjson.loads(fields[b"flight"]) for _, fields in streams.read_range(client, keys.flight("inside"))]
    assert [flight["observed"] for flight in flights] == [list(d.observed) for d in theirs.decisions]
    assert [flight["decisions"] for flight in flights] == [list(d.asked) for d in theirs.decisions]


def compare(theirs: MemoryRecorder, pine: PineRun) -> None:
    """Hold every value of the reference's record against pine's."""
    assert by_timeframe(theirs.bars).keys() == {"1min", "hourly", "daily"}
    for timeframe, bars in by_timeframe(pine.bars).items():
        assert by_timeframe(theirs.bars)[timeframe] == bars
    assert [d.step for d in theirs.decisions] == [step for step, _ in pine.flights]
    for decision, (step, flight) in zip(theirs.decisions, pine.flights, strict=True):
        assert list(decision.observed) == flight["observed"], step
        assert list(decision.asked) == flight["decisions"], step
    features = {d.step: dict(d.features) for d in theirs.decisions}
    for step, values in pine.features:
        assert features[step] == values, step
    for mine, intent in zip(theirs.intents, _intents(pine), strict=True):
        assert mine.facts == intent.facts, intent.id
    assert [_without_facts(entry) for entry in theirs.entries] == [_without_facts(entry) for entry in pine.entries]
    assert len(theirs.fills) >= 3


def _intents(run: PineRun) -> list[Intent]:
    return [entry for _, entry in run.entries if isinstance(entry, Intent)]


def _without_facts(entry: Any) -> Any:
    step, what = entry
    return step, evolve(what, facts={}) if isinstance(what, Intent) else what
