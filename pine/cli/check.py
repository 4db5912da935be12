"""``pine check``: everything that a run needs, looked at before it starts."""

import sys
import time
from typing import TYPE_CHECKING, Final

import click

from pine.cli.columns import terminal_width, wrapped
from pine.cli.context import COULD_NOT_RUN, FINE, WRONG, exits, print_json
from pine.cli.loading import LOAD_SECONDS, load_within
from pine.cli.options import config_option

if TYPE_CHECKING:
    from pine.ops.preflight import Finding

MARKS: Final = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "wrong": ("✗", "red"),
    "skipped": ("–", "bright_black"),
}
WIDTHS: Final = (13, 17)
"""Columns of group and name."""


@click.command()
@click.option("--strategy", metavar="NAME", help="Only what matters to this strategy.")
@click.option("--offline", is_flag=True, help="Ask nothing outside this machine.")
@click.option("--fail-fast", is_flag=True, help="End with the first line that is wrong.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def check(ctx: click.Context, strategy: str | None, offline: bool, fail_fast: bool, as_json: bool) -> None:
    """Look at everything that a run needs, and say what to do where it is not as it should be.

    One line each: ✓ in order, ! worth knowing, ✗ wrong, – not applicable or not looked at. Nothing is started,
    bought, or sent to a webhook. Hub and workers run the part that needs no network when they start, and refuse on ✗.

    Exit code 1 if anything is wrong, 2 if the configuration has mistakes.
    """
    from pine.core.errors import ConfigError

    try:
        config = load_within(ctx, LOAD_SECONDS)
    except ConfigError as error:
        _mistakes(error.problems, as_json=as_json)
        sys.exit(COULD_NOT_RUN)
    from pine.ops.preflight.whole import preflight
    from pine.worker.run import check_name

    if strategy is not None:
        check_name(config, strategy)
    found: list[Finding] = []
    for finding in preflight(config, time.time_ns, strategy, offline=offline, fail_fast=fail_fast):
        if not as_json:
            _show(finding, found[-1].group if found else "")
        found.append(finding)
    if as_json:
        print_json(_document(found))
    else:
        click.echo(_summary(found))
    sys.exit(WRONG if any(finding.state == "wrong" for finding in found) else FINE)


def _show(finding: "Finding", before: str) -> None:
    """Print a line at once; its group only where that is another than `before`."""
    mark, colour = MARKS[finding.state]
    group = "" if finding.group == before else finding.group
    name = "" if finding.name == finding.group else finding.name
    before_text = f"  {group:<{WIDTHS[0]}} {name:<{WIDTHS[1]}} "
    text = wrapped(finding.text, terminal_width(), sum(WIDTHS) + 4, len(before_text))
    click.echo(f"{click.style(mark, fg=colour, bold=True)}{before_text[1:]}{text}")


def _mistakes(problems: tuple[str, ...], *, as_json: bool) -> None:
    """Tell what is wrong in the configuration, with which nothing else can be looked at."""
    from pine.ops.preflight import Finding

    found = [Finding("configuration", "file", "wrong", problem) for problem in problems]
    if as_json:
        print_json(_document(found))
        return
    for finding in found:
        _show(finding, "")
    click.echo("nothing else can be looked at before the configuration is mended")


def _document(found: "list[Finding]") -> dict[str, object]:
    from attrs import asdict

    counts = {state: sum(finding.state == state for finding in found) for state in MARKS}
    return {"fine": counts["wrong"] == 0, **counts, "checks": [asdict(finding) for finding in found]}


def _summary(found: "list[Finding]") -> str:
    wrong = sum(finding.state == "wrong" for finding in found)
    warnings = sum(finding.state == "warning" for finding in found)
    told = [f"{wrong} wrong"] if wrong else ["nothing is wrong"]
    return ", ".join([*told, *([f"{warnings} worth knowing"] if warnings else [])])
