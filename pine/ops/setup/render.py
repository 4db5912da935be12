"""From answers to the text of ``pine.yaml`` and ``.env``."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Final

import yaml

from pine.ops.setup.answers import Answers, Wanted
from pine.orders.gates import VARIABLE as KILL_SWITCH

_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")
_PART: Final = re.compile(r"^#### (.+)\n", re.MULTILINE)
_BARE: Final = re.compile(r"[A-Za-z0-9_./:@%+=,~&?-]*")


def render_yaml(answers: Answers) -> str:
    """Return the configuration, every setting shown and explained."""
    facts = {
        "data_dir": _text(answers.data_dir),
        "close": json.dumps(answers.close),
        "instruments": "\n".join(f"  {root}: {{}}" for root in answers.instruments),
        "strategies": "\n".join(_strategy(n, wanted, answers) for n, wanted in enumerate(answers.strategies)),
    }
    text = _filled("file", facts)
    return (text if answers.sandbox is None else _for_sandbox(text, answers.sandbox)).rstrip("\n") + "\n"


def _for_sandbox(text: str, gateway: str) -> str:
    """Return a configuration for a tape: its own gateway and present, no history before it, orders of any age."""
    changes = {"gateway": gateway, "clock": "tape"}
    changes |= dict.fromkeys(("entry_max_age_s", "per_minute", "per_hour"), "null")
    for name, value in changes.items():
        line = re.compile(rf"^  # {name}: \S+ *", re.MULTILINE)
        found = line.search(text)
        if found is not None:
            width = found.end() - found.start()
            rest = text[found.end() :]
            gap = "" if rest.startswith("\n") else " " * max(width - len(f"  {name}: {value}"), 1)
            text = f"{text[: found.start()]}  {name}: {value}{gap}{rest}"
    return re.sub(r"^# warm_up:$", "warm_up: off\n# warm_up:", text, count=1, flags=re.MULTILINE)


def render_env(answers: Answers) -> str:
    """Return the file of secrets; what is not known is empty, and a kill switch that is on stays on."""
    others = [name for name in answers.secrets if name not in answers.variables and name != KILL_SWITCH]
    lines = [f"{name}={_value(answers.secrets.get(name, ''))}" for name in [*answers.variables, *others]]
    facts = {"variables": "\n".join(lines), "kill_switch": _value(answers.secrets.get(KILL_SWITCH, ""))}
    return _PLACE.sub(lambda match: facts[match[1]], (files("pine.ops.setup") / "env.in").read_text(encoding="utf-8"))


def _strategy(n: int, wanted: Wanted, answers: Answers) -> str:
    """Return one strategy: the first shows every setting, the second its instruments as a mapping."""
    facts = {
        "name": wanted.name,
        "type": wanted.type,
        "enabled": "true" if wanted.enabled else "false",
        "webhook": wanted.webhook,
        "max_positions": str(wanted.max_positions),
        "daily_stop_loss": _number(wanted.daily_stop_loss),
        "list": ", ".join(wanted.instruments),
        "mapping": "\n".join(f"      {root}: {{}}" for root in wanted.instruments),
    }
    first = wanted.type not in [before.type for before in answers.strategies[:n]]
    parts = ["strategy" if n else "first strategy", "mapping" if n == 1 else "list", *([wanted.type] if first else [])]
    return "".join(_filled(part, facts) for part in parts)


@cache
def _parts() -> dict[str, str]:
    """Return the parts of the template by name."""
    text = (files("pine.ops.setup") / "pine.yaml.in").read_text(encoding="utf-8")
    names_and_texts = _PART.split(text)[1:]
    return dict(zip(names_and_texts[::2], names_and_texts[1::2], strict=True))


def _filled(part: str, facts: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda match: facts[match[1]], _parts()[part])


def _text(value: str) -> str:
    """Return a text as YAML reads it back."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./-]*", value) and yaml.safe_load(value) == value
    return value if plain else json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else format(Decimal(repr(value)), "f")


def _value(secret: str) -> str:
    """Return a value as a file of variables holds it."""
    if _BARE.fullmatch(secret):
        return secret
    escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
