"""A model of another kind: a factory of the user's own that is asked once for what scores."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any

from attrs import frozen

from pine.core.errors import ModelError
from pine.strategies.foreign import describe, hearing, off_stdout, one_line
from pine.strategies.models.card import Card
from pine.strategies.models.sources import source_digest

Score = Callable[[Mapping[str, float]], float]
"""Takes one row, its features by address in the order of the card; returns a probability."""

Factory = Callable[[Card, Path | None], Score]
"""``module:callable``: takes the card and the path of its model file, if it has one; returns what scores."""


@frozen(eq=False)
class Scorer:
    """Scores rows with a function of the user's own; whatever it does wrong is a `ModelError`.

    Attributes
    ----------
    name
        ``module:callable``.
    source
        Hash over its Python files, as they were before it was imported; empty if it has none.
    """

    name: str
    source: bytes
    features: tuple[str, ...]
    place: Path
    function: Score

    def __call__(self, row: list[float]) -> float:
        """Return the probability."""
        with off_stdout():
            try:
                found: Any = self.function(dict(zip(self.features, row, strict=True)))
                score = _probability(found)
                shown = one_line(repr(found)) if score is None else ""
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever somebody's own model raises, there is no score
                told = describe(error)
                raise ModelError(f"{self.place}: scorer {self.name}: raised {told}, expected a probability") from error
        if score is None:
            raise ModelError(f"{self.place}: scorer {self.name}: returned {shown}, expected a probability, 0 to 1")
        return score


def _probability(found: Any) -> float | None:
    if isinstance(found, bool) or not isinstance(found, Real):
        return None
    score = float(found)
    return score if 0 <= score <= 1 else None


def load_scorer(name: str, card: Card, path: Path | None, place: Path) -> Scorer:
    """Import a factory and let it build what scores; it gets a card of its own.

    Raises
    ------
    ModelError
        If there is no such factory, or it raises, or returns nothing that can be called.
    """
    module, _, attribute = name.partition(":")
    with off_stdout(), hearing() as asked_to_end:
        try:
            source = source_digest(module)
            function = getattr(import_module(module), attribute)(deepcopy(card), path)
            shown = None if callable(function) else one_line(repr(function))
        except BaseException as error:  # somebody's own code may raise anything
            if isinstance(error, KeyboardInterrupt) and asked_to_end():
                raise
            raise ModelError(f"{place}: scorer {name}: cannot be had: {describe(error)}") from error
    if shown is not None:
        raise ModelError(f"{place}: scorer {name}: returned {shown}, expected a function of a row")
    return Scorer(name, source, card.features, place, function)
