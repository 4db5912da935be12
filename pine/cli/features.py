"""``pine features``: what strategies can ask for."""

from typing import Any, Final

import click

from pine.cli.columns import columns
from pine.cli.context import exits, print_json

NUMBERS: Final = frozenset({1})
"""Columns of the list that are aligned to the right."""


@click.command()
@click.argument("address", required=False)
@click.option("--filters", is_flag=True, help="List the ready-made filters instead.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@exits
def features(address: str | None, filters: bool, as_json: bool) -> None:
    """List every feature, or explain one ADDRESS, such as 'rsi(2)@daily', or an old system's name of one.

    Bars are how many of its timeframe it takes until there is a value. Its memory is a window of so many bars, or
    reaches back to the first bar of the history.
    """
    from pine.strategies.features.explain import explanation, listing, ready_made

    if filters:
        if address is not None:
            raise click.UsageError("--filters takes no ADDRESS")
        made = ready_made()
        if as_json:
            print_json({"count": len(made), "filters": made})
        else:
            rows = [("filter", "feature", "lets through"), *((f["name"], f["feature"], f["condition"]) for f in made)]
            click.echo("\n".join(columns(rows, frozenset())))
        return
    if address is None:
        found = listing()
        if as_json:
            print_json({"count": len(found), "features": found})
        else:
            click.echo(list_text(found))
        return
    one = explanation(address)
    if as_json:
        print_json(one)
    else:
        click.echo(one_text(one))


def list_text(found: list[dict[str, Any]]) -> str:
    """Return the definitions as text, one line each."""
    rows = [("feature", "bars", "memory", "value")]
    for each in found:
        given = ", ".join(
            parameter["name"] if parameter["default"] is None else f"{parameter['name']}={parameter['default']}"
            for parameter in each["parameters"]
        )
        rows.append(
            (each["name"] + (f"({given})" if given else ""), str(each["bars"]), each["memory"], each["formula"])
        )
    after = "Any of them with @daily, @1min, @pair, @NQ or @NQ.daily; hourly and the instrument's own if left out."
    return "\n".join([*columns(rows, NUMBERS), f"{len(found)} features. {after}"])


def one_text(one: dict[str, Any]) -> str:
    """Return one address taken apart, as text."""
    bars = ", ".join(f"{count} {timeframe}" for timeframe, count in one["bars"].items())
    lines = [
        ("address", one["address"]),
        ("value", one["formula"]),
        ("reads", ", ".join(one["reads"]) or "the bar itself"),
        ("memory", one["memory"]),
        ("bars", bars),
    ]
    if one["old_names"]:
        lines.append(("old names", ", ".join(one["old_names"])))
    return "\n".join(columns(lines, frozenset()))
