"""Rows made up from a seed, with something in them to learn; run as a program it trains on them into a folder."""

import sys
from pathlib import Path

import numpy as np

from pine.core.config import load_config
from pine.core.timeframe import NS_PER_HOUR
from pine.core.times import parse_time
from pine.strategies.catalog import PARAMS
from pine.training.rows import Row, Sample
from pine.training.train import Terms, Trained, save, train

FEATURES = ("rsi(length=2)", "ibs", "percent_change(length=1)")
BEGIN = parse_time("2024-03-04")
TERMS = Terms("one", 3, 0.5, "generated")
CONFIG = "data_dir: data\ninstruments: {ES: {}}\nstrategies: {one: {type: ibs, instruments: {ES: {size: 2}}}}\n"


def sample(count: int = 240, seed: int = 1, edge: float = 1.5) -> Sample:
    """Return rows whose outcome follows the first feature, the more the larger `edge` is, and chance."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, len(FEATURES)))
    outcomes = 100.0 * (edge * values[:, 0] + rng.normal(size=count))
    held = rng.integers(1, 9, count)
    rows = [
        Row(
            step=BEGIN + 5 * n * NS_PER_HOUR,
            known=BEGIN + (5 * n + int(held[n])) * NS_PER_HOUR,
            intent=f"one-{n}",
            values=tuple(map(float, values[n])),
            entered=BEGIN + 5 * n * NS_PER_HOUR,
            left=BEGIN + (5 * n + int(held[n])) * NS_PER_HOUR,
            entry_price=5000.0,
            exit_price=5000.0 + float(outcomes[n]) / 100,
            outcome=float(outcomes[n]),
        )
        for n in range(count)
    ]
    return Sample("ES", FEATURES, tuple(rows))


def trained(folder: Path, of: Sample | None = None) -> Trained:
    """Train, without writing anything but the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pine.yaml").write_text(CONFIG)
    return train(load_config(folder / "pine.yaml", PARAMS, {}), TERMS, of or sample())


def written(folder: Path) -> dict[str, bytes]:
    """Train and write; return the files of the model."""
    save(folder / "models", trained(folder))
    return {path.name: path.read_bytes() for path in sorted((folder / "models" / "one").iterdir())}


if __name__ == "__main__":
    written(Path(sys.argv[1]))
