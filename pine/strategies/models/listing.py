"""What a person wants to know of the models of a strategy's instruments."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pine.core.errors import ModelError
from pine.strategies.models.card import card_path
from pine.strategies.models.store import Known, load_model


def list_models(
    folder: Path, strategy: str, symbols: Iterable[str], scorer: str | None = None, *, known: Known | None = None
) -> list[dict[str, Any]]:
    """Return a document per symbol, after every check that a worker would do.

    Its ``state`` is ``ok``, ``missing`` or ``refused``; ``problem`` says what is wrong with one that is refused, and
    what only the card knows is nothing unless the model is ``ok``.

    Parameters
    ----------
    folder
        Holds a folder per strategy.
    strategy, symbols
        Whose models.
    scorer, known
        As `pine.strategies.models.store.load_model` takes them.
    """
    return [_look(folder, strategy, symbol, scorer, known) for symbol in symbols]


def _look(folder: Path, strategy: str, symbol: str, scorer: str | None, known: Known | None) -> dict[str, Any]:
    problem, card, digest = None, None, None
    try:
        model = load_model(folder, strategy, symbol, scorer, known=known)
    except ModelError as error:
        state, problem = "refused", str(error)
    else:
        state = "missing" if model is None else "ok"
        if model is not None:
            card, digest = model.card, model.digest
    return {
        "strategy": strategy,
        "symbol": symbol,
        "state": state,
        "problem": problem,
        "card": str(card_path(folder, strategy, symbol)),
        "digest": digest,
        "threshold": card and card.threshold,
        "features": card and list(card.features),
        "trained_from": card and card.trained_from,
        "trained_to": card and card.trained_to,
        "data": card and card.data,
        "built_with": card and card.built_with,
        "scorer": card and card.scorer,
        "metrics": card and card.metrics,
    }
