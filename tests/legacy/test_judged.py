"""Filters and models judge alike in the reference and in pine; references are read and not traded."""

from datetime import date
from pathlib import Path

import pytest
from trained import put_model

from pine.sandbox.market import GeneratedMarket, generate_market
from pine.strategies.features.address import parse_address

from .both import PineRun, closed_of, configure, reference
from .test_agrees_with_pine import compare

TEXT = """
data_dir: data
hub: {clock: tape%(hub)s}
pairs: {ES: GC, GC: 6E}
instruments: {ES: {}, GC: {}, 6E: {}}
strategies:
  judged:
    type: ibs
    max_positions: 2
    instruments:
      ES: {}
      GC: {filters: [{feature: 'ibs@6E', above: 0.3}]}
    references: [6E]
    features: ['z_score(5, 10)@6E', 'atr(3)@daily']
    filters: [{feature: rsi(2), between: [0, 60]}, {feature: 'ibs@pair', below: 0.9}]
    model: required
    params: {entry_setting: none, ibs_entry_high: 0.6, bar_stop_bars: 2, windows: ["00:00-24:00"]}
"""
ROOTS = ("ES", "GC", "6E")


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return generate_market(list(ROOTS), 3, seed=7, start=date(2024, 3, 11), trades_per_day=150)


def test_filters_and_models_judge_alike_in_the_reference_and_in_pine(market: GeneratedMarket, tmp_path: Path) -> None:
    config = configure(tmp_path, text=TEXT)
    for symbol in ("ES", "GC"):
        put_model(tmp_path / "models", "judged", symbol, ("ibs", "ratio(close, close@6E)"), 0.5)
    pine = PineRun(config, "judged", closed_of(config, market, ROOTS)).run()
    compare(reference(config, "judged", market), pine)
    refused = {str(asked["refused"]) for _, flight in pine.flights for asked in flight["decisions"]}
    assert "None" in refused
    assert any(text.startswith(f"filter {parse_address('rsi(2)')}: found ") for text in refused)
    assert any(text.startswith("filter ibs@6E: found ") for text in refused)
    assert any(text.startswith("model: score 0.") for text in refused)
    assert {bar.symbol for _, bar in pine.bars} == set(ROOTS)
    entries = [entry for _, entry in pine.entries if getattr(entry, "action", "") == "buy"]
    assert entries
    assert {entry.symbol for entry in entries} <= {"ES", "GC"}
    assert all(entry.facts["model"]["score"] >= entry.facts["model"]["threshold"] == 0.5 for entry in entries)
    noted = [row for _, flight in pine.flights for row in flight["observed"] if "score" in row]
    assert all(row.keys() >= set(map(str, map(parse_address, config.strategies["judged"].features))) for row in noted)


def test_without_its_models_a_strategy_that_requires_them_enters_nothing(
    market: GeneratedMarket, tmp_path: Path
) -> None:
    config = configure(tmp_path, text=TEXT)
    put_model(tmp_path / "models", "judged", "GC", ("ibs",), 0.0)
    pine = PineRun(config, "judged", closed_of(config, market, ROOTS)).run()
    compare(reference(config, "judged", market), pine)
    assert {entry.symbol for _, entry in pine.entries} == {"GC"}
    why = {asked["refused"] for _, f in pine.flights for asked in f["decisions"] if asked["symbol"] == "ES"}
    assert "model: missing" in why
