"""A model from its two files, after every check, and one row to one score."""

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from attrs import evolve, field, frozen

from pine.core.errors import ModelError, PineError
from pine.strategies.models.card import LARGEST, Card, card_path, decode_card, encode_card, model_path
from pine.strategies.models.files import read_file, replace_file
from pine.strategies.models.scorer import load_scorer
from pine.strategies.models.stages import stage

if TYPE_CHECKING:
    import xgboost

Known = Callable[[str], object]
"""Reads a feature address; raises if there is no such feature."""

Predict = Callable[[list[float]], float]
"""Scores complete rows of finite numbers, in the order of the card."""


@frozen(eq=False)
class Model:
    """A checked model that scores rows.

    Attributes
    ----------
    card
        What is known of it.
    digest
        Short hash of the card's content, the model file and a scorer's source files, for provenance.
    place
        Path of the card, for messages.
    """

    card: Card
    digest: str
    place: Path
    _predict: Predict = field(repr=False)

    def score(self, row: Sequence[float | None]) -> float:
        """Return the probability, 0 to 1, that the card's label comes true.

        The same row gives the same score, bit for bit, in every process on the same kind of machine.

        Parameters
        ----------
        row
            One value per feature, in the order of the card; ``None`` or NaN where there is none.

        Raises
        ------
        ModelError
            If the row has another length, a value is missing that the card's `fill` does not name, a value is
            infinite, or a scorer of one's own fails or returns no probability.
        """
        names = self.card.features
        if len(row) != len(names):
            raise ModelError(f"{self.place}: found a row of {len(row)} values, expected {len(names)} features")
        return self._predict([self._value(name, value) for name, value in zip(names, row, strict=True)])

    def _value(self, name: str, value: float | None) -> float:
        if value is None or math.isnan(value):
            if name not in self.card.fill:
                raise ModelError(f"{self.place}: found no value of {name}, expected one: the card fills nothing in")
            return self.card.fill[name]
        if abs(value) > LARGEST:
            raise ModelError(f"{self.place}: found {value!r} as {name}, expected a number within 32-bit floats")
        return value


def load_model(
    folder: Path, strategy: str, symbol: str, scorer: str | None = None, *, known: Known | None = None
) -> Model | None:
    """Read the model of a strategy's symbol, and check everything that can be checked before its first score.

    Parameters
    ----------
    folder
        Holds a folder per strategy.
    strategy, symbol
        Whose model.
    scorer
        ``module:callable`` of what scores, as the strategy is configured; nothing for xgboost.
    known
        Refuses addresses of features that nobody makes, by raising; nothing for no such check.

    Returns
    -------
    Model, or nothing if there is neither card nor model file.

    Raises
    ------
    ModelError
        If anything does not fit: its message names file, what was found and what was expected.
    """
    place, path = card_path(folder, strategy, symbol), model_path(folder, strategy, symbol)
    with stage("files", place):
        _check_folders(folder, strategy)
        content = read_file(place)
        if content is None:
            if read_file(path) is not None:
                raise ModelError(f"{path}: found a model without its card, expected {place.name} beside it")
            return None
    with stage("card", place):
        card = decode_card(place, content)
        _check_place(card, place, strategy, symbol)
        _check_scorer(card, place, scorer)
    with stage("features", place):
        _check_known(card, place, known)
    return _with_booster(card, place, path) if card.scorer is None else _with_scorer(card, card.scorer, place)


def save_model(folder: Path, booster: "xgboost.Booster", card: Card) -> Card:
    """Write a trained booster and its card into their places, each in one go, the card last.

    After a crash in between the card does not fit the model file, and `load_model` says so.

    Returns
    -------
    The card as it was written, with `model_hash`.

    Raises
    ------
    ModelError
        If the booster is not what the card says, or a file cannot be written.
    """
    place = card_path(folder, card.strategy, card.symbol)
    path = model_path(folder, card.strategy, card.symbol)
    if card.scorer is not None or card.model_file is not None:
        raise ModelError(f"{place}: found a card for a scorer, expected one of xgboost: without scorer and model_file")
    content = bytes(booster.save_raw("json"))
    written = evolve(card, model_hash=_sha256(content))
    encoded = encode_card(place, written)
    _checked(written, place, path, content)
    replace_file(path, content)
    replace_file(place, encoded)
    return decode_card(place, encoded)


def _check_folders(folder: Path, strategy: str) -> None:
    for place in (folder, folder / strategy):
        if place.exists() and not place.is_dir():
            raise ModelError(f"{place}: found a file, expected a folder of models")


def _check_place(card: Card, place: Path, strategy: str, symbol: str) -> None:
    for what, found, expected in (("strategy", card.strategy, strategy), ("symbol", card.symbol, symbol)):
        if found != expected:
            raise ModelError(f"{place}: {what}: found {found!r}, expected {expected!r}, as its place says")


def _check_scorer(card: Card, place: Path, scorer: str | None) -> None:
    if card.scorer != scorer:
        raise ModelError(
            f"{place}: scorer: found {card.scorer or 'none'}, expected {scorer or 'none'}, as the strategy is "
            "configured"
        )


def _check_known(card: Card, place: Path, known: Known | None) -> None:
    if known is None:
        return
    for address in card.features:
        try:
            known(address)
        except PineError as error:
            raise ModelError(f"{place}: features: found {address!r}, which is none: {error}") from None


def _with_scorer(card: Card, name: str, place: Path) -> Model:
    path = None if card.model_file is None else place.with_name(card.model_file)
    with stage("files", place):
        content = b"" if path is None else _content(card, place, path)
    with stage("scorer", place):
        scorer = load_scorer(name, card, path, place)
    with stage("files", place):  # what the factory opened is what was checked
        if path is not None:
            _content(card, place, path)
    return Model(card, _digest(card, place, content, scorer.source), place, scorer)


def _with_booster(card: Card, place: Path, path: Path) -> Model:
    with stage("card", place):
        if card.model_file is not None:
            raise ModelError(f"{place}: model_file: found {card.model_file!r}, expected none without a scorer")
    with stage("files", place):
        content = _content(card, place, path)
    with stage("model", place):
        return Model(card, _digest(card, place, content), place, _checked(card, place, path, content))


def _content(card: Card, place: Path, path: Path) -> bytes:
    """Return the model file, which is the one that the card was written for."""
    content = read_file(path)
    if content is None:
        raise ModelError(f"{place}: found a card without its model, expected {path.name} beside it")
    if (found := _sha256(content)) != card.model_hash:
        expected = card.model_hash or "no hash at all"
        raise ModelError(
            f"{path}: found a file of {len(content)} bytes with sha256 {found}, expected {expected}, as its card "
            f"{place.name} says; it is damaged, or the two are not of one training"
        )
    return content


def _checked(card: Card, place: Path, path: Path, content: bytes) -> Predict:
    """Return what scores with xgboost, after the checks of the model against its card."""
    from pine.strategies.models.booster import BoosterScore

    score = BoosterScore.read(card, place, path, content)
    score([card.fill.get(name, 0.0) for name in card.features])  # what cannot score at all is told now
    return score


def _digest(card: Card, place: Path, *contents: bytes) -> str:
    parts: list[Any] = [orjson.loads(encode_card(place, card)), *map(_sha256, contents)]
    return hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
