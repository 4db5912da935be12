"""What models trained on earlier rows make of later ones, fold by fold."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from attrs import frozen

from pine.training.boosting import Matrix, Vector, fit, score
from pine.training.folds import Fold, embargo_of, make_folds
from pine.training.measures import auc, brier, log_loss
from pine.training.rows import Sample
from pine.training.threshold import Threshold, choose

FOLDS: Final = 5
EMBARGO: Final = 0.01
"""Share of the time of all rows."""
LEAST_TRAINED: Final = 20
"""Rows that a fold must have to train on."""


@frozen(eq=False)
class Tested:
    """One fold and what came of it.

    Attributes
    ----------
    skipped
        Why nothing was trained; nothing if it was.
    scores
        Of the rows tested; empty if skipped.
    base
        Share of label 1 among the rows trained on: the score to beat.
    threshold
        Least score as those rows of the folds before say whose outcome was known, less the embargo, when this one
        begins; nothing if there are none.
    """

    fold: Fold
    skipped: str | None
    scores: Vector
    base: float
    threshold: float | None


@frozen(eq=False)
class Validation:
    """All folds, and the threshold that they give.

    Attributes
    ----------
    numbers
        Rows that were scored, in order of time; `scores`, `labels`, `outcomes` are theirs.
    bases
        The score to beat of each.
    judged
        Which of them came after a fold that gave a threshold.
    passed
        Which of those reached it.
    embargo
        In ns.
    """

    folds: tuple[Tested, ...]
    numbers: tuple[int, ...]
    scores: Vector
    labels: Vector
    outcomes: Vector
    bases: Vector
    judged: Vector
    passed: Vector
    threshold: Threshold
    embargo: int


def matrix(sample: Sample) -> Matrix:
    """Return the values of all rows in 32-bit floats."""
    return np.array([row.values for row in sample.rows], dtype=np.float32).reshape(-1, len(sample.features))


def validate(sample: Sample, seed: int, on_fold: Callable[[], None] = lambda: None) -> Validation | None:
    """Train on the past and test on what comes after, fold by fold; return nothing if no fold could be trained.

    Parameters
    ----------
    sample
        More rows than folds.
    seed
        Of each fold's booster.
    on_fold
        Told after each fold.
    """
    rows, labels, outcomes = matrix(sample), _labels(sample), _outcomes(sample)
    spans = [(row.step, row.known) for row in sample.rows]
    embargo = embargo_of(spans, EMBARGO)
    tested: list[Tested] = []
    for fold in make_folds(spans, FOLDS, embargo):
        begin = sample.rows[fold.test[0]].step
        known = [n for n, row in enumerate(sample.rows) if row.known < begin - embargo]
        chosen = _threshold(tested, outcomes, known)
        threshold = None if chosen is None else chosen.score
        tested.append(_test(fold, rows, labels, sample.features, seed, threshold))
        on_fold()
    scored = [each for each in tested if each.skipped is None]
    threshold_of_all = _threshold(scored, outcomes, range(len(sample.rows)))
    if threshold_of_all is None:
        return None
    numbers = tuple(n for each in scored for n in each.fold.test)
    scores = np.concatenate([each.scores for each in scored])
    judged = np.concatenate([np.full(len(each.scores), each.threshold is not None) for each in scored])
    passed = np.concatenate([each.scores >= (each.threshold or 0.0) for each in scored]) & judged
    return Validation(
        folds=tuple(tested),
        numbers=numbers,
        scores=scores,
        labels=labels[list(numbers)],
        outcomes=outcomes[list(numbers)],
        bases=np.concatenate([np.full(len(each.scores), each.base) for each in scored]),
        judged=judged,
        passed=passed,
        threshold=threshold_of_all,
        embargo=embargo,
    )


def figures(found: Validation) -> dict[str, Any]:
    """Return the metrics of all rows that were scored.

    ``outcome_without`` and ``outcome_with`` are dollars per candidate after costs, without the veto and with that of
    each fold's own threshold: a figure of rows that neither booster nor threshold has seen. ``outcome_chosen`` is
    that of the final threshold, on the rows that it was chosen on.
    """
    judged = found.judged.astype(bool)
    count = int(judged.sum())
    without = float(found.outcomes[judged].mean()) if count else None
    kept = float(np.where(found.passed, found.outcomes, 0.0)[judged].mean()) if count else None
    return {
        **_quality(found.labels, found.scores, found.bases),
        "outcome_all": float(found.outcomes.mean()),
        "outcome_chosen": found.threshold.per_candidate,
        "share_chosen": found.threshold.share,
        "judged": count,
        "outcome_without": without,
        "outcome_with": kept,
        "share_with": float(found.passed[judged].mean()) if count else None,
    }


def fold_figures(sample: Sample, found: Validation) -> list[dict[str, Any]]:
    """Return times, counts and metrics of each fold."""
    labels, outcomes = _labels(sample), _outcomes(sample)
    return [_fold_figures(sample, each, labels, outcomes) for each in found.folds]


def _fold_figures(sample: Sample, each: Tested, labels: Vector, outcomes: Vector) -> dict[str, Any]:
    fold, test = each.fold, list(each.fold.test)
    told: dict[str, Any] = {
        "from": sample.rows[test[0]].step,
        "to": max(sample.rows[n].known for n in test),
        "trained": len(fold.train),
        "purged": fold.purged,
        "embargoed": fold.embargoed,
        "tested": len(test),
        "skipped": each.skipped,
    }
    if each.skipped is not None:
        return told
    passed = each.scores >= (each.threshold or 0.0)
    return told | {
        **_quality(labels[test], each.scores, np.full(len(test), each.base)),
        "threshold": each.threshold,
        "share": float(passed.mean()),
        "outcome_without": float(outcomes[test].mean()),
        "outcome_with": float(np.where(passed, outcomes[test], 0.0).mean()),
    }


def _quality(labels: Vector, scores: Vector, bases: Vector) -> dict[str, Any]:
    return {
        "auc": auc(labels, scores),
        "rows": len(labels),
        "base_rate": float(labels.mean()),
        "log_loss": log_loss(labels, scores),
        "log_loss_base": log_loss(labels, bases),
        "brier": brier(labels, scores),
        "brier_base": brier(labels, bases),
    }


def _test(
    fold: Fold, rows: Matrix, labels: Vector, features: Sequence[str], seed: int, threshold: float | None
) -> Tested:
    train, test = list(fold.train), list(fold.test)
    known = labels[train]
    base = float(known.mean()) if len(known) else 0.5
    skipped = None
    if len(train) < LEAST_TRAINED:
        skipped = f"{len(train)} rows to train on, expected {LEAST_TRAINED}"
    elif base in (0.0, 1.0):
        skipped = f"all {len(train)} rows to train on have label {base:.0f}"
    if skipped is not None:
        return Tested(fold, skipped, np.zeros(0), base, threshold)
    return Tested(fold, None, score(fit(rows[train], known, features, seed), rows[test]), base, threshold)


def _threshold(tested: Sequence[Tested], outcomes: Vector, known: Iterable[int]) -> Threshold | None:
    """Return what those rows of tested folds choose whose outcome is known; nothing if there are none."""
    known = frozenset(known)
    scored = {
        n: value
        for each in tested
        if each.skipped is None
        for n, value in zip(each.fold.test, each.scores, strict=True)
        if n in known
    }
    return choose(np.array(list(scored.values())), outcomes[list(scored)]) if scored else None


def _labels(sample: Sample) -> Vector:
    return np.array([row.label for row in sample.rows], dtype=np.float64)


def _outcomes(sample: Sample) -> Vector:
    return np.array([row.outcome for row in sample.rows], dtype=np.float64)
