"""Names and parameters that must fit other parts of the configuration."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from pine.core.calendar import HOURS
from pine.core.config.document import Path as Where
from pine.core.config.problems import Problems, dig, names, unknown
from pine.core.config.quoted import quoted
from pine.core.config.schema import check_parent
from pine.core.config.strategy import StrategyConfig
from pine.core.config.structure import Mistakes, make_converter, structure
from pine.core.errors import BadType, ContractError
from pine.core.instruments import SPECS, same_price

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED_NAMES: Final = frozenset({"hub", "archive", "alerts", "metrics", "dashboard", "server", "all", "up"})
"""Names of what runs beside the strategies: one word shall mean one thing, as it does to pine up and on the streams."""


class ParamTypes(Protocol):
    """Parameter classes (attrs) of strategy types: pine's own, and users' own, found on demand."""

    def __iter__(self) -> Iterator[str]:
        """Return the names of pine's own."""
        ...

    def find(self, kind: str, folder: Path) -> type:
        """Return the parameter class of a type; one that is ``module:Class`` is looked for in a folder too.

        Raises
        ------
        BadType
            If it cannot be used.
        """
        ...

    def mistakes(
        self, setting: StrategyConfig, pairs: Mapping[str, str], stand_ins: Mapping[str, str]
    ) -> Iterable[tuple[Where, str]]:
        """Yield place, below the strategy, and message of what is wrong in its filters and features."""
        ...


def find_types(raw: dict[str, Any], types: ParamTypes, folder: Path, problems: Problems) -> dict[str, type]:
    """Return the parameter class of every type that pine has or that a strategy names."""
    found = {kind: types.find(kind, folder) for kind in types}
    for name in names(raw, ("strategies",)):
        where: Where = ("strategies", name, "type")
        kind = dig(raw, where)
        if not isinstance(kind, str) or kind in found:
            continue
        if ":" not in kind:
            problems.add(where, f"{unknown('strategy type', kind, sorted(types))}, or module:Class")
            continue
        try:
            found[kind] = types.find(kind, folder)
        except BadType as error:
            problems.add(where, str(error))
    return found


def check_references(raw: dict[str, Any], problems: Problems) -> None:
    """Check names that refer to other parts, even where other settings are wrong."""
    instruments = raw.get("instruments")
    instruments = instruments if isinstance(instruments, dict) else {}
    for symbol, setting in instruments.items():
        where: Where = ("instruments", symbol)
        if symbol not in SPECS:
            problems.add(where, unknown("instrument", symbol, sorted(SPECS)))
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
            problems.add(("sessions", group), unknown("group", group, ["default", *HOURS]))
    for section in ("pairs", "stand_ins"):
        _check_partners(section, raw.get(section), problems)
    _check_stand_ins(raw.get("stand_ins"), instruments, problems)
    strategies = raw.get("strategies")
    for name, setting in strategies.items() if isinstance(strategies, dict) else ():
        _check_strategy(name, setting, instruments, problems)


def _check_partners(section: str, setting: Any, problems: Problems) -> None:
    for symbol, partner in setting.items() if isinstance(setting, dict) else ():
        if isinstance(partner, str) and partner not in SPECS:
            problems.add((section, symbol), unknown("instrument", partner, sorted(SPECS)))
        elif partner == symbol:
            problems.add((section, symbol), f"found {symbol} itself, expected another instrument")


def _check_stand_ins(setting: Any, instruments: Mapping[str, Any], problems: Problems) -> None:
    """Check that only symbols without bars of their own are read by another one's."""
    for symbol, partner in setting.items() if isinstance(setting, dict) else ():
        where: Where = ("stand_ins", symbol)
        if symbol in instruments:
            problems.add(where, f"{symbol} is among the configured instruments: it has bars, expected a symbol without")
        elif isinstance(partner, str) and partner != symbol and partner in setting:
            problems.add(where, f"found {partner}, which is fed by another one's bars itself")


def _check_execution(where: Where, symbol: str, setting: Any, problems: Problems) -> None:
    root = dig(setting, ("execution", "root"))
    if isinstance(root, str) and root in SPECS and symbol in SPECS and not same_price(root, symbol):
        problems.add((*where, "execution", "root"), f"found {root}, expected {symbol} or a contract on the same price")


def _check_strategy(name: str, setting: Any, instruments: dict[str, Any], problems: Problems) -> None:
    where: Where = ("strategies", name)
    if wrong := name_mistake(name):
        problems.add(where, wrong)
    if not isinstance(setting, dict):
        return
    references = setting.get("references")
    for i, symbol in enumerate(references) if isinstance(references, list) else ():
        if isinstance(symbol, str) and symbol not in instruments:
            problems.add((*where, "references", i), _missing(symbol, instruments))
    symbols = setting.get("instruments")
    for i, symbol in enumerate(symbols) if isinstance(symbols, list | dict) else ():
        place: Where = (*where, "instruments", i if isinstance(symbols, list) else symbol)
        if not isinstance(symbol, str):
            problems.add(place, f"found {quoted(symbol)}, expected the name of an instrument")
        elif isinstance(symbols, dict):
            _check_execution(place, symbol, symbols[symbol], problems)
        if isinstance(symbol, str) and symbol not in instruments:
            problems.add(place, _missing(symbol, instruments))


def name_mistake(name: str) -> str | None:
    """Return what is wrong with the name of a strategy, or nothing."""
    if not _NAME.fullmatch(name):
        return f"found {quoted(name)}, expected lower-case letters, digits and _ (at most 32)"
    if name in RESERVED_NAMES:
        return f"found {quoted(name)}, which pine uses itself; expected another name"
    return None


def _missing(symbol: str, instruments: Mapping[str, Any]) -> str:
    return f"{symbol} is not among the configured instruments: {', '.join(instruments) or 'none'}"


def check_params(raw: dict[str, Any], param_types: Mapping[str, type], problems: Problems) -> None:
    """Check each layer of strategy parameters by itself, even where other settings are wrong."""
    converter = make_converter()

    def check(where: Where, kinds: Sequence[type]) -> None:
        layer = dig(raw, where)
        if not isinstance(layer, dict):
            return  # told already
        known = {kind: {attribute.name for attribute in attrs.fields(kind)} for kind in kinds}
        everything = sorted(set().union(*known.values()))
        for name in layer:
            if name not in everything:
                problems.add((*where, str(name)), unknown("setting", str(name), everything))
        for kind in kinds:
            try:
                structure(converter, {key: value for key, value in layer.items() if key in known[kind]}, kind)
            except Mistakes as error:
                for place, message in error.found:
                    problems.add((*where, *place), message)

    users: dict[str, set[str]] = {}
    for name in names(raw, ("strategies",)):
        kind = dig(raw, ("strategies", name, "type"))
        if not isinstance(kind, str) or kind not in param_types:
            continue
        check(("strategies", name, "params"), [param_types[kind]])
        for symbol in names(raw, ("strategies", name, "instruments")):
            users.setdefault(symbol, set()).add(kind)
            check(("strategies", name, "instruments", symbol, "params"), [param_types[kind]])
    for symbol in names(raw, ("instruments",)):
        kinds = users.get(symbol) or set(param_types)
        check(("instruments", symbol, "params"), [param_types[kind] for kind in sorted(kinds)])
