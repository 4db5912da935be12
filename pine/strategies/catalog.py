"""The strategy types that a configuration can name. Cheap to import: classes come with their engine on demand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pine.core.config import StrategyConfig
from pine.core.config.document import Path as Where
from pine.core.errors import BadType
from pine.strategies import plugins
from pine.strategies.breakout_rules import BreakoutParams
from pine.strategies.ibs_rules import IbsParams

if TYPE_CHECKING:
    from pine.strategies.base import BacktraderStrategy

STRATEGIES: Final[dict[str, tuple[type, str]]] = {
    "ibs": (IbsParams, "pine.strategies.ibs:IbsStrategy"),
    "breakout": (BreakoutParams, "pine.strategies.breakout:BreakoutStrategy"),
}
"""For each type that pine has, its parameter class, and where its Backtrader class is."""


class Catalog:
    """Parameter classes by strategy type, as `pine.core.config.load_config` asks for them."""

    def __iter__(self) -> Iterator[str]:
        """Return the types that pine has."""
        return iter(STRATEGIES)

    def find(self, kind: str, folder: Path) -> type:
        """Return the parameter class of one of pine's types, or of a ``module:Class`` that is found in a folder.

        Raises
        ------
        BadType
            If there is none that can be used.
        """
        return STRATEGIES[kind][0] if kind in STRATEGIES else plugins.find_params(kind, folder)

    def mistakes(
        self, setting: StrategyConfig, pairs: Mapping[str, str], stand_ins: Mapping[str, str]
    ) -> Iterable[tuple[Where, str]]:
        """Yield place and message of every filter and feature that means nothing, or nothing that is read."""
        own = _features_of(setting.type)
        if (
            not own
            and not setting.features
            and not setting.filters
            and not any(symbol.filters for symbol in setting.instruments.values())
        ):
            return ()
        from pine.strategies.filters import mistakes

        return mistakes(setting, pairs, stand_ins, own)


PARAMS: Final = Catalog()


def _features_of(kind: str) -> Sequence[str]:
    """Return what the class of a user's own type asks for; nothing of a type that cannot be used: that is told."""
    try:
        return plugins.load_class(kind).features if plugins.is_plug_in(kind) else ()
    except BadType:
        return ()


def strategy_class(kind: str) -> "type[BacktraderStrategy]":
    """Return the Backtrader class of a strategy type.

    Raises
    ------
    BadType
        If the class is not there, or does not implement what it must.
    """
    if kind not in STRATEGIES:
        return plugins.load_class(kind)
    module, _, name = STRATEGIES[kind][1].partition(":")
    found: type[BacktraderStrategy] | None = getattr(import_module(module), name, None)
    if found is None:
        raise BadType(f"strategy type {kind}: found no class {name} in {module}; correct it in the catalog")
    plugins.check_class(found, f"strategy type {kind}: {module}:{name}")
    return found
