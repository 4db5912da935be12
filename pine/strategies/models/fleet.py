"""The models of one strategy's instruments, and which instruments may not be entered for want of one."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import orjson
from attrs import field, frozen

from pine.core.config import Policy
from pine.core.errors import ModelError
from pine.strategies.models.card import GENERATED, card_path
from pine.strategies.models.store import Known, Model, load_model

MISSING: Final = "missing"

UNREADABLE: Final = "unreadable"
"""Kind of the problem of a model that fits its place, and asks for what the strategy does not read."""


@frozen
class Fleet:
    """Models by symbol.

    Attributes
    ----------
    models
        By symbol; a symbol in neither mapping trades unscored.
    problems
        Why a symbol is not entered: ``missing``, or what is wrong with its files.
    kinds
        Of problems, in a word each that does not depend on where the files are.
    folder, strategy
        Where they are, for messages.
    """

    models: Mapping[str, Model] = field(factory=dict)
    problems: Mapping[str, str] = field(factory=dict)
    kinds: Mapping[str, str] = field(factory=dict)
    folder: Path = Path("models")
    strategy: str = ""

    def refusal(self, symbol: str) -> str | None:
        """Return why a symbol may not be entered; nothing if it may."""
        problem = self.problems.get(symbol)
        if problem is None:
            return None
        if problem == MISSING:
            place = card_path(self.folder, self.strategy, symbol)
            return f"model missing: {place}; this strategy enters only with a model (model: required)"
        return f"model refused: {problem}"

    def features(self, symbol: str) -> tuple[str, ...]:
        """Return the addresses that a symbol's model reads, in its order; none without a model."""
        model = self.models.get(symbol)
        return () if model is None else model.card.features

    def generated(self) -> list[str]:
        """Return the symbols whose model was trained on a generated market."""
        return sorted(symbol for symbol, model in self.models.items() if model.card.data == GENERATED)

    def digest(self) -> str | None:
        """Return a short hash of all models, and of what kind of problem others have; nothing if there is neither."""
        if not self.models and not self.problems:
            return None
        models = {symbol: model.digest for symbol, model in self.models.items()}
        known = [models, {symbol: self.kinds.get(symbol, UNREADABLE) for symbol in self.problems}]
        return hashlib.blake2b(orjson.dumps(known, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def load_fleet(
    folder: Path,
    strategy: str,
    symbols: Iterable[str],
    policy: Policy,
    scorer: str | None = None,
    *,
    known: Known | None = None,
) -> Fleet:
    """Load the models of a strategy's symbols.

    Parameters
    ----------
    folder
        Holds a folder per strategy.
    strategy, symbols
        Whose models.
    policy
        ``none`` loads nothing. ``optional``: a symbol without any files trades unscored, one whose files do not fit is
        not entered. ``required``: a symbol without files is not entered either.
    scorer, known
        As `pine.strategies.models.store.load_model` takes them.
    """
    models: dict[str, Model] = {}
    problems: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for symbol in () if policy == "none" else symbols:
        try:
            model = load_model(folder, strategy, symbol, scorer, known=known)
        except ModelError as error:
            problems[symbol], kinds[symbol] = str(error), error.kind
            continue
        if model is not None:
            models[symbol] = model
        elif policy == "required":
            problems[symbol] = kinds[symbol] = MISSING
    return Fleet(models, problems, kinds, folder, strategy)
