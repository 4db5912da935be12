"""Plain values to typed settings, with everything that is wrong in them."""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from pine.core.config.desk import Alerting
from pine.core.config.document import Path as Where
from pine.core.config.document import Unset
from pine.core.config.duration import Duration
from pine.core.config.market import TapeConfig
from pine.core.config.problems import unknown
from pine.core.config.quoted import quoted
from pine.core.config.secret import Secret
from pine.core.config.strategy import FilterConfig, StrategyConfig, StrategyWarmUp, WarmUpConfig
from pine.core.errors import PineError


class Mistakes(Exception):
    """Everything that is wrong in a piece of configuration, as path and message, and what could be built without it."""

    def __init__(self, found: list[tuple[Where, str]], built: Any = None) -> None:
        self.found = found
        self.built = built


def structure(converter: cattrs.Converter, value: Any, kind: Any) -> Any:
    """Build typed settings; raise `Mistakes` with everything that is wrong in them, not just the first.

    What cannot be built is noted and left out, and the rest is tried again, so that its bounds are checked too.
    """
    found: list[tuple[Where, str]] = []
    while True:
        with attrs.validators.disabled():
            try:
                built = converter.structure(value, kind)
                break
            except (cattrs.BaseValidationError, TypeError, ValueError, AttributeError) as error:
                new = [mistake for mistake in _flatten(error, ()) if mistake not in found]
                found += new
                shorter = value
                for where, _ in new:
                    shorter = _without(shorter, where)
                if shorter == value:
                    raise Mistakes(found) from None
                value = shorter
    told = {where for where, _ in found}
    found += [mistake for mistake in _out_of_bounds(built, ()) if mistake[0] not in told]
    if found:
        raise Mistakes(found, built)
    return built


def make_converter() -> cattrs.Converter:
    """Return a converter that takes values as they are: no number from a text, no truth from a number."""
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)

    def strict(kind: type, *accepted: type) -> None:
        def hook(value: Any, _type: Any) -> Any:
            if isinstance(value, Unset):
                return kind()  # complained about already
            if isinstance(value, bool) is not (kind is bool) or not isinstance(value, accepted):
                hint = "; put it in quotes" if kind is str and isinstance(value, int | float) else ""
                raise TypeError(f"found {quoted(value)}, expected {_KIND_WORDS[kind]}{hint}")
            return kind(value)

        converter.register_structure_hook(kind, hook)

    strict(int, int)
    strict(float, int, float)
    strict(bool, bool)
    strict(str, str)
    converter.register_structure_hook(Secret, lambda value, _type: value)

    converter.register_structure_hook(Duration, _duration)

    _hook_lists(converter)
    converter.register_structure_hook_func(lambda kind: kind == tuple[float, float] | None, _bounds)
    converter.register_structure_hook_func(lambda kind: kind == tuple[float, ...] | None, _numbers)

    converter.register_structure_hook_func(
        lambda kind: get_origin(kind) is not None and "Literal" in str(kind)[:15], _literal
    )
    _hook_off(converter, TapeConfig, "{keep: 30d}")
    _hook_off(converter, WarmUpConfig, "{daily: 252}")
    _hook_off(converter, StrategyWarmUp, "{daily: 252}")
    _hook_filter(converter)
    default_strategy = converter.gen_structure_attrs_fromdict(StrategyConfig)

    def strategy(value: Any, kind: Any) -> Any:
        if isinstance(value, dict) and isinstance(names := value.get("instruments"), list):
            value = value | {"instruments": {name: {} for name in names if isinstance(name, str)}}
        return default_strategy(value, kind)

    converter.register_structure_hook(StrategyConfig, strategy)
    return converter


def _literal(value: Any, kind: Any) -> Any:
    if isinstance(value, Unset):
        return get_args(kind)[0]
    if value not in get_args(kind):
        raise ValueError(f"found {quoted(value)}, expected one of {', '.join(map(str, get_args(kind)))}")
    return value


def _hook_lists(converter: cattrs.Converter) -> None:
    """Take lists as lists: a text is no list of characters."""

    def texts(value: Any, _type: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"found {quoted(value)}, expected a list of texts, such as [one, another]")
        return list(value)

    converter.register_structure_hook_func(lambda kind: kind == list[str], texts)

    def words(value: Any, kind: Any) -> list[Any]:
        allowed = get_args(get_args(kind)[0])
        if isinstance(value, Unset):
            return []  # complained about already
        if not isinstance(value, list):
            raise TypeError(f"found {quoted(value)}, expected a list, such as [{allowed[0]}, {allowed[1]}]")
        return [_literal(word, get_args(kind)[0]) for word in value]

    converter.register_structure_hook_func(lambda kind: kind == list[Alerting], words)


def _hook_filter(converter: cattrs.Converter) -> None:
    """Read the name of a ready-made filter alone as well as a filter's settings."""
    default_filter = converter.gen_structure_attrs_fromdict(FilterConfig)

    def filtering(value: Any, kind: Any) -> Any:
        if isinstance(value, str):
            return FilterConfig(value)
        if not isinstance(value, dict):
            raise TypeError(
                f"found {quoted(value)}, expected a filter such as {{feature: rsi(2)@daily, between: [0, 40]}}"
            )
        if any(")" in str(key) for key in value):
            raise ValueError("found a feature cut at its comma, expected it in quotes, as in 'z_score(20, 252)'")
        return default_filter(value, kind)

    converter.register_structure_hook(FilterConfig, filtering)

    def filters(value: Any, _kind: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(f"found {quoted(value)}, expected a list of filters, each after a dash or between [ and ]")
        return default_filters(value, _kind)

    default_filters = converter.get_structure_hook(list[FilterConfig])
    converter.register_structure_hook_func(lambda kind: kind == list[FilterConfig], filters)


def _hook_off(converter: cattrs.Converter, settings: Any, example: str) -> None:
    """Read settings that may be ``off`` instead, which is nothing."""
    default = converter.gen_structure_attrs_fromdict(settings)

    def hook(value: Any, _type: Any) -> Any:
        if isinstance(value, Unset) or value is None:
            return settings()  # complained about already, or nothing set
        if value is False or value == "off":  # without quotes, YAML reads off as false
            return None
        if not isinstance(value, dict):
            raise TypeError(f"found {quoted(value)}, expected off, or settings such as {example}")
        return default(value, settings)

    converter.register_structure_hook(settings | None, hook)


def _bounds(value: Any, _type: Any) -> tuple[float, float] | None:
    """Read two numbers, the lower one first."""
    if value is None or isinstance(value, Unset):
        return None  # complained about already, or nothing set
    if not isinstance(value, list) or not _all_finite(value) or len(value) != 2 or not value[0] <= value[1]:
        raise ValueError(
            f"found {quoted(value)}, expected the lower and the upper bound, finite numbers such as [0, 40]"
        )
    return float(value[0]), float(value[1])


def _numbers(value: Any, _type: Any) -> tuple[float, ...] | None:
    """Read a number, or a list of some."""
    if value is None or isinstance(value, Unset):
        return None  # complained about already, or nothing set
    found = value if isinstance(value, list) else [value]
    if not found or not _all_finite(found):
        raise ValueError(f"found {quoted(value)}, expected a finite number, or a list such as [1, 2]")
    return tuple(map(float, found))


def _all_finite(values: list[Any]) -> bool:
    largest = sys.float_info.max  # a comparison takes whole numbers of any size
    return all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) <= largest for n in values)


def _duration(value: Any, _type: Any) -> Duration:
    if isinstance(value, Unset):
        return Duration(0)  # complained about already
    return Duration.parse(str(value))


_KIND_WORDS: Final = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _without(value: Any, where: Where) -> Any:
    """Return a copy of settings without one of them."""
    if isinstance(value, list) and len(where) > 1 and isinstance(where[0], int):
        return [_without(item, where[1:]) if n == where[0] else item for n, item in enumerate(value)]
    if not where or not isinstance(value, dict) or where[0] not in value:
        return value
    rest = {key: inner for key, inner in value.items() if key != where[0]}
    return rest if len(where) == 1 else rest | {where[0]: _without(value[where[0]], where[1:])}


def _out_of_bounds(built: Any, where: Where) -> Iterator[tuple[Where, str]]:
    """Run the validator of every setting by itself, so that each mistake is told at its own place."""
    if isinstance(built, dict):
        for key, inner in built.items():
            yield from _out_of_bounds(inner, (*where, key))
    elif isinstance(built, list):
        for n, inner in enumerate(built):
            yield from _out_of_bounds(inner, (*where, n))
    elif attrs.has(type(built)) and not isinstance(built, Secret):
        for attribute in attrs.fields(type(built)):
            value = getattr(built, attribute.name)
            try:
                if attribute.validator is not None:
                    attribute.validator(built, attribute, value)
            except (TypeError, ValueError, PineError) as error:
                yield (*where, attribute.name), _reason(error)
            else:
                yield from _out_of_bounds(value, (*where, attribute.name))


def _flatten(error: BaseException, where: Where) -> Iterable[tuple[Where, str]]:
    if isinstance(error, ClassValidationError | IterableValidationError):
        for inner in error.exceptions:
            step = _place(inner)
            yield from _flatten(inner, where if step is None else (*where, step))
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [a.name for a in attrs.fields(error.cl)] if error.cl is not None else []
        for key in sorted(error.extra_fields):
            yield (*where, key), unknown("setting", key, known)
    elif isinstance(error, KeyError):
        yield where, f"{quoted(error.args[0])} is missing"
    else:
        yield where, _reason(error)


def _place(error: BaseException) -> str | int | None:
    for note in getattr(error, "__notes__", ()):
        place: str | int | None = getattr(note, "name", getattr(note, "index", None))
        if place is not None:
            return place
    return None


def _reason(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else str(error)
    if (
        "object has no attribute" in text
        or "not a mapping" in text
        or "is not iterable" in text
        or "argument must be" in text
    ):
        return "found another kind of value, expected settings by name"
    if text.startswith(("found", "expected", "environment")):
        return text
    match = re.match(r"'(?P<name>\w+)' must be (?P<rule>.*)", text)
    return f"must be {match['rule']}" if match else text
