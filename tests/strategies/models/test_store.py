"""A model is used only if everything about it fits; what does not is told with file, found and expected."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.core.errors import ModelError, PineError
from pine.strategies.models.card import card_path, model_path
from pine.strategies.models.store import Model, load_model, save_model

from .conftest import FEATURES, Saved, make_card, train
from .damage import edit, rehash


def load(saved: Saved) -> Model:
    model = load_model(saved.folder, "ibs_a", "ES")
    assert model is not None
    return model


def refused(saved: Saved) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(saved.folder, "ibs_a", "ES")
    return str(caught.value)


def test_a_saved_model_is_loaded_with_its_card(saved: Saved) -> None:
    model = load(saved)
    assert model.card == saved.card
    assert model.card.threshold == 0.55
    assert 0 <= model.score([0.1, 12.5, -0.02]) <= 1


def test_no_folder_an_empty_one_and_one_of_other_symbols_hold_no_model(saved: Saved, tmp_path: Path) -> None:
    (tmp_path / "empty" / "ibs_a").mkdir(parents=True)
    assert load_model(tmp_path / "nowhere", "ibs_a", "ES") is None
    assert load_model(tmp_path / "empty", "ibs_a", "ES") is None
    assert load_model(saved.folder, "ibs_b", "ES") is None
    assert load_model(saved.folder, "ibs_a", "NQ") is None


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(ModelError, match="models: found a file, expected a folder of models"):
        load_model(tmp_path / "models", "ibs_a", "ES")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ibs_a").write_text("")
    with pytest.raises(ModelError, match="ibs_a: found a file, expected a folder of models"):
        load_model(tmp_path / "other", "ibs_a", "ES")


def test_a_folder_where_a_file_should_be_is_told(saved: Saved) -> None:
    saved.model_file.unlink()
    saved.model_file.mkdir()
    assert refused(saved).startswith(f"{saved.model_file}: cannot be read: ")


def test_a_card_without_its_model_and_a_model_without_its_card_are_told(saved: Saved) -> None:
    kept = saved.model_file.read_bytes()
    saved.model_file.unlink()
    assert "found a card without its model, expected ES.json beside it" in refused(saved)
    saved.model_file.write_bytes(kept)
    saved.card_file.unlink()
    assert "found a model without its card, expected ES.card.json beside it" in refused(saved)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"


@pytest.mark.parametrize("which", ["card_file", "model_file"])
def test_a_pointer_to_a_file_that_git_keeps_elsewhere_is_told(saved: Saved, which: str) -> None:
    path: Path = getattr(saved, which)
    path.write_bytes(POINTER)
    assert refused(saved).startswith(f"{path}: found a pointer of Git LFS")


CARDS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda raw: raw.update(strategy="ibs_b"), "strategy: found 'ibs_b', expected 'ibs_a', as its place says"),
    (lambda raw: raw.update(symbol="NQ"), "symbol: found 'NQ', expected 'ES', as its place says"),
    (lambda raw: raw.update(model_hash="0" * 64), f"expected {'0' * 64}, as its card ES.card.json says"),
    (lambda raw: raw.update(model_hash=""), "expected no hash at all, as its card"),
    (lambda raw: raw.pop("threshold"), "'threshold' is missing"),
    (lambda raw: raw["features"].pop(), "found a model of 3 features, expected 2, as its card says: ibs, atr(14)"),
    (
        lambda raw: raw["features"].reverse(),
        "feature 1: found 'ibs', expected 'percent_change@daily'",
    ),
    (
        lambda raw: raw.update(built_with="xgboost 1.7.6"),
        "built_with: found 'xgboost 1.7.6', expected version 3, as 3.",
    ),
    (lambda raw: raw.update(built_with="xgboost 99.0.0"), "built_with: found 'xgboost 99.0.0', expected version 3"),
    (lambda raw: raw.update(built_with="xgboost"), "built_with: found 'xgboost', expected xgboost and a version"),
    (
        lambda raw: raw.update(built_with="scikit-learn 1.7.1"),
        "built_with: found 'scikit-learn 1.7.1', expected xgboost",
    ),
    (lambda raw: raw.update(scorer="mine:forest"), "scorer: found mine:forest, expected none"),
    (lambda raw: raw.update(model_file="ES.ubj"), "model_file: found 'ES.ubj', expected none without a scorer"),
]


@pytest.mark.parametrize(("change", "told"), CARDS, ids=[told[:40] for _, told in CARDS])
def test_a_card_that_does_not_fit_is_told(saved: Saved, change: Callable[[Any], Any], told: str) -> None:
    edit(saved.card_file, change)
    assert told in refused(saved)


MODELS: list[tuple[Callable[[Any], Any], str]] = [
    (lambda raw: raw.update(version=[2, 1, 4]), "found a model of xgboost 2.1.4, expected xgboost 3."),
    (lambda raw: raw.pop("version"), "found JSON without version and learner"),
    (lambda raw: raw.update(learner=[]), "found JSON without version and learner"),
    (lambda raw: raw["learner"].pop("gradient_booster"), "booster: found None, expected gbtree"),
    (lambda raw: raw["learner"]["gradient_booster"].update(name="dart"), "booster: found 'dart', expected gbtree"),
    (lambda raw: raw["learner"]["gradient_booster"].pop("model"), "found a booster without trees"),
    (lambda raw: raw["learner"]["learner_model_param"].update(base_score="x"), "xgboost cannot read it (Unknown"),
    *(
        (lambda raw, score=score: raw["learner"]["learner_model_param"].update(base_score=score), "xgboost cannot read")
        for score in ("5", "NaN", "-1")
    ),
    (lambda raw: raw["learner"]["learner_model_param"].update(num_feature="x"), "num_feature: found 'x', expected"),
    (lambda raw: raw["learner"]["learner_model_param"].update(num_class="3"), "expected one probability"),
    (
        lambda raw: raw["learner"]["learner_model_param"].update(num_target="1000000000"),
        "num_target: found '1000000000', expected one probability",
    ),
    (lambda raw: raw["learner"].pop("objective"), "objective: found None, expected binary:logistic"),
    (lambda raw: raw["learner"]["feature_names"].reverse(), "feature 1: found 'percent_change@daily', expected 'ibs'"),
    (lambda raw: raw["learner"]["feature_names"].pop(), "found 2 names of features, expected 3, one for each"),
    (lambda raw: raw["learner"]["feature_names"].clear(), "found a model without names of features, expected ibs"),
]


@pytest.mark.parametrize(("change", "told"), MODELS, ids=range(len(MODELS)))
def test_a_model_that_does_not_fit_is_told_even_where_its_hash_does(
    saved: Saved, change: Callable[[Any], Any], told: str
) -> None:
    edit(saved.model_file, change)
    rehash(saved.card_file, saved.model_file)
    assert refused(saved).startswith(f"{saved.model_file}: ")
    assert told in refused(saved)


def to_tree(**changes: Any) -> Callable[[Any], Any]:
    """Return what puts some numbers in place of the first ones in lists of the second tree."""

    def change(raw: Any) -> None:
        tree = raw["learner"]["gradient_booster"]["model"]["trees"][1]
        for name, values in changes.items():
            tree[name][: len(values)] = values

    return change


TREES: list[tuple[Callable[[Any], Any], str]] = [
    (to_tree(left_children=[0], right_children=[0]), "tree 1: node 0: found child 0, expected a node that no other"),
    (to_tree(left_children=[10**6], right_children=[10**6]), "tree 1: node 0: found child 1000000, expected"),
    (to_tree(left_children=[-2]), "tree 1: node 0: found child -2, expected"),
    (to_tree(left_children=[-1]), "tree 1: node 0: found child -1, expected"),
    (to_tree(right_children=[1]), "tree 1: node 0: found child 1, expected a node that no other leads to"),
    (to_tree(left_children=[True]), "tree 1: node 0: found child True, expected"),
    (to_tree(parents=[0, 2]), "tree 1: parents: node 1: found 2, expected 0"),
    (to_tree(split_indices=[-5]), "tree 1: node 0: found feature -5, expected 0 to 2"),
    (to_tree(split_indices=[10**6]), "tree 1: node 0: found feature 1000000, expected 0 to 2"),
    (to_tree(split_conditions=[1e39]), "tree 1: node 0: found the number 1e+39, expected a 32-bit float"),
    (to_tree(split_conditions=["1"]), "tree 1: node 0: found the number '1', expected a 32-bit float"),
    (to_tree(split_type=[1]), "tree 1: found a split by category"),
    (to_tree(categories_nodes=[0]), "tree 1: found a split by category"),
    (to_tree(default_left=[0] * 99), "tree 1: default_left: found 99 numbers, expected one for each of"),
    (lambda raw: raw["learner"]["gradient_booster"]["model"]["trees"].pop(), "num_trees: found 2, expected 1"),
    (lambda raw: raw["learner"]["gradient_booster"]["model"].update(trees=[1, 2]), "tree 0: found 1, expected a tree"),
    (lambda raw: raw["learner"]["gradient_booster"]["model"].update(tree_info=[0, 9]), "tree_info: found [0, 9]"),
    (lambda raw: raw["learner"]["gradient_booster"]["model"].update(iteration_indptr=[0, 9]), "that rise to 2"),
    (lambda raw: raw["learner"]["gradient_booster"]["model"].update(cats={"enc": [1]}), "expected no categories"),
    (
        lambda raw: raw["learner"]["gradient_booster"]["model"]["gbtree_model_param"].update(num_parallel_tree="0"),
        "num_parallel_tree: found 0, expected 1 or more",
    ),
]


@pytest.mark.parametrize(("change", "told"), TREES, ids=range(len(TREES)))
def test_trees_that_lead_nowhere_are_told_before_they_are_followed(
    saved: Saved, change: Callable[[Any], Any], told: str
) -> None:
    edit(saved.model_file, change)
    rehash(saved.card_file, saved.model_file)
    assert refused(saved).startswith(f"{saved.model_file}: ")
    assert told in refused(saved)


@pytest.mark.parametrize("method", ["exact", "hist", "approx"])
def test_trees_of_every_method_are_read_also_where_they_were_pruned(saved: Saved, method: str) -> None:
    import numpy as np
    import xgboost

    rows = np.random.default_rng(3).normal(size=(400, 3)).astype(np.float32)
    rows[::7, 1] = np.nan
    matrix = xgboost.DMatrix(rows, (rows[:, 0] > 0.1 * rows[:, 2]).astype(np.float32), feature_names=list(FEATURES))
    params = {"objective": "binary:logistic", "tree_method": method, "gamma": 2.0, "max_depth": 6, "nthread": 1}
    booster = xgboost.train({**params, "num_parallel_tree": 2, "subsample": 0.7, "seed": 1}, matrix, 4)
    save_model(saved.folder, booster, make_card())
    assert load(saved).score([1.0, 0.0, 0.0]) > 0.5


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\x80\x04\x95pickle", b'{"version": [3, 0, 0], "learner": {}}']
)
def test_a_foreign_file_is_told_even_where_its_hash_fits(saved: Saved, content: bytes) -> None:
    saved.model_file.write_bytes(content)
    assert "it is damaged, or the two are not of one training" in refused(saved)
    rehash(saved.card_file, saved.model_file)
    assert refused(saved).startswith(f"{saved.model_file}: ")


def test_another_threshold_is_a_change_one_may_make_and_the_digest_says_so(saved: Saved) -> None:
    before = load(saved)
    edit(saved.card_file, lambda raw: raw.update(threshold=0.7))
    after = load(saved)
    assert (before.card.threshold, after.card.threshold) == (0.55, 0.7)
    assert before.digest != after.digest
    assert before.score([1.0, 2.0, 3.0]) == after.score([1.0, 2.0, 3.0])


def test_the_digest_is_of_what_the_files_say_not_of_how_they_are_laid_out(saved: Saved) -> None:
    before = load(saved).digest
    edit(saved.card_file, lambda raw: None)
    assert load(saved).digest == before


def test_files_of_two_symbols_that_were_swapped_are_told(saved: Saved) -> None:
    save_model(saved.folder, train(columns=3), make_card(symbol="NQ"))
    folder = saved.folder / "ibs_a"
    shutil.move(folder / "NQ.card.json", folder / "ES.card.json")
    assert "symbol: found 'NQ', expected 'ES'" in refused(saved)


def test_models_of_two_symbols_that_were_swapped_are_told(saved: Saved, tmp_path: Path) -> None:
    other = train(columns=3)
    other.set_attr(of="another training")
    save_model(saved.folder, other, make_card(symbol="NQ"))
    shutil.move(saved.folder / "ibs_a" / "NQ.json", saved.model_file)
    assert "it is damaged, or the two are not of one training" in refused(saved)


def test_features_that_nobody_makes_are_named(saved: Saved) -> None:
    def known(address: str) -> object:
        if address == "atr(14)":
            raise PineError("unknown feature; did you mean atr(period=14)?")
        return address

    assert load_model(saved.folder, "ibs_a", "ES", known=lambda address: address) is not None
    with pytest.raises(ModelError) as caught:
        load_model(saved.folder, "ibs_a", "ES", known=known)
    assert f"{saved.card_file}: features: found 'atr(14)', which is none: unknown feature" in str(caught.value)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: train(("a", "b", "c")), "feature 1: found 'a', expected 'ibs'"),
        (lambda: train(None), "found a model without names of features"),
        (lambda: train(FEATURES[:2], 2), "found a model of 2 features, expected 3"),
        (lambda: train(objective="reg:squarederror"), "objective: found 'reg:squarederror', expected binary:logistic"),
    ],
    ids=["names", "no names", "too few", "no probability"],
)
def test_a_booster_that_its_card_does_not_describe_is_not_saved(saved: Saved, made: Any, told: str) -> None:
    before = saved.model_file.read_bytes(), saved.card_file.read_bytes()
    with pytest.raises(ModelError) as caught:
        save_model(saved.folder, made(), make_card())
    assert told in str(caught.value)
    assert (saved.model_file.read_bytes(), saved.card_file.read_bytes()) == before


def test_a_card_for_a_scorer_is_not_saved_with_a_booster(saved: Saved, booster: Any) -> None:
    with pytest.raises(ModelError, match="found a card for a scorer, expected one of xgboost"):
        save_model(saved.folder, booster, make_card(scorer="mine:forest"))


def test_saving_leaves_two_files_and_nothing_else(saved: Saved, booster: Any) -> None:
    save_model(saved.folder, booster, make_card(threshold=0.6))
    assert sorted(path.name for path in saved.card_file.parent.iterdir()) == ["ES.card.json", "ES.json"]
    assert load(saved).card.threshold == 0.6


@pytest.mark.parametrize("ended_at", ["ES.json", "ES.card.json"])
def test_a_save_that_ends_in_between_leaves_the_old_pair_or_a_named_mismatch(
    saved: Saved, booster: Any, monkeypatch: pytest.MonkeyPatch, ended_at: str
) -> None:
    """Ended by force where a file is about to get its name: nothing is tidied up."""

    class Ended(BaseException):
        pass

    rename = Path.replace

    def end(path: Path, target: Path) -> Path:
        if target.name == ended_at:
            raise Ended
        return rename(path, target)

    row = [0.4, 1.0, -1.0]
    before = load(saved).score(row)
    newer = booster.copy()
    newer.set_attr(of="another training")
    monkeypatch.setattr(Path, "replace", end)
    with pytest.raises(Ended):
        save_model(saved.folder, newer, make_card(threshold=0.9))
    monkeypatch.undo()
    if ended_at == "ES.json":
        assert (load(saved).score(row), load(saved).card.threshold) == (before, 0.55)
    else:
        assert "it is damaged, or the two are not of one training" in refused(saved)
    save_model(saved.folder, newer, make_card(threshold=0.9))
    assert load(saved).card.threshold == 0.9


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, booster: Any) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(ModelError, match=r"ES\.json: cannot be written: "):
        save_model(tmp_path / "models", booster, make_card())


def test_the_places_of_the_files(tmp_path: Path) -> None:
    assert model_path(tmp_path, "ibs_a", "6E") == tmp_path / "ibs_a" / "6E.json"
    assert card_path(tmp_path, "ibs_a", "6E") == tmp_path / "ibs_a" / "6E.card.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, booster: Any) -> Saved:
    folder = tmp_path_factory.mktemp("whole")
    return Saved(folder, save_model(folder, booster, make_card()))


@given(data=st.data(), rehashed=st.booleans(), which=st.sampled_from(["model_file", "card_file"]))
def test_a_file_that_was_cut_off_anywhere_never_scores(
    whole: Saved, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rehashed: bool, which: str
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    cut = Saved(folder, whole.card)
    shutil.copytree(whole.folder, folder, dirs_exist_ok=True)
    path: Path = getattr(cut, which)
    content = path.read_bytes().rstrip()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1), label="bytes left")])
    if rehashed and which == "model_file":
        rehash(cut.card_file, cut.model_file)
    assert str(folder) in refused(cut)
    shutil.rmtree(folder)
