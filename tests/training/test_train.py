"""From rows to a model, its card and what both are worth."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from pine.core.errors import PineError
from pine.strategies.features.address import parse_address
from pine.strategies.models.store import load_model
from pine.training.report import page
from pine.training.rows import Sample
from pine.training.told import markdown
from pine.training.train import refuse_to_replace, save
from pine.training.validation import figures, validate

from .samples import FEATURES, TERMS, sample, trained, written


def second_label_last(count: int = 60) -> Sample:
    """Return rows of which only the last two earn anything."""
    rows = sample(count).rows
    return evolve(sample(count), rows=tuple(evolve(row, outcome=row.step - rows[-3].step) for row in rows))


def test_the_same_rows_and_seed_make_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    script = Path(__file__).with_name("samples.py")
    environment = {**os.environ, "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "3"}
    subprocess.run([sys.executable, str(script), str(tmp_path / "there")], check=True, env=environment)
    there = {path.name: path.read_bytes() for path in sorted((tmp_path / "there" / "models" / "one").iterdir())}
    assert list(there) == ["ES.card.json", "ES.json"]
    assert written(tmp_path / "here") == there


def test_a_model_is_loaded_back_and_scores_as_it_was_trained(tmp_path: Path) -> None:
    made = save(tmp_path / "models", trained(tmp_path))
    model = load_model(tmp_path / "models", "one", "ES", known=parse_address)
    assert model is not None
    assert model.card == made.card
    rows = sample().rows
    scores = [model.score(row.values) for row in rows]
    good = [score for score, row in zip(scores, rows, strict=True) if row.values[0] > 1]
    bad = [score for score, row in zip(scores, rows, strict=True) if row.values[0] < -1]
    assert min(good) > max(bad)
    passed = np.mean([score >= model.card.threshold for score in scores])
    assert 0.2 < passed < 0.9


def test_the_card_says_what_was_done(tmp_path: Path) -> None:
    card = trained(tmp_path).card
    assert card is not None
    assert (card.features, card.data, card.seed) == (FEATURES, "generated", 3)
    assert card.label == (
        "the entry's trade, closed by the strategy's own rules, earns more than 0 dollars after a commission of "
        "1.25 dollars per contract and side (2 ES) and a slippage of 0.5 ticks per fill"
    )
    assert (card.trained_from, card.trained_to[:10]) == ("2024-03-04T00:00:00+00:00", "2024-04-23")
    metrics = card.metrics
    assert (metrics["rows_trained"], metrics["rows"], metrics["judged"]) == (240, 200, 160)
    assert metrics["auc"] > 0.75
    assert metrics["brier"] < metrics["brier_base"]
    assert metrics["log_loss"] < metrics["log_loss_base"]
    assert metrics["outcome_with"] > metrics["outcome_without"] + 20
    assert [fold["tested"] for fold in metrics["folds"]] == [40] * 5
    assert all(fold["embargoed"] + fold["purged"] >= 1 for fold in metrics["folds"])
    assert metrics["embargo_hours"] == pytest.approx(12, abs=1)


def test_every_row_and_nothing_else_is_in_the_hash_of_the_data() -> None:
    whole = sample()
    first = whole.rows[0]
    changed = [
        evolve(whole, rows=(evolve(first, **change), *whole.rows[1:]))
        for change in ({"outcome": first.outcome + 1e-9}, {"step": first.step + 1}, {"values": (1.0, 2.0, 3.0)})
    ]
    digests = {whole.digest(), evolve(whole, rows=whole.rows[1:]).digest(), *(each.digest() for each in changed)}
    assert len(digests) == 5
    assert sample().digest() == whole.digest()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (sample(49), "found 49 rows, expected at least 50"),
        (sample(0), "found 0 rows, expected at least 50"),
        (
            evolve(sample(60), rows=tuple(evolve(row, outcome=-5.0) for row in sample(60).rows)),
            "found label 0 only in 60 rows, expected both",
        ),
        (
            second_label_last(),
            "found no fold that could be trained, expected one with both labels before it",
        ),
    ],
    ids=["few", "none", "one label", "second label last"],
)  # fmt: skip
def test_what_cannot_be_trained_says_why(given: Sample, problem: str, tmp_path: Path) -> None:
    made = trained(tmp_path, given)
    assert (made.problem, made.card, made.booster) == (problem, None, None)
    with pytest.raises(PineError, match="found no model to write"):
        save(tmp_path / "models", made)
    assert not (tmp_path / "models").exists()


def test_a_threshold_of_a_fold_is_that_of_the_folds_before_it(tmp_path: Path) -> None:
    """Whatever the last part is, nothing before it changes."""
    whole = sample()
    other = evolve(whole, rows=(*whole.rows[:200], *(evolve(row, outcome=-row.outcome) for row in whole.rows[200:])))
    ours, theirs = (trained(tmp_path, each).validation for each in (whole, other))
    assert ours is not None
    assert theirs is not None
    assert [fold.threshold for fold in ours.folds] == [fold.threshold for fold in theirs.folds]
    assert ours.folds[0].threshold is None
    assert np.array_equal(ours.scores, theirs.scores)
    assert ours.threshold != theirs.threshold


def test_what_is_known_when_a_fold_begins_or_later_moves_neither_its_scores_nor_its_threshold() -> None:
    """Trades of earlier folds that are still open then, or were closed less than the embargo before, choose nothing."""
    whole = sample()
    ours = validate(whole, 3)
    assert ours is not None
    for number, fold in enumerate(ours.folds):
        begin = whole.rows[fold.fold.test[0]].step
        rows = [
            row if row.known < begin - ours.embargo else evolve(row, outcome=-1000 * row.outcome) for row in whole.rows
        ]
        theirs = validate(evolve(whole, rows=tuple(rows)), 3)
        assert theirs is not None
        assert theirs.folds[number].threshold == fold.threshold
        assert np.array_equal(theirs.folds[number].scores, fold.scores)
    assert all(fold.threshold is not None for fold in ours.folds[1:])


def test_a_fold_before_which_no_tested_outcome_was_known_has_no_threshold() -> None:
    whole = sample()
    late = max(row.known for row in whole.rows)
    rows = tuple(evolve(row, known=late) if n >= 40 else row for n, row in enumerate(whole.rows))
    found = validate(evolve(whole, rows=rows), 3)
    assert found is not None
    assert {fold.threshold for fold in found.folds} == {None}
    assert (figures(found)["judged"], figures(found)["outcome_with"]) == (0, None)


def test_models_that_are_there_are_not_overwritten_unasked(tmp_path: Path) -> None:
    refuse_to_replace(tmp_path / "models", "one", ["ES"])
    written(tmp_path)
    with pytest.raises(PineError, match=r"ES\.card\.json and 1 more: is there already, expected none; --replace"):
        refuse_to_replace(tmp_path / "models", "one", ["GC", "ES"])
    refuse_to_replace(tmp_path / "models", "one", ["GC"])


def test_page_and_text_show_every_symbol_and_say_generated_loudly(tmp_path: Path) -> None:
    failed = trained(tmp_path, evolve(sample(5), symbol="GC", incomplete=2, missing={"ibs": 2}, still_open=1))
    found = [trained(tmp_path), failed]
    for shown in (page(TERMS, found), markdown(TERMS, found)):
        assert "GENERATED MARKET" in shown
        assert "found 5 rows, expected at least 50" in shown
        assert "rsi(length=2)" in shown
        assert "100 - 100 / (1 + U / D)" in shown
    shown = page(TERMS, found)
    for name in ("folds-ES", "sum-ES", "calibration-ES", "importance-ES"):
        assert f'id="{name}"' in shown
    assert "2 without a value of some feature (ibs 2)" in shown
    assert "<link" not in shown
    assert "GENERATED MARKET" not in page(evolve(TERMS, data="recorded"), found)
