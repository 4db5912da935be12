"""``pine models``: the trained models of the configured strategies, and what is wrong with them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pine.cli.columns import columns
from pine.cli.context import FINE, WRONG, configuration, exits, print_json
from pine.cli.options import config_option

if TYPE_CHECKING:
    from pine.core.config import Config

NUMBERS: Final = frozenset({3, 4})
"""Columns of the table that are aligned to the right."""

MOST_METRICS: Final = 3


@click.command()
@click.argument("name", required=False)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the models; as configured if left out.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def models(ctx: click.Context, name: str | None, folder: Path | None, as_json: bool) -> None:
    """List the models of strategy NAME, or of all, and check their files.

    Exit code 1 if the files of a model do not fit together or their place, or if a model is missing that the strategy
    requires.
    """
    config = configuration(ctx)
    from pine.worker.run import check_name

    if name is not None:
        check_name(config, name)
    place = (folder or config.models_folder).absolute()
    found = [
        model for strategy in ([name] if name else config.strategies) for model in _listed(config, strategy, place)
    ]
    if as_json:
        print_json({"folder": str(place), "models": found})
    else:
        click.echo(table(found))
    sys.exit(WRONG if any(model["problem"] for model in found) else FINE)


def _listed(config: "Config", strategy: str, place: Path) -> list[dict[str, Any]]:
    """Return what is known of the models of a strategy, also of one that asks for none."""
    from pine.strategies.features.address import parse_address
    from pine.strategies.models.listing import list_models
    from pine.strategies.plugins import reach

    setting = config.strategies[strategy]
    if setting.scorer is not None:
        reach(setting.scorer, config.strategy_folder)
    found = list_models(place, strategy, config.traded[strategy], setting.scorer, known=parse_address)
    for model in found:
        model["policy"] = setting.model
        if model["state"] == "missing" and setting.model == "required":
            model["problem"] = f"missing: {model['card']}; this strategy enters only with a model (model: required)"
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Return the models as text, one line each, and below what is wrong with those that are refused.

    Parameters
    ----------
    found
        What `pine.strategies.models.listing.list_models` returns.
    """
    rows = [("strategy", "symbol", "state", "threshold", "features", "trained", "data", "built with", "metrics")]
    for model in found:
        left = (model["strategy"], model["symbol"], model["state"])
        rows.append((*left, *(_facts(model) if model["state"] == "ok" else [""] * 6)))
    problems = [f"{model['strategy']} {model['symbol']}: {model['problem']}" for model in found if model["problem"]]
    return "\n".join([*columns(rows, NUMBERS), *problems])


def _facts(model: dict[str, Any]) -> tuple[str, ...]:
    trained = f"{model['trained_from'][:10]} to {model['trained_to'][:10]}"
    numbers = [(name, value) for name, value in model["metrics"].items() if isinstance(value, int | float)]
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in numbers[:MOST_METRICS])
    counts = (f"{model['threshold']:.10g}", str(len(model["features"])))
    return (*counts, trained, model["data"], model["built_with"], metrics)
