"""From a symbol's rows to its model, its card, and everything that is told of both."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from pine.core.errors import ModelError, PineError
from pine.core.times import isoformat
from pine.strategies.models.card import Card, card_path, model_path, read_card
from pine.strategies.models.store import save_model
from pine.training.boosting import fit, gains, params_of
from pine.training.rows import Data, Sample
from pine.training.validation import Validation, figures, fold_figures, matrix, validate

if TYPE_CHECKING:
    import xgboost

    from pine.core.config import Config

LEAST_ROWS: Final = 50


@frozen
class Terms:
    """What one training is done on.

    Attributes
    ----------
    seed
        Of every booster.
    slippage_ticks
        By which every fill was made worse.
    data
        Where the bars come from.
    """

    strategy: str
    seed: int
    slippage_ticks: float
    data: Data


@frozen(eq=False)
class Trained:
    """What came of one symbol.

    Attributes
    ----------
    problem
        Why there is no model; nothing if there is one.
    kept
        Whether a model that was there before stays as it was.
    gains
        Mean gain by feature, the largest first.
    """

    sample: Sample
    problem: str | None = None
    validation: Validation | None = None
    booster: "xgboost.Booster | None" = None
    card: Card | None = None
    gains: dict[str, float] = field(factory=dict)
    kept: bool = False


def train(config: "Config", terms: Terms, sample: Sample, on_fold: Callable[[], None] = lambda: None) -> Trained:
    """Validate a symbol's rows fold by fold, then train its model on all of them; nothing is written.

    Parameters
    ----------
    config
        What a contract costs.
    terms, sample
        What to train, and on what.
    on_fold
        Told after each fold.
    """
    ones = sum(row.label for row in sample.rows)
    if len(sample.rows) < LEAST_ROWS:
        return Trained(sample, f"found {len(sample.rows)} rows, expected at least {LEAST_ROWS}")
    if ones in (0, len(sample.rows)):
        return Trained(sample, f"found label {int(ones > 0)} only in {len(sample.rows)} rows, expected both")
    validation = validate(sample, terms.seed, on_fold)
    if validation is None:
        return Trained(sample, "found no fold that could be trained, expected one with both labels before it")
    import numpy as np

    labels = np.array([row.label for row in sample.rows], dtype=np.float64)
    booster = fit(matrix(sample), labels, sample.features, terms.seed)
    card = _card(config, terms, sample, validation)
    return Trained(sample, None, validation, booster, card, gains(booster, sample.features))


def save(folder: Path, trained: Trained) -> Trained:
    """Write a model and its card; return it with the card as it was written."""
    from attrs import evolve

    if trained.booster is None or trained.card is None:
        raise ModelError(f"{trained.sample.symbol}: found no model to write: {trained.problem}")
    return evolve(trained, card=save_model(folder, trained.booster, trained.card))


def kept(folder: Path, strategy: str, trained: Trained) -> Trained:
    """Say of a symbol without a new model whether an old one is there, which stays as it was, and from when it is."""
    from attrs import evolve

    symbol = trained.sample.symbol
    if not any(place(folder, strategy, symbol).exists() for place in (card_path, model_path)):
        return trained
    try:
        age = f"trained to {read_card(card_path(folder, strategy, symbol)).trained_to}"
    except (OSError, PineError):
        age = "of a card that cannot be read"
    return evolve(trained, problem=f"{trained.problem}; the model that is there ({age}) stays as it was", kept=True)


def refuse_to_replace(folder: Path, strategy: str, symbols: list[str]) -> None:
    """Raise `PineError` if any symbol has a model or a card already."""
    places = [place(folder, strategy, symbol) for symbol in symbols for place in (card_path, model_path)]
    there = [str(path) for path in places if path.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise PineError(
            f"{there[0]}{more}: is there already, expected none; --replace trains anew and overwrites, --out FOLDER "
            "puts models elsewhere"
        )


def label_words(config: "Config", terms: Terms, symbol: str) -> str:
    """Return what label 1 means, with the costs that are in it."""
    traded = config.traded[terms.strategy][symbol]
    return (
        f"the entry's trade, closed by the strategy's own rules, earns more than 0 dollars after a commission of "
        f"{traded.commission:g} dollars per contract and side ({traded.size} {traded.root}) and a slippage of "
        f"{terms.slippage_ticks:g} ticks per fill"
    )


def _card(config: "Config", terms: Terms, sample: Sample, validation: Validation) -> Card:
    import xgboost

    return Card(
        strategy=terms.strategy,
        symbol=sample.symbol,
        features=sample.features,
        threshold=validation.threshold.score,
        trained_from=isoformat(sample.rows[0].step),
        trained_to=isoformat(max(row.known for row in sample.rows)),
        label=label_words(config, terms, sample.symbol),
        built_with=f"xgboost {xgboost.__version__}",
        data=terms.data,
        data_hash=sample.digest(),
        model_hash="",
        seed=terms.seed,
        params=params_of(terms.seed),
        metrics=_metrics(sample, validation),
    )


def _metrics(sample: Sample, validation: Validation) -> dict[str, Any]:
    folds = [
        told | {"from": isoformat(told["from"]), "to": isoformat(told["to"])}
        for told in fold_figures(sample, validation)
    ]
    return {
        **figures(validation),
        "rows_trained": len(sample.rows),
        "embargo_hours": validation.embargo / 3.6e12,
        "still_open": sample.still_open,
        "incomplete": sample.incomplete,
        "missing": dict(sample.missing),
        "folds": folds,
    }
