"""Who judges an entry that a rule asks for: the strategy's filters, then its model. Risk comes after, at the desk."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

from pine.core.bar import Bar
from pine.core.config import Config, WarmUpConfig
from pine.core.errors import FeatureError, ModelError
from pine.core.log import get_logger
from pine.core.period import SessionRule
from pine.core.timeframe import Timeframe
from pine.strategies.features.places import Places
from pine.strategies.features.sessions import sessions_of, too_many
from pine.strategies.models.fleet import MISSING, Fleet, load_fleet
from pine.strategies.models.store import Model
from pine.strategies.plugins import reach

if TYPE_CHECKING:
    from pine.strategies.features.graph import FeatureSet
    from pine.strategies.features.needs import Needs
    from pine.strategies.filters import Filter

log = get_logger(__name__)


@frozen
class Verdict:
    """What is said of one entry.

    Attributes
    ----------
    refused
        Why it must not be; nothing if it may.
    facts
        For the intent: score, threshold and model.
    seen
        For the flight record: every value that was looked at, by feature.
    """

    refused: str | None = None
    facts: Mapping[str, Any] = field(factory=dict)
    seen: Mapping[str, Any] = field(factory=dict)


@frozen
class Standards:
    """What a strategy's entries are judged by; the same for every run of it.

    Attributes
    ----------
    rules
        Session rule of each root that the strategy reads, in its order.
    filters
        Filters of each traded symbol, in the order in which they are asked.
    noted
        Features of each traded symbol that are written down at every entry asked for.
    own
        Features that the strategy's rules ask for themselves.
    """

    rules: Mapping[str, SessionRule] = field(factory=dict)
    filters: Mapping[str, tuple["Filter", ...]] = field(factory=dict)
    fleet: Fleet = field(factory=Fleet)
    noted: Mapping[str, tuple[str, ...]] = field(factory=dict)
    own: tuple[str, ...] = ()
    places: Places = field(factory=Places)

    @cached_property
    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The features that must be computed for each traded symbol."""
        return {
            symbol: tuple(
                dict.fromkeys(
                    [*self.own, *(f.feature for f in filters), *self.fleet.features(symbol), *self.noted[symbol]]
                )
            )
            for symbol, filters in self.filters.items()
        }

    @property
    def asks(self) -> bool:
        """Whether any feature must be computed."""
        return any(self.wanted.values())

    @cached_property
    def needs(self) -> "Needs":
        """What those features read."""
        from pine.strategies.features.needs import needs  # only those who ask wait for the definitions

        return needs(self.wanted, self.places)

    def timeframes(self, declared: Sequence[Timeframe]) -> tuple[Timeframe, ...]:
        """Return the timeframes that a strategy and its features read."""
        read = self.needs.timeframes if self.asks else ()
        return tuple(timeframe for timeframe in Timeframe if timeframe in declared or timeframe in read)

    def reach(self, asked: WarmUpConfig) -> WarmUpConfig:
        """Return how many sessions to warm up: as many as asked for, or as give every feature a value at once."""
        if not asked.features or not self.asks:
            return asked
        needed = sessions_of(self.needs.bars)
        most = {timeframe: max(asked.sessions(timeframe), needed.get(timeframe, 0)) for timeframe in Timeframe}
        return WarmUpConfig(most[Timeframe.DAY], most[Timeframe.HOUR], most[Timeframe.MINUTE], asked.buy)


def standards_of(config: Config, strategy: str, own: Sequence[str] = ()) -> Standards:
    """Return what a configured strategy's entries are judged by; loads its models.

    Parameters
    ----------
    config, strategy
        The configuration, and which strategy.
    own
        Features that its rules ask for themselves.
    """
    setting, traded = config.strategies[strategy], tuple(config.traded[strategy])
    bare = Standards(
        rules=config.rules_of(strategy),
        filters=dict.fromkeys(traded, ()),
        noted=dict.fromkeys(traded, ()),
        own=tuple(own),
        places=Places(config.pairs, config.stand_ins),
    )
    listed = [setting.filters, setting.features, *(own.filters for own in setting.instruments.values())]
    return bare if setting.model == "none" and not any(listed) else _judged(config, strategy, bare)


def _judged(config: Config, strategy: str, bare: Standards) -> Standards:
    """Return standards with the filters, models and noted features of a strategy that has any."""
    from pine.strategies.features.address import parse_address
    from pine.strategies.filters import make_filter

    setting, traded = config.strategies[strategy], tuple(config.traded[strategy])
    everywhere = tuple(map(make_filter, setting.filters))
    if setting.scorer is not None:
        reach(setting.scorer, config.strategy_folder)
    fleet = load_fleet(config.models_folder, strategy, traded, setting.model, setting.scorer, known=parse_address)
    return evolve(
        bare,
        filters={symbol: (*everywhere, *map(make_filter, setting.instruments[symbol].filters)) for symbol in traded},
        fleet=_readable(fleet, config.reads(strategy), bare.places),
        noted=dict.fromkeys(traded, tuple(str(parse_address(text)) for text in setting.features)),
    )


def _readable(fleet: Fleet, reads: Collection[str], places: Places) -> Fleet:
    """Return a fleet whose models can have all their features; the others are problems."""
    from pine.strategies.features.needs import needs

    problems = dict(fleet.problems)
    for symbol, model in fleet.models.items():
        everything = needs({symbol: list(model.card.features)}, places, reads)
        for said in too_many(everything.bars):
            problems[symbol] = f"its features: {said}"
        asked = needs({symbol: [name for name in model.card.features if name not in model.card.fill]}, places, reads)
        if asked.unavailable:
            feature, reason = next(iter(asked.unavailable.items()))
            more = f", and {len(asked.unavailable) - 1} more" if len(asked.unavailable) > 1 else ""
            problems[symbol] = (
                f"its feature {feature} can have no value ({reason}{more}); add what it reads to the strategy's "
                "references, or fill it in the card"
            )
    models = {symbol: model for symbol, model in fleet.models.items() if symbol not in problems}
    return evolve(fleet, models=models, problems=problems)


@define(eq=False)
class Judge:
    """Computes the features of one run, bar by bar, and judges entries by them.

    Parameters
    ----------
    standards
        What to judge by.
    """

    standards: Standards
    _features: "FeatureSet | None" = None
    _told: set[str] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        if self.standards.asks:
            from pine.strategies.features.graph import FeatureSet

            known = self.standards
            self._features = FeatureSet(known.wanted, known.rules, known.places)

    def update(self, bars: Iterable[Bar]) -> None:
        """Take all bars of every timeframe that close at one instant."""
        if self._features is not None:
            self._features.update(bars)

    def value(self, symbol: str, feature: str) -> float | None:
        """Return the newest value of a feature that the strategy declared; nothing while it has none.

        Raises
        ------
        FeatureError
            If it was not declared.
        """
        if self._features is None:
            raise FeatureError(f"feature {feature}: was not declared; put it in the strategy's `features`")
        return self._features.value(symbol, feature)

    def verdict(self, symbol: str) -> Verdict:
        """Judge an entry in a traded symbol now."""
        if self._features is None:
            return Verdict(_without_model(self.standards.fleet, symbol))
        noted = self.standards.noted[symbol]
        seen: dict[str, Any] = dict(zip(noted, self._features.row(symbol, noted), strict=True))
        for rule in self.standards.filters[symbol]:
            value = seen[rule.feature] = self._features.value(symbol, rule.feature)
            refusal = rule.refusal(value)
            if refusal is not None:
                return Verdict(refusal, seen=seen)
        return self._scored(symbol, self._features, seen)

    def _scored(self, symbol: str, features: "FeatureSet", seen: dict[str, Any]) -> Verdict:
        fleet = self.standards.fleet
        model = fleet.models.get(symbol)
        if model is None:
            return Verdict(_without_model(fleet, symbol), seen=seen)
        row = features.row(symbol, model.card.features)
        seen |= zip(model.card.features, row, strict=True)
        missing = [name for name, value in seen.items() if value is None and name in _asked(model)]
        if missing:
            return Verdict(f"model: no value yet of {', '.join(missing)}", seen=seen)
        try:
            score = model.score(row)
        except ModelError as error:
            if symbol not in self._told:
                log.error("no score", symbol=symbol, reason=str(error))  # noqa: TRY400  # once: each entry is refused alike
                self._told.add(symbol)
            return Verdict("model: no score", seen=seen)
        threshold = model.card.threshold
        seen |= {"score": score, "threshold": threshold}
        said = {"score": score, "threshold": threshold, "digest": model.digest, "data": model.card.data}
        refused = None if score >= threshold else f"model: score {score:.4g} below {threshold:g}"
        return Verdict(refused, {"model": said}, seen)


def _asked(model: Model) -> set[str]:
    """Return the features that must have a value."""
    return set(model.card.features) - model.card.fill.keys()


def _without_model(fleet: Fleet, symbol: str) -> str | None:
    """Return why a symbol without a model is not entered, in words that do not depend on where its files are."""
    problem = fleet.problems.get(symbol)
    if problem is None:
        return None
    return "model: missing" if problem == MISSING else "model: cannot be used"
