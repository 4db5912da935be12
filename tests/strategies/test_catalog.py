"""The catalog hands out only strategies that can run."""

import sys
from types import ModuleType

import pytest

from pine.core.errors import PineError
from pine.core.timeframe import Timeframe
from pine.strategies import catalog
from pine.strategies.base import BaseStrategy


class Silent(BaseStrategy):
    """Declares what it reads and forgets to decide."""

    timeframes = (Timeframe.DAY,)


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own module with a line in the catalog for each of two classes."""
    module = ModuleType("mine")
    monkeypatch.setattr(module, "Silent", Silent, raising=False)
    monkeypatch.setitem(sys.modules, "mine", module)
    monkeypatch.setitem(catalog.STRATEGIES, "silent", (object, "mine:Silent"))
    monkeypatch.setitem(catalog.STRATEGIES, "gone", (object, "mine:Gone"))


@pytest.mark.parametrize("kind", ["ibs", "breakout"])
def test_every_type_has_a_class_that_decides(kind: str) -> None:
    assert issubclass(catalog.strategy_class(kind), BaseStrategy)


@pytest.mark.usefixtures("mine")
def test_a_class_that_does_not_implement_on_bar_is_an_error_that_names_both() -> None:
    with pytest.raises(PineError, match="strategy type silent: mine:Silent does not implement on_bar"):
        catalog.strategy_class("silent")


@pytest.mark.usefixtures("mine")
def test_a_class_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(PineError, match="strategy type gone: found no class Gone in mine"):
        catalog.strategy_class("gone")
