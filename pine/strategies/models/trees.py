"""The trees in xgboost's JSON. xgboost believes what they say of places in memory, so it is checked before."""

import math
from pathlib import Path
from typing import Any, Final

from pine.core.errors import ModelError
from pine.strategies.models.card import LARGEST

PER_NODE: Final = (
    "left_children",
    "right_children",
    "parents",
    "split_indices",
    "split_conditions",
    "split_type",
    "default_left",
    "base_weights",
    "loss_changes",
    "sum_hessian",
)
"""Lists of a tree with one number for each of its nodes."""

CATEGORIES: Final = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
"""Lists of a tree that are empty unless it splits by categories."""

LEAF: Final = -1
ROOT: Final = 0


def check_trees(path: Path, raw: dict[str, Any]) -> None:
    """Check that every tree is one, and asks for features that the model says it has.

    Parameters
    ----------
    path
        The model file, for messages.
    raw
        What it holds.

    Raises
    ------
    ModelError
        If a node leads to none, to one that another leads to, or asks for another feature, or a number is not finite.
    """
    model = raw["learner"]["gradient_booster"].get("model")
    if not isinstance(model, dict) or not isinstance(trees := model.get("trees"), list):
        raise ModelError(f"{path}: found a booster without trees, expected what Booster.save_model writes as .json")
    features = _features(path, raw["learner"].get("learner_model_param"))
    _check_counts(path, model, len(trees))
    for n, tree in enumerate(trees):
        _check_tree(f"{path}: tree {n}", tree, features)


def _features(path: Path, params: Any) -> int:
    features = _number(params, "num_feature")
    if not isinstance(features, int):
        raise ModelError(f"{path}: num_feature: found {_short(features)}, expected a number of features")
    for name in ("num_class", "num_target"):
        if (found := _number(params, name)) not in (None, 0, 1):
            raise ModelError(f"{path}: {name}: found {_short(found)}, expected one probability")
    return features


def _check_counts(path: Path, model: dict[str, Any], trees: int) -> None:
    _expect(path, "num_trees", _number(model.get("gbtree_model_param"), "num_trees"), trees)
    _expect(path, "tree_info", model.get("tree_info"), [0] * trees)
    together = _number(model["gbtree_model_param"], "num_parallel_tree")
    if not _whole([together]) or together < 1:
        raise ModelError(f"{path}: num_parallel_tree: found {_short(together)}, expected 1 or more")
    if (known := model.get("cats")) is not None and (not isinstance(known, dict) or any(known.values())):
        raise ModelError(f"{path}: cats: found {_short(known)}, expected no categories")
    rounds = model.get("iteration_indptr")
    if rounds is not None and (
        not _whole(rounds) or not rounds or rounds != sorted(rounds) or (rounds[0], rounds[-1]) != (0, trees)
    ):
        raise ModelError(f"{path}: iteration_indptr: found {_short(rounds)}, expected numbers that rise to {trees}")


def _check_tree(where: str, tree: Any, features: int) -> None:
    if not isinstance(tree, dict):
        raise ModelError(f"{where}: found {_short(tree)}, expected a tree")
    nodes = _number(tree.get("tree_param"), "num_nodes")
    for name in PER_NODE:
        found = tree.get(name)
        if not isinstance(found, list) or not found or len(found) != nodes:
            count = len(found) if isinstance(found, list) else "no"
            raise ModelError(f"{where}: {name}: found {count} numbers, expected one for each of {nodes} nodes")
    _expect(where, "num_feature", _number(tree["tree_param"], "num_feature"), features)
    if tree["tree_param"].get("size_leaf_vector", "1") not in ("0", "1"):
        raise ModelError(f"{where}: found leaves of several numbers, expected one number each")
    if any(tree["split_type"]) or any(tree.get(name) for name in CATEGORIES):
        raise ModelError(f"{where}: found a split by category, expected splits by numbers only")
    _check_nodes(where, tree, features)


def _check_nodes(where: str, tree: dict[str, Any], features: int) -> None:
    """Follow the tree from its root; nodes that were pruned stay in the lists and nothing leads to them."""
    seen, ahead = {ROOT}, [ROOT]
    while ahead:
        node = ahead.pop()
        children = tree["left_children"][node], tree["right_children"][node]
        number = tree["split_conditions"][node]
        if isinstance(number, bool) or not isinstance(number, int | float) or not _fits(number):
            raise ModelError(f"{where}: node {node}: found the number {_short(number)}, expected a 32-bit float")
        if children == (LEAF, LEAF):
            continue
        asked = tree["split_indices"][node]
        if not _whole([asked]) or not 0 <= asked < features:
            raise ModelError(f"{where}: node {node}: found feature {_short(asked)}, expected 0 to {features - 1}")
        for child in children:
            if not _whole([child]) or not 0 < child < len(tree["parents"]) or child in seen:
                raise ModelError(
                    f"{where}: node {node}: found child {_short(child)}, expected a node that no other leads to, 1 to "
                    f"{len(tree['parents']) - 1}"
                )
            _expect(where, f"parents: node {child}", tree["parents"][child], node)
            seen.add(child)
            ahead.append(child)


def _fits(number: float) -> bool:
    return math.isfinite(number) and abs(number) <= LARGEST


def _number(holder: Any, name: str) -> Any:
    """Return a number that xgboost writes as text."""
    found = holder.get(name) if isinstance(holder, dict) else None
    return int(found) if isinstance(found, str) and found.isdecimal() and len(found) < len("2147483647") else found


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(one, int) and not isinstance(one, bool) for one in values)


def _expect(where: Path | str, name: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise ModelError(f"{where}: {name}: found {_short(found)}, expected {_short(expected)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
