"""A tiny trained model in its place."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from pine.strategies.models.card import Card
from pine.strategies.models.store import save_model

FEATURES = ("ibs", "atr(14)", "percent_change@daily")


def make_card(**other: Any) -> Card:
    card = Card(
        strategy="ibs_a",
        symbol="ES",
        features=FEATURES,
        threshold=0.55,
        trained_from="2023-01-02",
        trained_to="2024-03-01T22:00:00+00:00",
        label="the trade gains more than its costs",
        built_with=library(),
        data="generated",
        data_hash="d" * 16,
        model_hash="",
        seed=7,
        params={"max_depth": 2},
        metrics={"auc": 0.61, "trades": 400},
    )
    return evolve(card, **other)


def library() -> str:
    import xgboost

    return f"xgboost {xgboost.__version__}"


def train(names: tuple[str, ...] | None = FEATURES, columns: int = 3, objective: str = "binary:logistic") -> Any:
    """Return a booster of two small trees."""
    import numpy as np
    import xgboost

    rng = np.random.default_rng(3)
    rows = rng.normal(size=(80, columns)).astype(np.float32)
    wins = (rows[:, 0] + 0.3 * rows[:, 1] > 0).astype(np.float32)
    matrix = xgboost.DMatrix(rows, wins, feature_names=None if names is None else list(names))
    return xgboost.train({"objective": objective, "max_depth": 2, "nthread": 1, "seed": 7}, matrix, 2)


@pytest.fixture(scope="session")
def booster() -> Any:
    return train()


@frozen
class Saved:
    """A folder of models that holds one of strategy ibs_a for ES."""

    folder: Path
    card: Card

    @property
    def card_file(self) -> Path:
        return self.folder / "ibs_a" / "ES.card.json"

    @property
    def model_file(self) -> Path:
        return self.folder / "ibs_a" / "ES.json"


@pytest.fixture
def saved(tmp_path: Path, booster: Any) -> Saved:
    return Saved(tmp_path / "models", save_model(tmp_path / "models", booster, make_card()))
