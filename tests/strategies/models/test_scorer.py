"""A model of another kind is scored by a function of one's own, under the same checks."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from pine.core.errors import ModelError
from pine.strategies.models.card import card_path, file_hash, write_card
from pine.strategies.models.store import Model, load_model

from . import forests
from .conftest import make_card

MODULE = forests.__name__
FOREST, RULE, FAULTY = (f"{MODULE}:{name}" for name in ("forest", "rule", "faulty"))


def place(folder: Path, **other: Any) -> Path:
    """Put a card into its place and return the folder of models."""
    write_card(card_path(folder, "ibs_a", "ES"), make_card(library="scikit-learn 1.7.1", **other))
    return folder


def place_forest(folder: Path) -> Path:
    path = folder / "ibs_a" / "ES_rf_model.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps({"model": forests.Forest(), "features": ["ibs"]}))
    return place(folder, scorer=FOREST, model_file=path.name, model_hash=file_hash(path))


def load(folder: Path, scorer: str | None) -> Model:
    model = load_model(folder, "ibs_a", "ES", scorer)
    assert model is not None
    return model


def test_a_pickled_forest_is_opened_once_and_scores_rows(tmp_path: Path) -> None:
    model = load(place_forest(tmp_path), FOREST)
    opened = len(forests.opened)
    assert [model.score([first, 0.0, 0.0]) for first in (0.25, 0.75)] == [0.25, 0.75]
    assert len(forests.opened) == opened
    assert forests.opened[-1] == tmp_path / "ibs_a" / "ES_rf_model.pkl"


def test_a_scorer_needs_no_file(tmp_path: Path) -> None:
    model = load(place(tmp_path, scorer=RULE, fill={"ibs": 0.5}), RULE)
    assert (model.score([0.125, 1.0, 2.0]), model.score([None, 1.0, 2.0])) == (0.125, 0.5)


def test_a_row_must_be_whole_for_a_scorer_too(tmp_path: Path) -> None:
    model = load(place(tmp_path, scorer=RULE), RULE)
    for row in ([0.1], [0.1, None, 2.0], [0.1, float("nan"), 2.0], [0.1, float("inf"), 2.0]):
        with pytest.raises(ModelError, match=r"ES\.card\.json: found "):
            model.score(row)


@pytest.mark.parametrize("changed", [b"", b"another forest"])
def test_a_changed_file_is_never_opened(tmp_path: Path, changed: bytes) -> None:
    place_forest(tmp_path)
    (tmp_path / "ibs_a" / "ES_rf_model.pkl").write_bytes(changed)
    opened = len(forests.opened)
    with pytest.raises(ModelError, match="it is damaged, or the two are not of one training"):
        load(tmp_path, FOREST)
    assert len(forests.opened) == opened


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    place_forest(tmp_path)
    (tmp_path / "ibs_a" / "ES_rf_model.pkl").unlink()
    with pytest.raises(ModelError, match=r"found a card without its model, expected ES_rf_model\.pkl beside it"):
        load(tmp_path, FOREST)


@pytest.mark.parametrize(
    ("configured", "told"), [(None, f"found {RULE}, expected none"), (FOREST, f"found {RULE}, expected {FOREST}")]
)
def test_the_scorer_of_the_card_is_the_one_that_is_configured(
    tmp_path: Path, configured: str | None, told: str
) -> None:
    place(tmp_path, scorer=RULE)
    with pytest.raises(ModelError) as caught:
        load(tmp_path, configured)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ("no.such.module:forest", "cannot be had: ModuleNotFoundError"),
        (f"{MODULE}:wood", "cannot be had: AttributeError"),
        (f"{MODULE}:opened", "cannot be had: TypeError"),
        (f"{MODULE}:raises", "cannot be had: RuntimeError('made with another version')"),
        (f"{MODULE}:returns_nothing", "returned None, expected a function of a row"),
    ],
)
def test_a_scorer_that_cannot_be_had_is_told_by_name(tmp_path: Path, scorer: str, told: str) -> None:
    place(tmp_path, scorer=scorer)
    with pytest.raises(ModelError) as caught:
        load(tmp_path, scorer)
    assert f"scorer {scorer}: {told}" in str(caught.value)


@pytest.mark.parametrize("first", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
def test_what_is_no_probability_is_no_score(tmp_path: Path, first: float) -> None:
    model = load(place(tmp_path, scorer=FAULTY), FAULTY)
    with pytest.raises(ModelError, match=rf"scorer {FAULTY}: (raised|returned) .*, expected a probability"):
        model.score([first, 0.0, 0.0])


def test_a_numpy_number_is_a_score(tmp_path: Path) -> None:
    import numpy as np

    model = load(place(tmp_path, scorer=RULE), RULE)
    score = model.score([np.float32(0.25), 0.0, 0.0])  # type: ignore[list-item]
    assert (score, type(score)) == (0.25, float)


def test_the_digest_follows_the_source_of_the_scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(place(tmp_path, scorer=RULE), RULE).digest
    assert load(tmp_path, RULE).digest == before
    other = tmp_path / "forests.py"
    other.write_bytes(Path(forests.__file__).read_bytes() + b"\n")
    monkeypatch.setattr(forests, "__file__", str(other))
    assert load(tmp_path, RULE).digest != before
