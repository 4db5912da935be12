"""Figures against their definitions, and the threshold that they lead to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.training.measures import auc, brier, calibration, log_loss
from pine.training.threshold import LEAST_SHARE, choose

SCORED = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.9])), min_size=1)


@given(scored=SCORED)
def test_auc_is_the_share_of_pairs_in_order(scored) -> None:
    labels, scores = (np.array(column) for column in zip(*scored, strict=True))
    pairs = [(a > b) + (a == b) / 2 for a, x in zip(scores, labels, strict=True) if x
             for b, y in zip(scores, labels, strict=True) if not y]  # fmt: skip
    found = auc(labels, scores)
    assert found == (None if not pairs else pytest.approx(sum(pairs) / len(pairs)))


def test_log_loss_and_brier_of_some_rows() -> None:
    labels, scores = np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.25])
    assert log_loss(labels, scores) == pytest.approx((2 * np.log(2) + np.log(4)) / 3)
    assert brier(labels, scores) == pytest.approx((0.25 + 0.25 + 0.5625) / 3)
    assert log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-np.log(1e-15))


def test_calibration_takes_every_row_once_in_order_of_scores() -> None:
    scores = np.array([0.9, 0.1, 0.5, 0.3, 0.7])
    bins = list(calibration(np.array([1.0, 0.0, 1.0, 0.0, 1.0]), scores, 2))
    assert [one.rows for one in bins] == [3, 2]
    assert [one.score for one in bins] == pytest.approx([0.3, 0.8])
    assert [one.share for one in bins] == pytest.approx([1 / 3, 1.0])


OUTCOMES = st.lists(st.tuples(st.floats(0, 1), st.integers(-500, 500).map(float)), min_size=1, max_size=60)


@given(rows=OUTCOMES)
def test_a_threshold_never_does_worse_than_none_and_leaves_enough(rows) -> None:
    scores, outcomes = (np.array(column) for column in zip(*rows, strict=True))
    found = choose(scores, outcomes)
    passed = scores >= found.score
    assert found.share == passed.mean() >= LEAST_SHARE
    assert found.per_candidate == pytest.approx(outcomes[passed].sum() / len(rows), abs=1e-9)
    assert found.per_candidate >= outcomes.mean() - 1e-9


def test_losers_below_a_score_are_refused_and_winners_are_not() -> None:
    scores = np.arange(20) / 20
    assert choose(scores, np.where(scores < 0.5, -10.0, 10.0)).score == pytest.approx(0.5)
    assert choose(scores, np.full(20, 10.0)).score == 0.0
    assert choose(scores, np.full(20, -10.0)).share == pytest.approx(0.5)
