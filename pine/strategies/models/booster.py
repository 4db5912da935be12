"""xgboost's own model file: what it must be to fit its card, and the score of a row."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from attrs import define

from pine.core.errors import ModelError
from pine.strategies.models.card import Card
from pine.strategies.models.trees import check_trees

if TYPE_CHECKING:
    import xgboost

LIBRARY: Final = "xgboost"
OBJECTIVES: Final = ("binary:logistic", "reg:logistic")
"""Those whose prediction is one probability."""

_STAMP: Final = re.compile(r"^\[[\d:]+\] \S+:\d+: ")

TREES: Final = "gbtree"
"""The one kind of booster whose rows score alike one by one and all at once."""


@define(eq=False)
class BoosterScore:
    """Scores rows with a booster, on one thread, so that the order of additions never differs.

    Parameters
    ----------
    booster
        As its file has it.
    path
        The file, for messages.
    """

    booster: "xgboost.Booster"
    path: Path

    @classmethod
    def read(cls, card: Card, place: Path, path: Path, content: bytes) -> "BoosterScore":
        """Build the booster from the content of its file.

        Raises
        ------
        ModelError
            If the file is no model of xgboost, of another major version than the card or the installed library, has
            other features or another order than the card, or predicts no probability.
        """
        raw = _document(path, content)
        _check_version(card, place, path, raw)
        _check_kind(path, raw)
        check_trees(path, raw)
        booster = _booster(path, content)
        _check_features(card, path, booster)
        return cls(booster, path)

    def __call__(self, row: list[float]) -> float:
        """Return the probability that xgboost predicts: a 32-bit float, as a 64-bit one.

        Raises
        ------
        ModelError
            If xgboost refuses, or predicts anything else.
        """
        import numpy as np

        values = np.array([row], dtype=np.float32)
        try:
            found = self.booster.inplace_predict(values, validate_features=False)
        except ValueError as error:  # what xgboost raises
            raise ModelError(f"{self.path}: xgboost cannot score a row: {_first_line(error)}") from None
        if found.shape != (1,) or not 0 <= found[0] <= 1:
            raise ModelError(f"{self.path}: found a prediction of {found.tolist()}, expected one probability")
        return float(found[0])


def _document(path: Path, content: bytes) -> dict[str, Any]:
    try:
        raw = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ModelError(f"{path}: found {len(content)} bytes that are no JSON ({error}), {_EXPECTED}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("learner"), dict) or not _is_version(raw.get("version")):
        raise ModelError(f"{path}: found JSON without version and learner, {_EXPECTED}")
    return raw


_EXPECTED: Final = "expected what Booster.save_model writes as .json"


def _is_version(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, int) for part in value)


def _installed(place: Path) -> str:
    """Return the version of xgboost; what it cannot do without may be missing, as OpenMP on a fresh macOS."""
    try:
        import xgboost
    except Exception as error:
        told = " ".join(str(error).split())[:300]
        raise ModelError(f"{place}: xgboost cannot be loaded, and nothing is scored without it: {told}") from error
    return xgboost.__version__


def _check_version(card: Card, place: Path, path: Path, raw: dict[str, Any]) -> None:
    name, _, version = card.built_with.partition(" ")
    stated = version.partition(".")[0]
    if name != LIBRARY or not stated.isdecimal():
        raise ModelError(
            f"{place}: built_with: found {card.built_with!r}, expected {LIBRARY} and a version, or a scorer"
        )
    installed = _installed(place)
    if stated != installed.partition(".")[0]:
        raise ModelError(
            f"{place}: built_with: found {card.built_with!r}, expected version {installed.partition('.')[0]}, as "
            f"{installed} is installed; train it anew, or install what made it"
        )
    if str(raw["version"][0]) != stated:
        found = ".".join(map(str, raw["version"]))
        raise ModelError(f"{path}: found a model of xgboost {found}, expected {card.built_with}, as its card says")


def _check_kind(path: Path, raw: dict[str, Any]) -> None:
    objective = _name(raw, "objective")
    if objective not in OBJECTIVES:
        raise ModelError(f"{path}: objective: found {objective!r}, expected {' or '.join(OBJECTIVES)}: a probability")
    kind = _name(raw, "gradient_booster")
    if kind != TREES:
        raise ModelError(f"{path}: booster: found {kind!r}, expected {TREES}: trees whose sum is the prediction")


def _name(raw: dict[str, Any], part: str) -> Any:
    found = raw["learner"].get(part)
    return found.get("name") if isinstance(found, dict) else None


def _booster(path: Path, content: bytes) -> "xgboost.Booster":
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(content))
        booster.set_param({"nthread": 1})
        booster.num_features()  # what it has put off until it is asked
    except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: xgboost cannot read it ({_first_line(error)}), {_EXPECTED}") from None
    return booster


def _first_line(error: Exception) -> str:
    """Return what xgboost says, without the time of day, which would tell two runs apart, and the stack trace."""
    return _STAMP.sub("", (str(error).strip().splitlines() or ["no reason given"])[0])


def _check_features(card: Card, path: Path, booster: "xgboost.Booster") -> None:
    if booster.num_features() != len(card.features):
        raise ModelError(
            f"{path}: found a model of {booster.num_features()} features, expected {len(card.features)}, as its card "
            f"says: {', '.join(card.features)}"
        )
    found = booster.feature_names
    if not found:
        raise ModelError(f"{path}: found a model without names of features, expected {', '.join(card.features)}")
    if len(found) != len(card.features):
        raise ModelError(f"{path}: found {len(found)} names of features, expected {len(card.features)}, one for each")
    if tuple(found) != card.features:
        n = next(n for n, (one, other) in enumerate(zip(found, card.features, strict=True)) if one != other)
        raise ModelError(
            f"{path}: feature {n + 1}: found {found[n]!r}, expected {card.features[n]!r}, as its card says; the order "
            "counts"
        )
