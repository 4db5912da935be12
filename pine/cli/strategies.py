"""``pine strategies``: strategy types with their parameters, and the strategies that are configured."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from pine.cli.columns import columns
from pine.cli.context import configuration, exits, print_json
from pine.cli.options import config_option

if TYPE_CHECKING:
    from pine.core.config import Config, StrategyConfig

_WIDTH: Final = 100


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def strategies(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """List strategy types with their parameters, and the configured strategies.

    With NAME, one configured strategy with its limits and the parameters of each instrument, all layers merged.
    """
    config = configuration(ctx)
    from pine.worker.run import check_name

    if name is not None:
        check_name(config, name)
        facts = _one(config, name)
        if as_json:
            print_json(facts)
        else:
            click.echo(_one_text(facts))
        return
    facts = {"types": _types(config), "strategies": [_line(config, each) for each in config.strategies]}
    if as_json:
        print_json(facts)
    else:
        click.echo(_all_text(facts))


def _types(config: "Config") -> list[dict[str, Any]]:
    from attrs import asdict

    from pine.strategies.catalog import PARAMS, strategy_class
    from pine.strategies.description import parameters, summary

    kinds = dict.fromkeys([*PARAMS, *(setting.type for setting in config.strategies.values())])
    return [
        {
            "type": kind,
            "summary": summary(strategy_class(kind)),
            "timeframes": [timeframe.value for timeframe in strategy_class(kind).timeframes],
            "parameters": [asdict(item) for item in parameters(PARAMS.find(kind, config.strategy_folder))],
        }
        for kind in kinds
    ]


def _line(config: "Config", name: str) -> dict[str, Any]:
    setting = config.strategies[name]
    return {
        "name": name,
        "type": setting.type,
        "enabled": setting.enabled,
        "instruments": list(setting.instruments),
    }


def _one(config: "Config", name: str) -> dict[str, Any]:
    from attrs import asdict

    setting = config.strategies[name]
    return {
        **_line(config, name),
        "posts": bool(setting.webhook),
        "starting_cash": setting.starting_cash,
        "max_positions": setting.max_positions,
        "daily_stop_loss": setting.daily_stop_loss,
        "adjust": setting.adjust,
        "references": setting.references,
        "features": setting.features,
        "filters": {symbol: _filters(setting, symbol) for symbol in setting.instruments},
        "model": setting.model,
        "scorer": setting.scorer,
        "instruments": {symbol: asdict(traded) for symbol, traded in config.traded[name].items()},
    }


def _filters(setting: "StrategyConfig", symbol: str) -> list[str]:
    """Return the filters of an instrument in the order in which they are asked."""
    every = [*setting.filters, *setting.instruments[symbol].filters]
    if not every:
        return []
    from pine.strategies.filters import make_filter

    made = map(make_filter, every)
    return [f"{one.feature} {one.condition}" for one in made]


def _all_text(facts: Mapping[str, Any]) -> str:
    rows = [("strategy", "type", "enabled", "instruments")]
    rows += [
        (item["name"], item["type"], "yes" if item["enabled"] else "no", ", ".join(item["instruments"]))
        for item in facts["strategies"]
    ]
    return "\n".join([*columns(rows, frozenset()), *(line for kind in facts["types"] for line in _type_text(kind))])


def _type_text(kind: Mapping[str, Any]) -> list[str]:
    lines = ["", f"type {kind['type']} ({', '.join(kind['timeframes'])}): {kind['summary']}"]
    for item in kind["parameters"]:
        bounds = f", {item['bounds']}" if item["bounds"] else ""
        lines.append(f"  {item['name']}: {item['type']}{bounds}; default {_text(item['default'])}")
        lines += textwrap.wrap(item["meaning"], _WIDTH, initial_indent="      ", subsequent_indent="      ")
    return lines


def _one_text(facts: Mapping[str, Any]) -> str:
    lines = [
        f"{facts['name']}: type {facts['type']}, {'enabled' if facts['enabled'] else 'not enabled'}, "
        f"{'posts to a webhook' if facts['posts'] else 'paper only'}",
        f"  starting_cash {facts['starting_cash']:g}, max_positions {facts['max_positions']}, daily_stop_loss "
        f"{facts['daily_stop_loss']:g}, adjust {facts['adjust']}",
        f"  model {facts['model']}{', scorer ' + facts['scorer'] if facts['scorer'] else ''}, references "
        f"{', '.join(facts['references']) or 'none'}, features {', '.join(facts['features']) or 'none'}",
    ]
    for symbol, traded in facts["instruments"].items():
        lines.append(f"{symbol}: trades {traded['size']} {traded['root']}, commission {traded['commission']:g}")
        lines += [f"  filter {text}" for text in facts["filters"][symbol]]
        lines += [f"  {name}: {_text(value)}" for name, value in traded["params"].items()]
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list) else str(value)
