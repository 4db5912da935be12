"""Filters: conditions on features that must hold before a strategy may enter. What is missing does not hold."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from pine.core.config import FilterConfig, StrategyConfig
from pine.core.config.document import Path as Where
from pine.core.config.quoted import shortened
from pine.core.errors import FeatureError, PineError
from pine.strategies.features.address import parse_address
from pine.strategies.features.needs import needs
from pine.strategies.features.places import Places
from pine.strategies.features.presets import PRESETS, AboveLimit, BelowLimit, Between, Condition, Equals
from pine.strategies.features.sessions import too_many

CONDITIONS: Final = ("between", "above", "below", "equals")


@frozen
class Filter:
    """One condition on one feature, which is named by its canonical address."""

    feature: str
    condition: Condition

    def refusal(self, value: float | None) -> str | None:
        """Return why a value does not pass, or nothing if it does; a missing one never passes."""
        if value is not None and self.condition.passes(value):
            return None
        found = "no value yet" if value is None else f"{value:.6g}"
        return f"filter {self.feature}: found {found}, expected {self.condition}"


def make_filter(setting: FilterConfig) -> Filter:
    """Return the filter that a setting names or describes.

    Raises
    ------
    FeatureError
        If it names no feature.
    PineError
        If it has no condition, or more than one.
    """
    given = [name for name in CONDITIONS if getattr(setting, name) is not None]
    preset = PRESETS.get(setting.feature)
    if not given and preset is not None:
        return Filter(str(parse_address(preset.address)), preset.condition)
    if not given and setting.feature.isidentifier() and (near := _near_presets(setting.feature)):
        raise PineError(f"filter {setting.feature}: found no ready-made filter of that name; near names are {near}")
    feature = str(parse_address(setting.feature if preset is None else preset.address))
    if len(given) != 1:
        raise PineError(
            f"filter {shortened(setting.feature)}: found {' and '.join(given) or 'no condition'}, expected one of "
            f"{', '.join(CONDITIONS)}, or the name of a ready-made filter (pine features --filters lists them)"
        )
    return Filter(feature, _condition(setting))


def _near_presets(name: str) -> str:
    wanted = name.lower()
    near = difflib.get_close_matches(wanted, PRESETS, n=3, cutoff=0.6)
    squeezed = [known for known in PRESETS if known.replace("_", "") == wanted.replace("_", "")]
    return ", ".join(dict.fromkeys([*squeezed, *near]))


def _condition(setting: FilterConfig) -> Condition:
    if setting.between is not None:
        return Between(*setting.between)
    if setting.above is not None:
        return AboveLimit(setting.above)
    if setting.below is not None:
        return BelowLimit(setting.below)
    assert setting.equals is not None
    return Equals(setting.equals)


def mistakes(
    setting: StrategyConfig, pairs: Mapping[str, str], stand_ins: Mapping[str, str], own: Sequence[str] = ()
) -> Iterator[tuple[Where, str]]:
    """Yield place and message of every filter and feature of a strategy that means nothing, or nothing that it reads.

    Parameters
    ----------
    setting
        The strategy's settings.
    pairs, stand_ins
        Whose partner is whose, and whose bars are read for a symbol that is not there.
    own
        Features that the type's class asks for; what is wrong with them stands at its `type`.
    """
    places = Places(pairs, stand_ins)
    reads = {*setting.instruments, *setting.references}
    for text in own:
        yield from (
            (("type",), f"features of {setting.type}: {said}")
            for said in _unreadable(text, setting.instruments, reads, places)
        )
    for n, text in enumerate(setting.features):
        yield from ((("features", n), said) for said in _unreadable(text, setting.instruments, reads, places))
    groups: list[tuple[Where, Iterable[FilterConfig], Iterable[str]]]
    groups = [(("filters",), setting.filters, setting.instruments)]
    groups += [(("instruments", name, "filters"), own.filters, [name]) for name, own in setting.instruments.items()]
    for where, filters, symbols in groups:
        for n, one in enumerate(filters):
            try:
                made = make_filter(one)
            except PineError as error:
                yield (*where, n), str(error)
            else:
                yield from (((*where, n), said) for said in _unreadable(made.feature, symbols, reads, places))


def _unreadable(text: str, symbols: Iterable[str], reads: Collection[str], places: Places) -> Iterator[str]:
    """Yield what is wrong with a feature, or with what it reads for some traded symbols."""
    try:
        feature = shortened(str(parse_address(text)))
    except FeatureError as error:
        hint = "; put a feature with a comma in quotes" if text.count("(") > text.count(")") else ""
        yield f"{error}{hint}"
        return
    asked = needs({symbol: [text] for symbol in symbols}, places)
    missing = [symbol for symbol in asked.symbols if symbol not in reads]
    if missing:
        yield f"{feature} reads {', '.join(missing)}, which this strategy does not; add it to references"
    yield from (f"{feature}: {reason}" for reason in (*asked.unavailable.values(), *too_many(asked.bars)))
