"""A tiny model in its place, for strategies that are to be judged by one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pine.strategies.features.address import parse_address
from pine.strategies.models.card import Card
from pine.strategies.models.store import save_model


def put_model(
    folder: Path, strategy: str, symbol: str, features: Sequence[str], threshold: float, **other: Any
) -> Card:
    """Keep a model that likes low first features; return its card."""
    import numpy as np
    import xgboost

    names = [str(parse_address(text)) for text in features]
    rng = np.random.default_rng(3)
    rows = rng.uniform(0, 1, size=(200, len(names))).astype(np.float32)
    matrix = xgboost.DMatrix(rows, (rows[:, 0] < 0.5).astype(np.float32), feature_names=names)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1, "seed": 7}, matrix, 5)
    card = Card(
        strategy=strategy,
        symbol=symbol,
        features=tuple(names),
        threshold=threshold,
        trained_from="2023-01-02",
        trained_to=other.pop("trained_to", "2023-06-01"),
        label="none: made for a test",
        built_with=f"xgboost {xgboost.__version__}",
        data=other.pop("data", "generated"),
        data_hash="d" * 16,
        model_hash="",
        seed=7,
        params={},
        metrics={},
        **other,
    )
    return save_model(folder, booster, card)
