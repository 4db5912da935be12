"""The replay that asks for every entry: the strategy's rules and filters, no model, no limit of positions or loss."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import evolve

from pine.core.errors import PineError
from pine.strategies.filters import mistakes

if TYPE_CHECKING:
    from pine.core.config import Config

NO_DAILY_STOP: Final = 1e15
"""Dollars."""


def unlimited(config: "Config", strategy: str, features: Sequence[str]) -> "Config":
    """Return the configuration with which a strategy asks for every candidate, and has its features written down.

    Parameters
    ----------
    config, strategy
        As the strategy is configured.
    features
        Canonical addresses.

    Raises
    ------
    PineError
        If the strategy does not read what a feature does, or scores with something else than xgboost.
    """
    setting = config.strategies[strategy]
    if setting.scorer is not None:
        raise PineError(f"strategy {strategy}: scorer: found {setting.scorer}, expected none: models are xgboost's")
    changed = evolve(
        setting,
        model="none",
        features=list(features),
        max_positions=len(setting.instruments),
        daily_stop_loss=NO_DAILY_STOP,
    )
    wrong = [said for _, said in mistakes(changed, config.pairs, config.stand_ins)]
    if wrong:
        raise PineError(f"strategy {strategy}: {'; '.join(dict.fromkeys(wrong))}")
    return evolve(config, strategies={**config.strategies, strategy: changed})
