"""Write docs/configuration.md from the configuration's classes, pine.yaml and .env.example from their template.

tools/config_reference.py            writes them
tools/config_reference.py --check    exit code 1 if they are not what it would write
"""

import enum
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import attrs
import yaml

from pine.core.config import bounds, desk, market, schema, strategy
from pine.core.config.duration import Duration
from pine.core.config.secret import Secret
from pine.core.instruments import SPECS
from pine.ops.setup import defaults, render_env, render_yaml
from pine.strategies import windows
from pine.strategies.catalog import PARAMS
from pine.strategies.description import meanings, summary

ROOT: Final = Path(__file__).parents[1]

RULES: Final[dict[Any, str]] = {
    bounds.known_root: "a root that pine knows (below)",
    bounds.session_close: 'a whole hour: `"HH:00"` in UTC, or with a zone',
    bounds.dataset_code: "such as `GLBX.MDP3`",
    bounds.gateway_address: "`HOST:PORT`",
    bounds.https_gateway: "`https://HOST:PORT`",
    bounds.bus_url: "`embedded`, `redis://…`, `rediss://…`, `unix://…`, `redis+sentinel://…`, `rediss+sentinel://…`",
    bounds.replica_count: f"0 to {bounds.MOST_REPLICAS}; 0 with `embedded`",
    bounds.an_hour_at_least: "at least `1h`",
    bounds.finite: "finite",
    bounds.scorer_place: "`module:callable`",
    bounds.archive_place: "a folder, or a URL that fsspec opens",
    bounds.time_of_day: '`"HH:MM"` in UTC',
    windows.valid_hour: '`"HH:00"`, when bars close',
    windows.valid_windows: '`"HH:MM-HH:MM"` each, the end excluded',
}
"""What the configuration's own validators allow."""

ELSEWHERE: Final = {
    ("Config", "retention"): "at least `1d`",
    ("Config", "retention_max"): "at least `retention`",
    ("InstrumentConfig", "parent"): "`ROOT.FUT`",
    ("InstrumentConfig", "params"): "parameters of a strategy type (below)",
    ("StrategyConfig", "params"): "parameters of its type (below)",
    ("StrategyInstrument", "params"): "parameters of its type (below)",
    ("StrategyConfig", "type"): "`ibs`, `breakout`, or `module:Class`",
    ("StrategyConfig", "references"): "configured roots",
    ("StrategyConfig", "features"): "addresses ([list](features.md))",
    ("FilterConfig", "between"): "`[low, high]`, finite",
    ("FilterConfig", "equals"): "finite",
    ("FilterConfig", "feature"): "an address ([list](features.md))",
    ("StrategyConfig", "webhook"): "`https://HOST/trading/webhook/…`",
    ("Config", "pairs"): "roots",
    ("Config", "stand_ins"): "a root that is configured, for a symbol that is not",
}
"""What is allowed by rules that look at more than one setting."""

DEFAULTS: Final = {
    ("Config", "data_dir"): "`pine-data`",
    ("Config", "strategy_folder"): "`.`",
    ("Config", "pairs"): "as in the example",
    ("AlertsConfig", "on"): "all but `entry` and `exit`",
}
"""Defaults that are not in the classes, or too long for a table."""

MAY_BE_OFF: Final = (market.TapeConfig, strategy.WarmUpConfig, strategy.StrategyWarmUp)

SETTINGS: Final = "settings (below)"

TEXTS: Final = {("Config", "data_dir"): "text", ("Config", "strategy_folder"): "text"}


@attrs.frozen
class Section:
    """A part of the document: some settings of a class, or all.

    Attributes
    ----------
    title
        As people find it in the file.
    found
        The class.
    example
        Lines of YAML.
    only
        Which attributes; all if empty.
    """

    title: str
    found: type
    example: str = ""
    only: tuple[str, ...] = ()


SECTIONS: Final = (
    Section(
        "Folders, and what is kept",
        schema.Config,
        "data_dir: pine-data\nretention: 30d\nretention_max: 90d",
        ("data_dir", "retention", "retention_max", "strategy_folder", "models", "heartbeats"),
    ),
    Section("databento", market.DatabentoConfig, "databento:\n  api_key: ${DATABENTO_API_KEY}\n  max_cost_usd: 2.5"),
    Section("bus", market.BusConfig, "bus:\n  url: rediss://pine:${REDIS_PASSWORD:-}@redis.example:6379/0"),
    Section("hub", market.HubConfig, "hub:\n  lateness_ms: 500\n  tape: {keep: 90d}    # or: off"),
    Section("hub.tape", market.TapeConfig),
    Section(
        "sessions",
        market.SessionConfig,
        "sessions:                # by group: equity, metals, energy, fx, rates, grains; default for the rest\n"
        '  default: {close: "17:00 America/Chicago"}\n'
        '  grains: {close: "14:00 America/Chicago", short_session: separate}',
    ),
    Section("warm_up", strategy.WarmUpConfig, "warm_up: {daily: 300, hourly: 20}    # or: off"),
    Section("orders", desk.OrdersConfig, "orders:\n  entry_max_age_s: 60\n  per_minute: 30"),
    Section("archive", desk.ArchiveConfig, "archive:\n  location: /mnt/archive/pine"),
    Section("alerts", desk.AlertsConfig, 'alerts:\n  urls:\n    - ${ALERTS_URL:-}\n  daily_summary: "22:30"'),
    Section("metrics", desk.MetricsConfig, "metrics: {port: 9465}"),
    Section("dashboard", desk.DashboardConfig, "dashboard:\n  host: 0.0.0.0\n  token: ${PINE_DASHBOARD_TOKEN:-}"),
    Section(
        "instruments",
        market.InstrumentConfig,
        "instruments:             # by root\n"
        "  ES: {execution: {root: MES, size: 2}}\n"
        "  GC: {commission: 0.85}\n"
        "  ZB: {}",
    ),
    Section("instruments.ROOT.execution", market.Execution),
    Section(
        "Partners",
        schema.Config,
        "pairs: {ES: GC, GC: ES}\nstand_ins: {TLT: ZB}",
        ("pairs", "stand_ins"),
    ),
    Section(
        "strategies",
        strategy.StrategyConfig,
        "strategies:              # by name: lower-case letters, digits and _\n"
        "  morning:\n"
        "    type: ibs\n"
        "    webhook: ${MORNING_WEBHOOK:-}\n"
        "    daily_stop_loss: 1500\n"
        "    params: {ibs_entry_high: 0.15}\n"
        "    filters:\n"
        '      - {feature: "rsi(2)@daily", between: [0, 40]}\n'
        "    instruments:         # or a list: [ES, GC]\n"
        "      ES: {}\n"
        "      GC: {size: 2, params: {stop_percent: 0.8}}",
    ),
    Section("strategies.NAME.instruments.ROOT", strategy.StrategyInstrument),
    Section("strategies.NAME.warm_up", strategy.StrategyWarmUp),
    Section("strategies.NAME.filters", strategy.FilterConfig),
)

HEAD: Final = """\
# Configuration

*Written by `make docs` from the classes that read it; edit those.*

One YAML file, `pine.yaml`: `-c FILE` or `PINE_CONFIG` names another. `pine init` writes one from a few answers, the one
in the repository shows every setting, and `pine check` looks whether it can run. Everything is checked before anything
starts: every mistake is told at once, with its line, what was found and what is allowed. A setting that is not known is
a mistake. Paths are relative to the file.

## Variables and secrets

- `${NAME}` takes a variable from the environment, or from `.env` beside the file; the environment wins. One that is not
  set, or empty, is a mistake.
- `${NAME:-default}` takes the default instead. `${NAME:-}` may be empty: a webhook that is so means paper only, an
  address of alerts is left out.
- Several may stand in one text: `redis://pine:${REDIS_PASSWORD}@host:6379/0`. What comes from a variable is read as if
  it stood there, `${SIZE}` as a number; a secret is always text.
- **Secrets** are `databento.api_key`, each `webhook`, `alerts.urls`, `dashboard.token`, and what `bus.url` and
  `archive.location` may hold. They are in no log, error, heartbeat, page or record. A secret whose variable is not set
  is a mistake only for the command that needs it. Keep them in `.env` with mode 600, never in the file that is
  committed; `pine check` warns where others can read it.
- `POLICY_KILLSWITCH` in the environment or `.env` is no setting: it is read anew before each post, and `1` blocks every
  entry while exits go.
"""


def document() -> str:
    """Return the reference."""
    parts = [HEAD, *(_section(section) for section in SECTIONS), _strategies(), _roots()]
    return "\n".join(parts)


def _section(section: Section) -> str:
    found = section.found
    plain = section.found is schema.Config
    title = section.title if plain else f"`{section.title}`"
    lines = [f"## {title}", ""]
    if not plain:
        lines += [_summary(found), ""]
    lines += list(_table(found, section.only))
    if section.example:
        lines += ["", "```yaml", *section.example.splitlines(), "```"]
    return "\n".join([*lines, ""])


def _summary(found: type) -> str:
    """Return the text of a docstring above its attributes."""
    return " ".join(inspect.cleandoc(found.__doc__ or "").partition("\n\nAttributes\n")[0].split()).replace("``", "`")


def _table(found: type, only: tuple[str, ...] = ()) -> Iterator[str]:
    yield "| setting | type | default | allowed | what for |"
    yield "|---|---|---|---|---|"
    hints, told = typing.get_type_hints(found), meanings(found)
    before = ""
    for item in sorted(attrs.fields(found), key=lambda item: only.index(item.name) if item.name in only else 0):
        if only and item.name not in only:
            continue
        place = (found.__name__, item.name)
        if item.name not in told:
            raise SystemExit(f"{found.__name__}.{item.name}: its docstring does not say what it is for")
        kind = TEXTS.get(place) or type_words(hints[item.name])
        allowed = ELSEWHERE.get(place) or allowed_words(item.validator)
        meaning = "as above" if told[item.name] == before else told[item.name]
        before = told[item.name]
        cells = (f"`{item.name}`", kind, DEFAULTS.get(place) or default_words(item), allowed, meaning)
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


def type_words(kind: Any) -> str:
    """Return a type as people write its values."""
    plain = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "text"}
    plain |= {Secret: "secret", Duration: "days or hours (`30d`, `36h`)"}
    if kind in plain:
        return plain[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in inner)
    if origin in (types.UnionType, typing.Union):
        first = inner[0]
        return f"{type_words(first)}, or {'`off`' if first in MAY_BE_OFF else '`null`'}"
    if origin is list:
        if get_origin(inner[0]) is Literal:
            return "list of words: " + ", ".join(f"`{word}`" for word in get_args(inner[0]))
        return "list of settings (below)" if type_words(inner[0]) == SETTINGS else f"list of {type_words(inner[0])}s"
    if origin is tuple:
        return "one number or a list" if inner[-1] is Ellipsis else f"{len(inner)} numbers"
    if origin is dict:
        return "text by name" if inner[1] is str else "settings by name"
    if attrs.has(kind):
        return SETTINGS
    raise SystemExit(f"{kind}: no words for it")


def default_words(item: Any) -> str:
    """Return a default as it would stand in the file."""
    if item.default is attrs.NOTHING:
        return "required"
    value = item.default.factory() if isinstance(item.default, attrs.Factory) else item.default  # type: ignore[arg-type]
    if value is None:
        return "none"
    if isinstance(value, Secret) or value in ({}, []):
        return "none"
    if attrs.has(type(value)) and not isinstance(value, Duration):
        return "as below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`" if value < 1e5 else f"`{value:.0f}`"
    if isinstance(value, str) and yaml.safe_load(value) != value:
        return f"`{json.dumps(value)}`"
    if isinstance(value, dict | list):
        return f"`{yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()}`"
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"


def allowed_words(validator: Any) -> str:
    """Return what a validator of attrs, or one of the configuration's own, allows."""
    if validator is None:
        return ""
    if validator in RULES:
        return RULES[validator]
    if inner := getattr(validator, "_validators", None):
        return ", ".join(allowed_words(one) for one in inner)
    if inner := getattr(validator, "validator", None):
        return allowed_words(inner)
    if hasattr(validator, "compare_op"):
        if validator.bound == float("inf"):
            return "finite"
        sign = {">=": "≥", "<=": "≤"}.get(validator.compare_op, validator.compare_op)
        return (
            f"{sign} {validator.bound:g}"
            if validator.bound != int(validator.bound)
            else f"{sign} {int(validator.bound)}"
        )
    if hasattr(validator, "min_length"):
        return f"at least {validator.min_length}"
    raise SystemExit(f"{validator}: no words for it; put some into RULES")


def _strategies() -> str:
    """Return a section per strategy type."""
    parts = []
    for kind in PARAMS:
        found = PARAMS.find(kind, ROOT)
        parts.append(
            f"## Parameters of type `{kind}`\n\n{summary(found)}\n"
            "Under `params` of a root in `instruments`, of a strategy, or of a root in it; the narrowest wins.\n\n"
            + "\n".join(_table(found))
            + "\n"
        )
    parts.append("Types of one's own have theirs: [strategies.md](strategies.md).\n")
    return "\n".join(parts)


def _roots() -> str:
    rows = ["## Roots", "", "| group | roots |", "|---|---|"]
    groups: dict[str, list[str]] = {}
    for root, known in SPECS.items():
        groups.setdefault(known.group, []).append(root)
    rows += [f"| {group} | {', '.join(roots)} |" for group, roots in groups.items()]
    return "\n".join([*rows, ""])


FILES: Final[dict[str, Callable[[], str]]] = {
    "docs/configuration.md": document,
    "pine.yaml": lambda: render_yaml(defaults()),
    ".env.example": lambda: render_env(defaults()),
}


def main(arguments: list[str]) -> int:
    """Write the files, or compare them."""
    code = 0
    for name, make in FILES.items():
        path, text = ROOT / name, make()
        same = path.exists() and path.read_text(encoding="utf-8") == text
        if same:
            continue
        if "--check" in arguments:
            print(f"{name}: is not what the classes say; run make docs", file=sys.stderr)
            code = 1
        else:
            path.write_text(text, encoding="utf-8")
            print(f"written {name}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
