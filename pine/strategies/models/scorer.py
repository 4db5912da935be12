"""A model of another kind: a factory of the user's own that is asked once for what scores."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from numbers import Real
from pathlib import Path
from typing import Any

from attrs import frozen

from pine.core.errors import ModelError
from pine.strategies.models.card import Card

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
        Content of the module's file; empty if it has none.
    """

    name: str
    source: bytes
    features: tuple[str, ...]
    place: Path
    function: Score

    def __call__(self, row: list[float]) -> float:
        """Return the probability."""
        try:
            found: Any = self.function(dict(zip(self.features, row, strict=True)))
        except Exception as error:  # whatever somebody's own model raises, there is no score
            raise ModelError(f"{self.place}: scorer {self.name}: raised {error!r}, expected a probability") from error
        if isinstance(found, bool) or not isinstance(found, Real) or not 0 <= (score := float(found)) <= 1:
            raise ModelError(f"{self.place}: scorer {self.name}: returned {found!r}, expected a probability, 0 to 1")
        return score


def load_scorer(name: str, card: Card, path: Path | None, place: Path) -> Scorer:
    """Import a factory and let it build what scores.

    Raises
    ------
    ModelError
        If there is no such factory, or it raises, or returns nothing that can be called.
    """
    module, _, attribute = name.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
        function = factory(card, path)
    except Exception as error:  # somebody's own code may raise anything
        raise ModelError(f"{place}: scorer {name}: cannot be had: {error!r}") from error
    if not callable(function):
        raise ModelError(f"{place}: scorer {name}: returned {function!r}, expected a function of a row")
    return Scorer(name, _source(module), card.features, place, function)


def _source(module: str) -> bytes:
    file = getattr(sys.modules[module], "__file__", None)
    return Path(file).read_bytes() if file else b""
