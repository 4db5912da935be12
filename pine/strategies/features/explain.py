"""What a person may know of features: every definition, and one address taken apart."""

from typing import Any, Final

from attrs import evolve

from pine.strategies.features.address import DEFAULT_TIMEFRAME, PAIR, Address, parse_address, parse_input
from pine.strategies.features.aliases import ALIASES
from pine.strategies.features.definition import Feature
from pine.strategies.features.parameters import Parameter, Real, Whole, parameters
from pine.strategies.features.places import Places
from pine.strategies.features.presets import PRESETS
from pine.strategies.features.registry import FEATURES
from pine.strategies.features.resolve import make, resolve

WINDOW: Final = "window"
SINCE_THE_FIRST: Final = "since the first bar"

_EXAMPLE: Final = "ES"
"""An instrument that has a pair."""


def listing() -> list[dict[str, Any]]:
    """Return every definition: name, parameters, formula, timeframe, memory, and bars needed with its defaults."""
    return [_definition(found) for found in FEATURES.values()]


def explanation(text: str) -> dict[str, Any]:
    """Return one address taken apart: canonical text, formula, what it reads, memory, bars needed, old names.

    Raises
    ------
    FeatureError
        If it cannot be read.
    """
    address = parse_address(text)
    resolved = resolve(address, _EXAMPLE, Places())
    return {
        "address": str(address),
        "formula": formula(FEATURES[address.name]),
        "arguments": {name: str(value) if isinstance(value, Address) else value for name, value in address.arguments},
        "symbol": address.symbol,
        "timeframe": (address.timeframe or DEFAULT_TIMEFRAME).value,
        "reads": [_read(address, each) for each in make(address).inputs],
        "memory": SINCE_THE_FIRST if resolved.recursive else WINDOW,
        "bars": {timeframe.value: count for timeframe, count in resolved.bars().items()},
        "old_names": old_names(address),
    }


def old_names(address: Address) -> list[str]:
    """Return the old system's names of an address."""
    return [name for name, text in ALIASES.items() if parse_address(text) == address]


def formula(definition: type[Feature]) -> str:
    """Return a definition's formula in one line."""
    return " ".join((definition.__doc__ or "").split()).replace("`", "")


def table() -> str:
    """Return the definitions as a Markdown table."""
    head = ["| feature | parameters | value | bars | memory |", "|---|---|---|---|---|"]
    rows = [
        f"| `{each['name']}` | {'<br>'.join(map(_parameter_text, each['parameters']))} | "
        f"{each['formula'].replace('|', chr(92) + '|')} | {each['bars']} | {each['memory']} |"
        for each in listing()
    ]
    return "\n".join([*head, *rows])


def _definition(found: type[Feature]) -> dict[str, Any]:
    wanted = parameters(found)
    given = ", ".join(f"{each.name}=close" for each in wanted if each.default is None)
    resolved = resolve(parse_address(f"{found.name}({given})"), _EXAMPLE, Places())
    return {
        "name": found.name,
        "parameters": [_parameter(each) for each in wanted],
        "formula": formula(found),
        "reads": list(found.reads),
        "timeframe": f"any, {DEFAULT_TIMEFRAME.value} if left out",
        "memory": SINCE_THE_FIRST if resolved.recursive else WINDOW,
        "bars": resolved.bars()[DEFAULT_TIMEFRAME],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    kind = parameter.kind
    bounds = {"low": kind.low, "high": kind.high} if isinstance(kind, Whole | Real) else {}
    return {"name": parameter.name, "default": parameter.default, "allowed": str(kind), **bounds}


def _parameter_text(parameter: dict[str, Any]) -> str:
    default = "" if parameter["default"] is None else f" = {parameter['default']}"
    return f"`{parameter['name']}{default}`: {parameter['allowed']}"


def _read(address: Address, text: str) -> str:
    """Return what is read, with the place that it inherits."""
    found = parse_input(text)
    timeframe = found.timeframe or address.timeframe
    shown = str(
        evolve(
            found,
            symbol=found.symbol or address.symbol,
            timeframe=None if timeframe is DEFAULT_TIMEFRAME else timeframe,
        )
    )
    return f"{shown} (the pair of {address.symbol})" if found.symbol == PAIR and address.symbol else shown


def ready_made() -> list[dict[str, str]]:
    """Return the ready-made filters: name, canonical address and condition."""
    return [
        {"name": name, "feature": str(parse_address(preset.address)), "condition": str(preset.condition)}
        for name, preset in PRESETS.items()
    ]
