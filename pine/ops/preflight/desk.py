"""Strategies: whether their classes load, and whether their models do and may trade."""

from collections.abc import Iterator

from attrs import define, field

from pine.core.config import Config
from pine.core.errors import ModelError
from pine.ops.preflight.looks import Said, ok, skipped, warning, wrong
from pine.strategies.judge import Standards, standards_of
from pine.strategies.models.origin import refuse_generated


@define
class StrategyLooks:
    """Looks at one strategy, as its worker will load it."""

    config: Config
    strategy: str
    _standards: Standards | None = field(default=None, init=False)

    def loads(self) -> Iterator[Said]:
        """Load the class, its filters, features and models."""
        from pine.strategies.catalog import strategy_class  # imports Backtrader

        setting = self.config.strategies[self.strategy]
        found = strategy_class(setting.type)
        self._standards = standards_of(self.config, self.strategy, found.features)
        read = ", ".join(timeframe.value for timeframe in self._standards.timeframes(found.timeframes))
        enabled = "" if setting.enabled else ", disabled"
        yield ok(f"type {setting.type} loads{enabled}; reads {read} of {', '.join(self.config.reads(self.strategy))}")

    def models(self) -> Iterator[Said]:
        """Tell which instruments may be entered."""
        setting = self.config.strategies[self.strategy]
        if self._standards is None:
            yield skipped("the class does not load")
            return
        fleet = self._standards.fleet
        if setting.model == "none":
            yield skipped("model: none; entries are not scored")
            return
        unfit = wrong if setting.enabled else warning
        for symbol in fleet.problems:
            yield unfit(f"{symbol}: {fleet.refusal(symbol)}; pine train {self.strategy}, or model: none")
        if setting.webhook and setting.webhook.variable is None:
            try:
                refuse_generated(self.strategy, fleet, setting.webhook)
            except ModelError as error:
                yield unfit(str(error))
                return
        if fleet.models:
            yield ok(f"of {', '.join(fleet.models)} (model: {setting.model})")
        elif not fleet.problems:
            yield skipped(f"none found (model: {setting.model}); entries are not scored")
