"""From a YAML file to a checked `Config`, with every mistake in one listing."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import cattrs
from dotenv import dotenv_values

from pine.core.config.bounds import folder_mistake, place_mistake
from pine.core.config.desk import AlertsConfig, ArchiveConfig, DashboardConfig, MetricsConfig, OrdersConfig
from pine.core.config.document import Document, Unset
from pine.core.config.document import Path as Where
from pine.core.config.duration import Duration
from pine.core.config.market import (
    RETENTION,
    RETENTION_MAX,
    BusConfig,
    DatabentoConfig,
    HubConfig,
    InstrumentConfig,
    SessionConfig,
)
from pine.core.config.problems import Problems, dig, dotted, unknown
from pine.core.config.references import ParamTypes, check_params, check_references, find_types
from pine.core.config.schema import PAIRS, STAND_INS, Config
from pine.core.config.secret import Secret
from pine.core.config.strategy import StrategyConfig, StrategyInstrument, TradedInstrument, WarmUpConfig
from pine.core.config.structure import Mistakes, make_converter, structure
from pine.core.config.webhook import is_webhook
from pine.core.errors import ConfigError
from pine.core.instruments import SPECS, spec

_SECTIONS: Final[Mapping[str, Any]] = {
    "data_dir": str,
    "databento": DatabentoConfig,
    "bus": BusConfig,
    "hub": HubConfig,
    "sessions": dict[str, SessionConfig],
    "orders": OrdersConfig,
    "archive": ArchiveConfig,
    "instruments": dict[str, InstrumentConfig],
    "strategies": dict[str, StrategyConfig],
    "strategy_folder": str,
    "retention": Duration,
    "retention_max": Duration,
    "warm_up": WarmUpConfig | None,
    "models": str,
    "pairs": dict[str, str],
    "stand_ins": dict[str, str],
    "alerts": AlertsConfig,
    "metrics": MetricsConfig,
    "dashboard": DashboardConfig,
    "heartbeats": str,
}
_SECRET_PLACES: Final = (("databento", "api_key"), ("bus", "url"), ("archive", "location"), ("dashboard", "token"))
DATA_DIR: Final = "pine-data"
SHORTEST_RETENTION: Final = Duration.parse("1d")


def load_config(path: Path, types: ParamTypes, environ: Mapping[str, str] | None = None) -> Config:
    """Read a configuration.

    Parameters
    ----------
    path
        The YAML file; ``.env`` beside it fills variables that the environment does not set.
    types
        Parameter classes of the strategy types, and who understands their filters and features.
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
    variables, complaint = beside(path)
    document = Document.parse(text, variables | process, is_secret_place)
    problems = Problems(path, document)
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
    strategy_folder = _folder(path, "strategy_folder", ".", sections, problems)
    param_types = find_types(raw, types, strategy_folder, problems)
    check_references(raw, problems)
    check_params(raw, param_types, problems)
    _check_retention(raw, sections, problems)
    partners = sections.get("pairs", PAIRS), sections.get("stand_ins", STAND_INS)
    told = problems.holders()
    for name, setting in sections.get("strategies", {}).items():
        for place, message in types.mistakes(setting, *partners):
            if ("strategies", name, *place) not in told:  # else it may only follow from what is told there
                problems.add(("strategies", name, *place), message)
    data_dir = _folder(path, "data_dir", DATA_DIR, sections, problems)
    wrong = folder_mistake(sections.get("models", ""))
    if wrong:
        problems.add(("models",), wrong)
    problems.raise_if_any()
    traded = _merge_layers(sections, param_types, problems)
    problems.raise_if_any()
    return Config(path=path, data_dir=data_dir, strategy_folder=strategy_folder, traded=traded, **sections)


def beside(path: Path) -> tuple[dict[str, str], list[tuple[Where, str]]]:
    """Return the variables of the ``.env`` file beside a configuration, and what is wrong with it."""
    file = path.with_name(".env")
    try:
        if file.exists() and not file.is_file():  # a pipe would be waited for
            return {}, [((), f"{file} beside it is no file")]
        return {name: value for name, value in dotenv_values(file).items() if value}, []
    except (OSError, UnicodeDecodeError) as error:
        return {}, [((), f"{file} beside it cannot be read: {error}")]


def _folder(path: Path, name: str, default: str, sections: dict[str, Any], problems: Problems) -> Path:
    """Return a folder that is relative to the configuration file."""
    text = sections.pop(name, default)
    wrong = folder_mistake(text)
    if wrong:
        problems.add((name,), wrong)
        return path.parent
    folder = (path.parent / Path(text).expanduser()).absolute()
    if wrong := place_mistake(folder):
        problems.add((name,), wrong)
    return folder


def _check_retention(raw: dict[str, Any], sections: dict[str, Any], problems: Problems) -> None:
    """Check what is kept: a day at least, and nothing of a strategy is given up before it could be trimmed at all."""
    if any(isinstance(raw.get(name), Unset) for name in ("retention", "retention_max")):
        return  # complained about already
    kept: Duration = sections.get("retention", RETENTION)
    given_up: Duration = sections.get("retention_max", RETENTION_MAX)
    if kept < SHORTEST_RETENTION:
        problems.add(("retention",), f"found {kept}, expected at least {SHORTEST_RETENTION}")
    if given_up < kept:
        problems.add(("retention_max",), f"found {given_up}, expected at least retention, which is {kept}")


def is_secret_place(where: Where) -> bool:
    """Tell whether a path holds a secret, or may: its value is text, and is never shown."""
    by_strategy = len(where) == 3 and where[0] == "strategies" and where[2] == "webhook"
    return by_strategy or where[:2] == ("alerts", "urls") or where in _SECRET_PLACES


def _with_empty_entries(raw: dict[str, Any]) -> dict[str, Any]:
    """Read ``ES:`` with nothing behind it as an instrument with nothing set."""
    places = [raw.get("instruments")]
    strategies = raw.get("strategies")
    places += (
        [dig(setting, ("instruments",)) for setting in strategies.values()] if isinstance(strategies, dict) else []
    )
    for place in places:
        if isinstance(place, dict):
            place.update({symbol: {} for symbol, setting in place.items() if setting is None})
    return raw


def _secrets_in_place(raw: dict[str, Any], document: Document, problems: Problems) -> dict[str, Any]:
    """Wrap the secret settings, also those left out, and complain about every other variable that is not set."""
    if raw.get("databento") is None:
        raw["databento"] = {}
    secret_places: list[Where] = [("databento", "api_key"), ("dashboard", "token")]
    strategies = raw.get("strategies")
    if isinstance(strategies, dict):
        secret_places += [("strategies", name, "webhook") for name in strategies]
    secret_places += _alert_places(raw, problems)
    for where, variable in list(document.unset()):
        if where not in secret_places:
            problems.unset(where, variable)
    for where in secret_places:
        holder = dig(raw, where[:-1])
        if isinstance(holder, dict):
            holder[where[-1]] = _as_secret(holder.get(where[-1]), where, problems)
        elif isinstance(holder, list) and isinstance(where[-1], int):
            holder[where[-1]] = _as_secret(holder[where[-1]], where, problems)
    if isinstance(urls := dig(raw, ("alerts", "urls")), list):
        urls[:] = [url for url in urls if url]  # one whose variable is empty on purpose is not there
    return raw


def _alert_places(raw: dict[str, Any], problems: Problems) -> list[Where]:
    """Return the places of alert addresses, each a secret; complain, and show nothing, if they are no list."""
    alerts = raw.get("alerts")
    urls = alerts.get("urls") if isinstance(alerts, dict) else None
    if isinstance(urls, list):
        return [("alerts", "urls", n) for n in range(len(urls))]
    if isinstance(alerts, dict) and urls is not None and not isinstance(urls, Unset):
        problems.add(("alerts", "urls"), 'found something else (not shown), expected a list such as ["${DISCORD}"]')
        alerts["urls"] = []
    return []


def _as_secret(value: Any, where: Where, problems: Problems) -> Secret:
    name = dotted(where)
    if isinstance(value, Unset):
        return Secret(where=name, variable=value.variable)
    if value is None:
        return Secret(where=name)
    if not isinstance(value, str):
        problems.add(where, f"found {type(value).__name__}, expected text")
        return Secret(where=name)
    if value and where[-1] == "webhook" and not is_webhook(value):
        problems.add(
            where,
            "found something else (not shown), expected a URL that begins with https://, its port below 65536",
        )
    return Secret(value, where=name)


def _structure_sections(raw: dict[str, Any], problems: Problems) -> dict[str, Any]:
    converter = make_converter()
    sections: dict[str, Any] = {}
    for name, value in raw.items():
        if name not in _SECTIONS:
            problems.add((name,), unknown("setting", name, _SECTIONS))
        elif value is not None:
            try:
                sections[name] = structure(converter, value, _SECTIONS[name])
            except Mistakes as error:
                if name == "strategies" and error.built is not None:
                    sections[name] = error.built  # so that what depends on others is looked at too
                for where, message in error.found:
                    hidden = is_secret_place((name, *where)[:2]) and message.startswith("found")
                    problems.add((name, *where), "found something else (not shown)" if hidden else message)
    return sections


def _merge_layers(
    sections: dict[str, Any], param_types: Mapping[str, type], problems: Problems
) -> dict[str, dict[str, TradedInstrument]]:
    """Merge for each pair: defaults, the instrument's settings, the strategy's, and the pair's own."""
    instruments: dict[str, InstrumentConfig] = sections.get("instruments", {})
    traded: dict[str, dict[str, TradedInstrument]] = {}
    converter = make_converter()
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


def _params(converter: cattrs.Converter, kind: type, layers: Any, problems: Problems) -> Any:
    merged: dict[str, Any] = {}
    for _, layer in layers:
        merged |= layer
    try:
        return structure(converter, merged, kind)
    except Mistakes as error:
        for place, message in error.found:
            problems.add((*layers[-1][0], *place), message)
        return None
