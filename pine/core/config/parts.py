"""What can be read of a configuration that has mistakes: enough to stop what runs with it."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import validators

from pine.core.config.bounds import folder_mistake, place_mistake
from pine.core.config.document import Document
from pine.core.config.loader import DATA_DIR, beside, is_secret_place
from pine.core.config.market import BusConfig
from pine.core.config.problems import dig, names
from pine.core.config.references import name_mistake
from pine.core.config.schema import Config
from pine.core.config.secret import Secret
from pine.core.config.strategy import StrategyConfig
from pine.core.config.structure import Mistakes, make_converter, structure
from pine.core.errors import ConfigError

_SECTION: Final = re.compile(r"^(?=[^\s#])", re.MULTILINE)
"""Where a section of a file begins: at a line that is not indented."""


def load_parts(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read where everything is and what the strategies are called, whatever else is wrong; nothing is imported.

    Of each strategy there is only whether it is enabled and has a webhook. Sections that are no YAML are left out.

    Raises
    ------
    ConfigError
        If the file, ``data_dir`` or ``bus.url`` cannot be read: whatever would be guessed might be another desk's.
    """
    path = path.expanduser().absolute()
    raw = _readable(path, os.environ if environ is None else environ)
    text = raw.get("data_dir")
    text = DATA_DIR if text is None else text
    if not isinstance(text, str) or folder_mistake(text):
        raise ConfigError([f"{path}: data_dir cannot be read, and nothing is done before it can"])
    data_dir = (path.parent / Path(text).expanduser()).absolute()
    if wrong := place_mistake(data_dir):
        raise ConfigError([f"{path}: data_dir: {wrong}"])
    return Config(
        path=path,
        data_dir=data_dir,
        bus=_bus(path, raw.get("bus")),
        strategies=dict(_strategies(raw)),
    )


def _readable(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the file's sections; if it is no YAML as a whole, those that are."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    variables = beside(path)[0] | {name: value for name, value in environ.items() if value}
    whole = Document.parse(text, variables, is_secret_place)
    if isinstance(whole.value, dict):
        return whole.value
    parsed = [Document.parse(part, variables, is_secret_place).value for part in _SECTION.split(text)]
    found: dict[str, Any] = {}
    for section in parsed:
        found |= section if isinstance(section, dict) else {}
    if not found:
        raise ConfigError([f"{path}: not readable as YAML, nor is any section of it"])
    return found


def _bus(path: Path, raw: Any) -> BusConfig:
    url = dig(raw, ("url",))
    for known in (raw, {"url": url}):
        try:
            found: BusConfig = structure(make_converter(), {} if known is None else known, BusConfig)
        except Mistakes:
            continue
        else:
            return found
    raise ConfigError([f"{path}: bus.url cannot be read (not shown), and nothing is done before it can"])


def _strategies(raw: dict[str, Any]) -> Iterator[tuple[str, StrategyConfig]]:
    for name in names(raw, ("strategies",)):
        if name_mistake(name) is None:
            enabled = dig(raw, ("strategies", name, "enabled")) is not False
            hook = dig(raw, ("strategies", name, "webhook"))
            webhook = Secret(hook if isinstance(hook, str) else "" if hook is None else "?")
            with validators.disabled():  # it has no instruments here
                setting = StrategyConfig(type="", enabled=enabled, webhook=webhook)
            yield name, setting
