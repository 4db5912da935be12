"""One booster from rows: fixed, small, regularised, the same bytes from the same rows and seed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xgboost

Matrix = NDArray[np.float32]
"""Rows by features, in the 32-bit floats that xgboost reads."""

Vector = NDArray[np.float64]

ROUNDS: Final = 30
PARAMS: Final[Mapping[str, Any]] = {
    "objective": "binary:logistic",
    "booster": "gbtree",
    "tree_method": "hist",
    "max_depth": 2,
    "eta": 0.1,
    "min_child_weight": 4.0,
    "lambda": 4.0,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "nthread": 1,
}
"""xgboost's names. Nothing is searched: some hundred rows would fit whatever is tried most often."""


def params_of(seed: int) -> dict[str, Any]:
    """Return everything that shapes a training, for the card."""
    return {**PARAMS, "seed": seed, "rounds": ROUNDS}


def fit(rows: Matrix, labels: Vector, features: Sequence[str], seed: int) -> "xgboost.Booster":
    """Return a booster that predicts the probability of label 1; on one thread, so that no sum changes its order."""
    import xgboost

    data = xgboost.DMatrix(rows, label=labels, feature_names=list(features), nthread=1)
    return xgboost.train({**PARAMS, "seed": seed, "verbosity": 0}, data, num_boost_round=ROUNDS)


def score(booster: "xgboost.Booster", rows: Matrix) -> Vector:
    """Return the probability of label 1 of each row, as a worker would get it."""
    booster.set_param({"nthread": 1})
    return np.asarray(booster.inplace_predict(rows, validate_features=False), dtype=np.float64)


def gains(booster: "xgboost.Booster", features: Sequence[str]) -> dict[str, float]:
    """Return the mean gain of the splits on each feature, the largest first; 0 for one that is never split on."""
    found: Mapping[str, Any] = booster.get_score(importance_type="gain")
    told = {name: float(found.get(name, 0.0)) for name in features}
    return dict(sorted(told.items(), key=lambda item: -item[1]))
