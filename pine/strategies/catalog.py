"""The strategy types that a configuration can name. Cheap to import: classes come with their engine on demand."""

from typing import TYPE_CHECKING, Final

from pine.strategies.breakout_rules import BreakoutParams
from pine.strategies.ibs_rules import IbsParams

if TYPE_CHECKING:
    from pine.strategies.base import BaseStrategy

PARAMS: Final[dict[str, type]] = {"ibs": IbsParams, "breakout": BreakoutParams}


def strategy_class(kind: str) -> "type[BaseStrategy]":
    """Return the Backtrader class of a strategy type."""
    if kind == "ibs":
        from pine.strategies.ibs import IbsStrategy

        return IbsStrategy
    from pine.strategies.breakout import BreakoutStrategy

    return BreakoutStrategy
