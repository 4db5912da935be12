"""How good scores are: figures of labels and probabilities."""

from collections.abc import Iterator

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_LEAST = 1e-15


def auc(labels: Vector, scores: Vector) -> float | None:
    """Return the chance that a row of label 1 scores above one of label 0, ties by half; nothing with one label only.

    The rank sum of Mann and Whitney, ties sharing their mean rank.
    """
    ones = int(labels.sum())
    zeros = len(labels) - ones
    if not ones or not zeros:
        return None
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def log_loss(labels: Vector, scores: Vector) -> float:
    """Return the mean of -log of the probability that was given to what came."""
    told = np.clip(np.where(labels == 1, scores, 1.0 - scores), _LEAST, 1.0)
    return float(-np.log(told).mean())


def brier(labels: Vector, scores: Vector) -> float:
    """Return the mean square of probability less label."""
    return float(np.square(scores - labels).mean())


@frozen
class Bin:
    """Rows of like scores: their mean score, the share of label 1, how many."""

    score: float
    share: float
    rows: int


def calibration(labels: Vector, scores: Vector, bins: int = 8) -> Iterator[Bin]:
    """Yield rows in the order of their scores, cut into parts of equal number; shares should equal scores."""
    order = np.argsort(scores, kind="stable")
    for part in np.array_split(order, min(bins, len(order))):
        if len(part):
            yield Bin(float(scores[part].mean()), float(labels[part].mean()), len(part))
