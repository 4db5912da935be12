"""The least score of an entry: what would have earned most per candidate on rows that no model was trained on."""

import math
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

Vector = NDArray[np.float64]

LEAST_SHARE: Final = 0.5
"""Of all candidates, at least so many must pass."""
_STEPS: Final = 11


@frozen
class Threshold:
    """A least score, the share of candidates that reach it, and what those earn, spread over all candidates."""

    score: float
    share: float
    per_candidate: float


def choose(scores: Vector, outcomes: Vector) -> Threshold:
    """Return the threshold with the largest mean outcome per candidate; what is refused earns nothing.

    Tried are: every entry passes (score 0), and the scores that 95 %, 90 %, ... 50 % of the candidates reach; no finer,
    so that single trades do not decide. Of equal ones the lowest.

    Parameters
    ----------
    scores, outcomes
        Of the same rows, tested and not trained on; dollars after costs.
    """
    best = _judged(0.0, scores, outcomes)
    falling = np.sort(scores)[::-1]
    for n in range(1, _STEPS):
        share = 1.0 - n * (1.0 - LEAST_SHARE) / (_STEPS - 1)
        place = max(math.ceil(share * len(falling) - 1e-9), 1) - 1
        tried = _judged(float(falling[place]), scores, outcomes)
        if tried.per_candidate > best.per_candidate:
            best = tried
    return best


def _judged(threshold: float, scores: Vector, outcomes: Vector) -> Threshold:
    passed = scores >= threshold
    return Threshold(threshold, float(passed.mean()), math.fsum(outcomes[passed]) / len(outcomes))
