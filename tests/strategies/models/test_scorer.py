"""A model of another kind is scored by a function of one's own, under the same checks."""

import pickle
import sys
from collections.abc import Iterator
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
    write_card(card_path(folder, "ibs_a", "ES"), make_card(built_with="scikit-learn 1.7.1", **other))
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
        (f"{MODULE}:raises", "cannot be had: RuntimeError: made with another version"),
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


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules that can be imported, each anew by `fresh`."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    forget()


def forget() -> None:
    """Leave no module of the desk's, as a new process would find it."""
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("desk_")]:
        del sys.modules[name]


def fresh(folder: Path, scorer: str, sources: dict[str, str], **other: Any) -> Model:
    """Write modules and load a model that is scored by one, as a process does that has just begun."""
    forget()
    for name, source in sources.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(source)
    return load(place(folder, scorer=scorer, **other), scorer)


HALF = "def make(card, path):\n    return lambda row: 0.5\n"


def test_the_digest_covers_every_file_of_the_scorers_package_before_it_runs(desk: Path) -> None:
    sources = {
        "desk_forest/__init__.py": "from desk_forest.wood import make\n",
        "desk_forest/wood.py": HALF,
        "desk_forest/deep.py": "x = 1\n",
        "desk_other.py": "x = 1\n",
    }

    def digest(**changed: str) -> str:
        return fresh(desk, "desk_forest:make", sources | {f"desk_{k}.py": v for k, v in changed.items()}).digest

    before = digest()
    assert digest(other="x = 2\n") == digest() == before
    assert len({before, digest(**{"forest/wood": HALF + "#"}), digest(**{"forest/deep": "x = 2\n"})}) == 3
    gone = "import pathlib\nfor path in pathlib.Path(__file__).parent.glob('deep.py'): path.unlink()\n"
    assert digest(**{"forest/wood": gone + HALF}) == digest(**{"forest/wood": gone + HALF}) != before


def test_a_scorer_of_one_file_may_remove_it(desk: Path) -> None:
    model = fresh(desk, "desk_gone:make", {"desk_gone.py": f"import os\nos.remove(__file__)\n{HALF}"})
    assert model.score([0.0, 0.0, 0.0]) == 0.5


def test_a_factory_changes_a_card_of_its_own_only(desk: Path) -> None:
    change = "card.fill['ibs'] = 9.0; object.__setattr__(card, 'threshold', 0.0)"
    source = f"def make(card, path):\n    {change}\n    return lambda row: row['ibs']\n"
    model = fresh(desk, "desk_change:make", {"desk_change.py": source}, fill={"ibs": 0.25})
    assert (model.card.threshold, model.card.fill) == (0.55, {"ibs": 0.25})
    assert model.score([None, 0.0, 0.0]) == 0.25


@pytest.mark.parametrize("change", ["path.write_bytes(b'another')", "path.unlink()"])
def test_a_factory_that_changes_its_model_file_is_not_used(desk: Path, change: str) -> None:
    (desk / "ibs_a").mkdir()
    file = desk / "ibs_a" / "ES.bin"
    file.write_bytes(b"forest")
    source = f"def make(card, path):\n    {change}\n    return lambda row: 0.5\n"
    with pytest.raises(ModelError, match=r"ES\.bin") as caught:
        fresh(desk, "desk_eats:make", {"desk_eats.py": source}, model_file="ES.bin", model_hash=file_hash(file))
    assert caught.value.kind == "files"


LEAVING = {
    "module": "raise {}\n",
    "factory": "def make(card, path):\n    raise {}\n",
    "score": "def make(card, path):\n    def score(row):\n        raise {}\n    return score\n",
}

MUTE = "class Mute(BaseException):\n    def __str__(self): raise SystemExit\n    __repr__ = __str__\n"


@pytest.mark.parametrize(
    ("where", "raised"),
    [(where, raised) for where in LEAVING for raised in ("SystemExit", "GeneratorExit", "KeyboardInterrupt", "Mute")],
)
def test_what_would_end_the_process_is_no_score(desk: Path, where: str, raised: str) -> None:
    source = MUTE + LEAVING[where].format(raised)
    told = rf"scorer desk_leave:make: (cannot be had|raised): ?{raised}"
    if where != "score":
        with pytest.raises(ModelError, match=told):
            fresh(desk, "desk_leave:make", {"desk_leave.py": source})
        return
    model = fresh(desk, "desk_leave:make", {"desk_leave.py": source})
    with pytest.raises(KeyboardInterrupt if raised == "KeyboardInterrupt" else ModelError):  # it may be a real one
        model.score([0.0, 0.0, 0.0])


def test_an_answer_that_cannot_be_shown_is_no_score(desk: Path) -> None:
    source = f"{MUTE}def make(card, path):\n    return lambda row: Mute()\n"
    with pytest.raises(ModelError, match="scorer desk_mute:make: raised SystemExit, expected a probability"):
        fresh(desk, "desk_mute:make", {"desk_mute.py": source}).score([0.0, 0.0, 0.0])


def test_what_a_scorer_says_is_told_in_one_line_that_can_be_written(desk: Path) -> None:
    source = "def make(card, path):\n    raise ValueError('half a letter: \\ud800\\n' + 'and more ' * 999)\n"
    with pytest.raises(ModelError, match=r"ValueError: half a letter: \\ud800 and more") as caught:
        fresh(desk, "desk_long:make", {"desk_long.py": source})
    told = str(caught.value)
    assert (told.count("\n"), len(told) < 600, told.encode().decode()) == (0, True, told)


def test_what_a_scorer_prints_stays_off_standard_output(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "print(1)\ndef make(card, path):\n    print(2)\n    return lambda row: print(3) or 0.5\n"
    assert fresh(desk, "desk_loud:make", {"desk_loud.py": source}).score([0.0, 0.0, 0.0]) == 0.5
    assert capsys.readouterr() == ("", "1\n2\n3\n")
