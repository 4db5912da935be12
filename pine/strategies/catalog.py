"""The strategy types that a configuration can name. Cheap to import: classes come with their engine on demand."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from pine.strategies.breakout_rules import BreakoutParams
from pine.strategies.ibs_rules import IbsParams

if TYPE_CHECKING:
    from pine.strategies.base import BaseStrategy

STRATEGIES: Final[dict[str, tuple[type, str]]] = {
    "ibs": (IbsParams, "pine.strategies.ibs:IbsStrategy"),
    "breakout": (BreakoutParams, "pine.strategies.breakout:BreakoutStrategy"),
}
"""For each type its parameter class, and where its Backtrader class is."""

PARAMS: Final = {kind: params for kind, (params, _) in STRATEGIES.items()}


def strategy_class(kind: str) -> "type[BaseStrategy]":
    """Return the Backtrader class of a strategy type."""
    module, _, name = STRATEGIES[kind][1].partition(":")
    found: type[BaseStrategy] = getattr(import_module(module), name)
    return found
