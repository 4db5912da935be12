"""What a strategy's models are trained on where its configuration names no features."""

from collections.abc import Mapping, Sequence
from typing import Final

from pine.core.config import StrategyConfig
from pine.core.errors import PineError
from pine.strategies.features.address import parse_address

_RANGE: Final = "difference(high, low)"

_COMMON: Final = (
    "rsi(2)",
    "rsi(14)",
    "rsi(5)@daily",
    "percent_change(1)",
    "percent_change(4)",
    "percent_change(1)@daily",
    "z_score(20, 100)",
    "standardized(close, 20)",
    "momentum_z(3, 20)",
    "standardized(volume, 20)",
    "percentile(volume, 100)",
    f"ratio({_RANGE}, sma(20, {_RANGE}))",
    f"ratio(sma(5, {_RANGE}), sma(50, {_RANGE}))",
    "ratio(deviation(5), deviation(50))",
    "ratio(difference(close, ema(50)), deviation(50))",
    "ratio(difference(close, lowest(20)), difference(highest(20), lowest(20)))",
)

DEFAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "ibs": ("ibs", "lag(ibs, 1)", "ibs@daily", "sma(5, ibs)", *_COMMON),
    "breakout": (
        "ibs@daily",
        "percent_change(24)",
        "ratio(difference(close, highest(55)), deviation(50))",
        "ratio(difference(highest(55), lowest(55)), sma(50, difference(high, low)))",
        *_COMMON,
    ),
}
"""Addresses by type of strategy: windows of up to 100 hours, some days, nothing of other instruments."""


def features_of(setting: StrategyConfig, named: Sequence[str]) -> tuple[str, ...]:
    """Return canonical addresses of what to train on: those named, else the strategy's own, else the defaults.

    Raises
    ------
    FeatureError
        If an address cannot be read.
    PineError
        If none are named and there are no defaults for the type of strategy.
    """
    texts = tuple(named) or tuple(setting.features) or DEFAULTS.get(setting.type, ())
    if not texts:
        raise PineError(
            f"strategy type {setting.type}: found no features to train on, expected some under the strategy's "
            f"`features` or with --features; there are defaults for {', '.join(DEFAULTS)}"
        )
    return tuple(dict.fromkeys(str(parse_address(text)) for text in texts))
