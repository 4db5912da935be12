"""A row to train on is the row that a worker saw at the same bars, bit for bit, also one that was started again."""

from pathlib import Path

import pytest
from market import begin, closed_bars, configure, publish

from pine.bus.client import Client
from pine.core.config import Config
from pine.history.archive import Archive
from pine.replay.flights import Life
from pine.replay.past import Past
from pine.replay.plans import Wish, from_history
from pine.replay.run import replay
from pine.training.candidates import unlimited
from pine.training.features import features_of
from pine.training.rows import Sample, observed, samples_of
from pine.worker.run import make_standards

FEATURES = ["ibs", "rsi(2)", "rsi(5)", "z_score(5, 8)", "momentum_z(3, 4)", "ema(6)", "deviation(4)@GC", "volume@1min"]
RULES = "{entry_setting: none, ibs_entry_high: 0.7, stop_percent: 0.3, bar_stop_bars: 1}"
SAME = f"type: ibs, instruments: [ES, GC], params: {RULES}, features: {FEATURES}"
CONFIG = f"""
data_dir: data
warm_up: off
instruments: {{ES: {{}}, GC: {{}}, 6E: {{}}}}
strategies:
  one: {{max_positions: 1, daily_stop_loss: 400, {SAME}}}
  two: {{max_positions: 2, {SAME}}}
"""


def rows_of(config: Config, client: Client) -> tuple[tuple[str, ...], dict[str, Sample]]:
    """Return what strategy ``one`` is trained on."""
    features = features_of(config.strategies["one"], ())
    loose = unlimited(config, "one", features)
    past = Past.of(loose, client, loose.reads("one"))
    plan, steps = from_history(loose, past, "one", Wish(warm=False))
    return features, samples_of(replay(loose, plan, steps).record, ["ES", "GC"], features)


@pytest.mark.long  # every feature of one strategy in tests/replay/test_features_everywhere.py; here two that differ
def test_training_rows_are_what_a_worker_and_a_restarted_one_wrote_down(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path, CONFIG)
    run, other = begin(client, config, "one"), begin(client, config, "two")
    publish(client, config, closed_bars())
    for each, name in ((run, "one"), (other, "two")):
        each.engine.standards = make_standards(config, name)
    run.until_caught_up()
    other.until_step(1100)
    again = begin(client, config, "two")
    again.engine.standards = make_standards(config, "two")
    again.until_caught_up()
    features, samples = rows_of(config, client)
    rows = [(row.step, symbol, row.values) for symbol, sample in samples.items() for row in sample.rows]
    assert len(rows) >= 15
    for name in ("one", "two"):
        live = observed(Life(name, Archive.of(config), client).record(config), features)
        both = [(live[step, symbol], values) for step, symbol, values in rows if (step, symbol) in live]
        assert len(both) >= 10
        assert all(seen == values for seen, values in both)
    entered = Life("one", Archive.of(config), client).record(config).table("intents")
    refused = Life("one", Archive.of(config), client).record(config).table("decisions")["refused"].drop_nulls()
    assert refused.len() > 0
    assert entered.height > 0
