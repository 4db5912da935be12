"""From a YAML file to a checked `Config`, with every mistake in one listing."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from dotenv import dotenv_values

from pine.core.calendar import HOURS
from pine.core.config.document import Document, Unset
from pine.core.config.document import Path as Where
from pine.core.config.schema import (
    BusConfig,
    Config,
    DatabentoConfig,
    HubConfig,
    InstrumentConfig,
    OrdersConfig,
    SessionConfig,
    StrategyConfig,
    StrategyInstrument,
    TradedInstrument,
    check_parent,
)
from pine.core.config.secret import Secret
from pine.core.errors import ConfigError, ContractError, PineError
from pine.core.instruments import SPECS, same_price, spec

_SECTIONS: Final[Mapping[str, Any]] = {
    "data_dir": str,
    "databento": DatabentoConfig,
    "bus": BusConfig,
    "hub": HubConfig,
    "sessions": dict[str, SessionConfig],
    "orders": OrdersConfig,
    "instruments": dict[str, InstrumentConfig],
    "strategies": dict[str, StrategyConfig],
}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_WEBHOOK: Final = re.compile(r"https?://\S.*")


class _Problems:
    """Collects mistakes by place, so that they can be told in the order of the file."""

    def __init__(self, file: Path, document: Document) -> None:
        self._file = file
        self._document = document
        self._found: dict[tuple[Where, str], int] = {}
        self._unset: list[Where] = []

    def add(self, where: Where, message: str) -> None:
        """Note a mistake, unless it only follows from a variable that is not set."""
        if not any(where[: len(unset)] == unset for unset in self._unset):
            self._found[(where, message)] = self._document.line(where)

    def unset(self, where: Where, variable: str) -> None:
        """Note a variable that is not set."""
        text = f"environment variable {variable} is not set; set it or write ${{{variable}:-default}}"
        self.add(where, text)
        self._unset.append(where)

    def raise_if_any(self) -> None:
        if self._found:
            ordered = sorted(self._found.items(), key=lambda item: item[1])
            raise ConfigError([f"{self._file}:{line}: {_dotted(where)}: {text}" for (where, text), line in ordered])


def _dotted(where: Where) -> str:
    return ".".join(map(str, where)) or "(file)"


def load_config(path: Path, param_types: Mapping[str, type], environ: Mapping[str, str] | None = None) -> Config:
    """Read a configuration.

    Parameters
    ----------
    path
        The YAML file; ``.env`` beside it fills variables that the environment does not set.
    param_types
        Parameter class (attrs) of every strategy type.
    environ
        The environment; the process's own if left out.

    Raises
    ------
    ConfigError
        With every mistake in the file: path, line, what was found, what is allowed.
    """
    path = path.expanduser().absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            [f"{path}: cannot be read: {error}; name another file with --config or PINE_CONFIG"]
        ) from None
    process = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
    beside, complaint = _dotenv(path.with_name(".env"))
    document = Document.parse(text, beside | process, _is_secret_place)
    problems = _Problems(path, document)
    for where, message in [*document.problems, *complaint]:
        problems.add(where, message)
    raw = document.value if document.value is not None else {}
    if not isinstance(raw, dict):
        if isinstance(raw, Unset):
            problems.unset((), raw.variable)
        problems.add((), f"found {type(raw).__name__}, expected sections {', '.join(_SECTIONS)}")
        problems.raise_if_any()
    raw = _secrets_in_place(_with_empty_entries(raw), document, problems)
    sections = _structure_sections(raw, problems)
    _check_references(raw, param_types, problems)
    _check_params(raw, param_types, problems)
    data_dir = _data_dir(path, sections, problems)
    problems.raise_if_any()
    traded = _merge_layers(sections, param_types, problems)
    problems.raise_if_any()
    return Config(path=path, data_dir=data_dir, traded=traded, **sections)


def _dotenv(path: Path) -> tuple[dict[str, str], list[tuple[Where, str]]]:
    """Return the variables of a ``.env`` file, and what is wrong with it."""
    try:
        return {name: value for name, value in dotenv_values(path).items() if value}, []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [((), f"{path} beside it cannot be read: {error}")]


def _data_dir(path: Path, sections: dict[str, Any], problems: _Problems) -> Path:
    text = sections.pop("data_dir", "pine-data")
    try:
        return (path.parent / Path(text).expanduser()).absolute()
    except RuntimeError as error:
        problems.add(("data_dir",), f"found {text!r}: {error}")
        return path.parent


def _is_secret_place(where: Where) -> bool:
    """Tell whether a path holds a secret, or may: its value is text, and is never shown."""
    by_strategy = len(where) == 3 and where[0] == "strategies" and where[2] == "webhook"
    return by_strategy or where in (("databento", "api_key"), ("bus", "url"))


def _with_empty_entries(raw: dict[str, Any]) -> dict[str, Any]:
    """Read ``ES:`` with nothing behind it as an instrument with nothing set."""
    places = [raw.get("instruments")]
    strategies = raw.get("strategies")
    places += (
        [_dig(setting, ("instruments",)) for setting in strategies.values()] if isinstance(strategies, dict) else []
    )
    for place in places:
        if isinstance(place, dict):
            place.update({symbol: {} for symbol, setting in place.items() if setting is None})
    return raw


def _secrets_in_place(raw: dict[str, Any], document: Document, problems: _Problems) -> dict[str, Any]:
    """Wrap the secret settings, also those left out, and complain about every other variable that is not set."""
    if raw.get("databento") is None:
        raw["databento"] = {}
    secret_places: list[Where] = [("databento", "api_key")]
    strategies = raw.get("strategies")
    if isinstance(strategies, dict):
        secret_places += [("strategies", name, "webhook") for name in strategies]
    for where, variable in list(document.unset()):
        if where not in secret_places:
            problems.unset(where, variable)
    for where in secret_places:
        holder = _dig(raw, where[:-1])
        if isinstance(holder, dict):
            holder[where[-1]] = _as_secret(holder.get(where[-1]), where, problems)
    return raw


def _as_secret(value: Any, where: Where, problems: _Problems) -> Secret:
    name = _dotted(where)
    if isinstance(value, Unset):
        return Secret(where=name, variable=value.variable)
    if value is None:
        return Secret(where=name)
    if not isinstance(value, str):
        problems.add(where, f"found {type(value).__name__}, expected text")
        return Secret(where=name)
    if value and where[-1] == "webhook" and not _WEBHOOK.fullmatch(value):
        problems.add(where, "found something else (not shown), expected a URL that begins with https://")
    return Secret(value, where=name)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)

    def strict(kind: type, *accepted: type) -> None:
        def hook(value: Any, _type: Any) -> Any:
            if isinstance(value, Unset):
                return kind()  # complained about already
            if isinstance(value, bool) is not (kind is bool) or not isinstance(value, accepted):
                hint = "; put it in quotes" if kind is str and isinstance(value, int | float) else ""
                raise TypeError(f"found {value!r}, expected {_KIND_WORDS[kind]}{hint}")
            return kind(value)

        converter.register_structure_hook(kind, hook)

    strict(int, int)
    strict(float, int, float)
    strict(bool, bool)
    strict(str, str)
    converter.register_structure_hook(Secret, lambda value, _type: value)

    def texts(value: Any, _type: Any) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"found {value!r}, expected a list of texts, such as ['09:00-10:00']")
        return list(value)

    converter.register_structure_hook_func(lambda kind: kind == list[str], texts)

    def literal(value: Any, kind: Any) -> Any:
        if isinstance(value, Unset):
            return get_args(kind)[0]
        if value not in get_args(kind):
            raise ValueError(f"found {value!r}, expected one of {', '.join(map(str, get_args(kind)))}")
        return value

    converter.register_structure_hook_func(
        lambda kind: get_origin(kind) is not None and "Literal" in str(kind)[:15], literal
    )
    default_strategy = converter.gen_structure_attrs_fromdict(StrategyConfig)

    def strategy(value: Any, kind: Any) -> Any:
        if isinstance(value, dict) and isinstance(names := value.get("instruments"), list):
            value = value | {"instruments": {name: {} for name in names if isinstance(name, str)}}
        return default_strategy(value, kind)

    converter.register_structure_hook(StrategyConfig, strategy)
    return converter


_KIND_WORDS: Final = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _structure_sections(raw: dict[str, Any], problems: _Problems) -> dict[str, Any]:
    converter = _converter()
    sections: dict[str, Any] = {}
    for name, value in raw.items():
        if name not in _SECTIONS:
            problems.add((name,), _unknown("setting", name, _SECTIONS))
        elif value is not None:
            try:
                sections[name] = _structure(converter, value, _SECTIONS[name])
            except _Mistakes as error:
                for where, message in error.found:
                    hidden = _is_secret_place((name, *where)[:2]) and message.startswith("found")
                    problems.add((name, *where), "found something else (not shown)" if hidden else message)
    return sections


class _Mistakes(Exception):
    def __init__(self, found: list[tuple[Where, str]]) -> None:
        self.found = found


def _structure(converter: cattrs.Converter, value: Any, kind: Any) -> Any:
    """Build typed settings; raise `_Mistakes` with everything that is wrong in them, not just the first.

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
                    raise _Mistakes(found) from None
                value = shorter
    told = {where for where, _ in found}
    found += [mistake for mistake in _out_of_bounds(built, ()) if mistake[0] not in told]
    if found:
        raise _Mistakes(found)
    return built


def _without(value: Any, where: Where) -> Any:
    """Return a copy of settings without one of them."""
    if not where or not isinstance(value, dict) or where[0] not in value:
        return value
    rest = {key: inner for key, inner in value.items() if key != where[0]}
    return rest if len(where) == 1 else rest | {where[0]: _without(value[where[0]], where[1:])}


def _out_of_bounds(built: Any, where: Where) -> Iterator[tuple[Where, str]]:
    """Run the validator of every setting by itself, so that each mistake is told at its own place."""
    if isinstance(built, dict):
        for key, inner in built.items():
            yield from _out_of_bounds(inner, (*where, key))
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
            yield (*where, key), _unknown("setting", key, known)
    elif isinstance(error, KeyError):
        yield where, f"{error.args[0]!r} is missing"
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


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return (
        f"unknown {what}{hint} Allowed: {', '.join(known)}" if near else f"unknown {what}, allowed: {', '.join(known)}"
    )


def _check_references(raw: dict[str, Any], param_types: Mapping[str, type], problems: _Problems) -> None:
    """Check names that refer to other parts, even where other settings are wrong."""
    instruments = raw.get("instruments")
    instruments = instruments if isinstance(instruments, dict) else {}
    for symbol, setting in instruments.items():
        where: Where = ("instruments", symbol)
        if symbol not in SPECS:
            problems.add(where, _unknown("instrument", symbol, sorted(SPECS)))
        _check_execution(where, symbol, setting, problems)
        parent = setting.get("parent") if isinstance(setting, dict) else None
        if isinstance(parent, str):
            try:
                wrong = check_parent(symbol, parent)
            except ContractError as error:
                wrong = str(error)
            if wrong:
                problems.add((*where, "parent"), wrong)
    sessions = raw.get("sessions")
    for group in sessions if isinstance(sessions, dict) else ():
        if group not in HOURS and group != "default":
            problems.add(("sessions", group), _unknown("group", group, ["default", *HOURS]))
    strategies = raw.get("strategies")
    for name, setting in strategies.items() if isinstance(strategies, dict) else ():
        _check_strategy(name, setting, instruments, param_types, problems)


def _check_execution(where: Where, symbol: str, setting: Any, problems: _Problems) -> None:
    root = _dig(setting, ("execution", "root"))
    if isinstance(root, str) and root in SPECS and symbol in SPECS and not same_price(root, symbol):
        problems.add((*where, "execution", "root"), f"found {root}, expected {symbol} or a contract on the same price")


def _check_strategy(
    name: str, setting: Any, instruments: dict[str, Any], param_types: Mapping[str, type], problems: _Problems
) -> None:
    where: Where = ("strategies", name)
    if not _NAME.fullmatch(name):
        problems.add(where, f"found {name!r}, expected lower-case letters, digits and _ (at most 32)")
    if not isinstance(setting, dict):
        return
    kind = setting.get("type")
    if isinstance(kind, str) and kind not in param_types:
        problems.add((*where, "type"), _unknown("strategy type", kind, sorted(param_types)))
    symbols = setting.get("instruments")
    for i, symbol in enumerate(symbols) if isinstance(symbols, list | dict) else ():
        place: Where = (*where, "instruments", i if isinstance(symbols, list) else symbol)
        if not isinstance(symbol, str):
            problems.add(place, f"found {symbol!r}, expected the name of an instrument")
        elif isinstance(symbols, dict):
            _check_execution(place, symbol, symbols[symbol], problems)
        if isinstance(symbol, str) and symbol not in instruments:
            problems.add(place, f"{symbol} is not among the configured instruments: {', '.join(instruments) or 'none'}")


def _check_params(raw: dict[str, Any], param_types: Mapping[str, type], problems: _Problems) -> None:
    """Check each layer of strategy parameters by itself, even where other settings are wrong."""
    converter = _converter()

    def check(where: Where, kinds: Sequence[type]) -> None:
        layer = _dig(raw, where)
        if not isinstance(layer, dict):
            return  # told already
        known = {kind: {attribute.name for attribute in attrs.fields(kind)} for kind in kinds}
        everything = sorted(set().union(*known.values()))
        for name in layer:
            if name not in everything:
                problems.add((*where, str(name)), _unknown("setting", str(name), everything))
        for kind in kinds:
            try:
                _structure(converter, {key: value for key, value in layer.items() if key in known[kind]}, kind)
            except _Mistakes as error:
                for place, message in error.found:
                    problems.add((*where, *place), message)

    users: dict[str, set[str]] = {}
    for name in _names(raw, ("strategies",)):
        kind = _dig(raw, ("strategies", name, "type"))
        if not isinstance(kind, str) or kind not in param_types:
            continue
        check(("strategies", name, "params"), [param_types[kind]])
        for symbol in _names(raw, ("strategies", name, "instruments")):
            users.setdefault(symbol, set()).add(kind)
            check(("strategies", name, "instruments", symbol, "params"), [param_types[kind]])
    for symbol in _names(raw, ("instruments",)):
        kinds = users.get(symbol) or set(param_types)
        check(("instruments", symbol, "params"), [param_types[kind] for kind in sorted(kinds)])


def _dig(raw: Any, where: Where) -> Any:
    for step in where:
        if not isinstance(raw, dict):
            return None
        raw = raw.get(step)
    return raw


def _names(raw: Any, where: Where) -> list[str]:
    found = _dig(raw, where)
    return [name for name in found if isinstance(name, str)] if isinstance(found, dict | list) else []


def _merge_layers(
    sections: dict[str, Any], param_types: Mapping[str, type], problems: _Problems
) -> dict[str, dict[str, TradedInstrument]]:
    """Merge for each pair: defaults, the instrument's settings, the strategy's, and the pair's own."""
    instruments: dict[str, InstrumentConfig] = sections.get("instruments", {})
    traded: dict[str, dict[str, TradedInstrument]] = {}
    converter = _converter()
    for name, strategy in sections.get("strategies", {}).items():
        if strategy.type not in param_types:
            continue
        kind = param_types[strategy.type]
        traded[name] = {}
        for symbol, own in strategy.instruments.items():
            base = instruments.get(symbol)
            if base is None or symbol not in SPECS:
                continue
            known = {attribute.name for attribute in attrs.fields(kind)}
            general = {key: value for key, value in base.params.items() if key in known}
            layers = (
                (("instruments", symbol, "params"), general),
                (("strategies", name, "params"), strategy.params),
                (("strategies", name, "instruments", symbol, "params"), own.params),
            )
            params = _params(converter, kind, layers, problems)
            traded[name][symbol] = _traded(symbol, base, own, params)
    return traded


def _traded(symbol: str, base: InstrumentConfig, own: StrategyInstrument, params: Any) -> TradedInstrument:
    """Return what is traded: the pair's own execution, or the instrument's with the pair's own size."""
    execution = own.execution or base.execution
    root = execution.root if execution else symbol
    size = execution.size if execution else base.size
    if own.size is not None and own.execution is None:
        size = own.size
    commission = base.commission if own.commission is None else own.commission
    return TradedInstrument(symbol, root, size, commission, spec(root).point_value, params)


def _params(converter: cattrs.Converter, kind: type, layers: Any, problems: _Problems) -> Any:
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merged |= layer
    try:
        return _structure(converter, merged, kind)
    except _Mistakes as error:
        for place, message in error.found:
            problems.add((*layers[-1][0], *place), message)
        return None
