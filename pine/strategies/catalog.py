"""The strategy types that a configuration can name. Cheap to import: classes come with their engine on demand."""

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pine.core.errors import PineError
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
    """Return the Backtrader class of a strategy type.

    Raises
    ------
    PineError
        If the class is not there, or does not implement what it must.
    """
    place = STRATEGIES[kind][1]
    module, _, name = place.partition(":")
    found: type[BaseStrategy] | None = getattr(import_module(module), name, None)
    if found is None:
        raise PineError(f"strategy type {kind}: found no class {name} in {module}; correct it in the catalog")
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(found.__abstractmethods__))
        raise PineError(f"strategy type {kind}: {place} does not implement {lacking}; see docs/strategies.md")
    return found
