"""The reference and pine decide alike on the same trades, although only the rules are shared."""

import math
from pathlib import Path
from typing import Any

import pytest

from pine.orders.entries import Intent
from pine.sandbox.market import GeneratedMarket, generate_market

from .both import STRATEGIES, PineRun, by_timeframe, closed_of, configure, reference


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    """Three roots over eight sessions with the roll of March 2024 in them; few trades, so many minutes are quiet."""
    return generate_market(["ES", "GC", "6E"], 8, seed=5, trades_per_day=900)


def alike(ours: Any, theirs: Any) -> bool:
    """Tell whether two values are the same, numbers but for the last bits of a differently written average."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-12)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(alike(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(alike, ours, theirs))
    return bool(ours == theirs)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_bars_features_intents_and_fills_equal_those_of_pine(
    market: GeneratedMarket, tmp_path: Path, strategy: str
) -> None:
    config = configure(tmp_path)
    pine = PineRun(config, strategy, closed_of(config, market, ("ES", "GC", "6E"))).run()
    theirs = reference(config, strategy, market)

    assert by_timeframe(theirs.bars).keys() == {"1min", "hourly", "daily"}
    for timeframe, bars in by_timeframe(pine.bars).items():
        assert by_timeframe(theirs.bars)[timeframe] == bars

    decided = theirs.decisions
    assert [d.step for d in decided] == [step for step, _ in pine.flights]
    for decision, (step, flight) in zip(decided, pine.flights, strict=True):
        assert alike(list(decision.observed), flight["observed"]), step
        assert alike(list(decision.asked), flight["decisions"]), step
    for step, values in pine.features:
        (found,) = [d for d in decided if d.step == step]
        assert alike(dict(found.features), values), step

    assert [alike(a.facts, b.facts) for a, b in zip(theirs.intents, _intents(pine), strict=True)].count(False) == 0
    assert [_without_facts(entry) for entry in theirs.entries] == [_without_facts(entry) for entry in pine.entries]
    assert len(theirs.fills) > 10


def _intents(run: PineRun) -> list[Intent]:
    return [entry for _, entry in run.entries if isinstance(entry, Intent)]


def _without_facts(entry: Any) -> Any:
    from attrs import evolve

    step, what = entry
    return step, evolve(what, facts={}) if isinstance(what, Intent) else what
