"""Scorers as somebody might write them, with a picklable stand-in for a forest of the old system."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pine.strategies.models.card import Card

opened: list[Path | None] = []
"""Every model file that a factory has opened."""


class Forest:
    """Looks like a classifier of scikit-learn, as far as a scorer uses one."""

    classes_ = (0, 1)

    def predict_proba(self, rows: list[list[float]]) -> list[tuple[float, float]]:
        return [(1 - min(row[0], 1.0), min(row[0], 1.0)) for row in rows]


def forest(_card: Card, path: Path | None) -> Callable[[Mapping[str, float]], float]:
    assert path is not None
    opened.append(path)
    model = pickle.loads(path.read_bytes())["model"]  # noqa: S301  # our own
    column = list(model.classes_).index(1)

    def score(row: Mapping[str, float]) -> float:
        return float(model.predict_proba([list(row.values())])[0][column])

    return score


def rule(card: Card, path: Path | None) -> Callable[[Mapping[str, float]], Any]:
    """Score without any file: a rule by feature name."""
    assert path is None
    return lambda row: row[card.features[0]]


def faulty(_card: Card, _path: Path | None) -> Callable[[Mapping[str, float]], Any]:
    """Raise or return nonsense, as the first value of the row says."""
    answers: dict[float, Any] = {1.0: None, 2.0: True, 3.0: "0.5", 4.0: 1.1, 5.0: -0.1, 6.0: float("nan"), 7.0: 1j}

    def score(row: Mapping[str, float]) -> Any:
        first = next(iter(row.values()))
        if first == 0.0:
            raise ZeroDivisionError("forest on fire")
        return answers[first]

    return score


def raises(_card: Card, _path: Path | None) -> Any:
    raise RuntimeError("made with another version")


def returns_nothing(_card: Card, _path: Path | None) -> None:
    return None
