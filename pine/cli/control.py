"""``pine halt``, ``pine resume``, ``pine flatten``: what a person tells a strategy."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pine.cli.context import FINE, WRONG, exits, print_json, visit
from pine.cli.loading import URGENT_SECONDS, load_parts, load_within
from pine.cli.options import config_option, one_line, who_option

if TYPE_CHECKING:
    from pine.ops.control import Booked
    from pine.orders.entries import Order

F = TypeVar("F", bound=Callable[..., Any])


def _no_reason() -> str:
    from pine.orders.entries import NO_REASON

    return NO_REASON


def said(command: F) -> F:
    """Accept of whom it is asked, who says so, why, and how the answer is printed."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON document."),
        who_option,
        click.option("--reason", default=_no_reason, callback=one_line, help="Why; it is kept with the order."),
        click.option("--all", "everybody", is_flag=True, help="Every configured strategy."),
        click.argument("name", required=False),
    ):
        command = option(command)
    return command


@click.command()
@said
@config_option
@click.pass_context
@exits
def halt(ctx: click.Context, name: str | None, everybody: bool, reason: str, who: str, as_json: bool) -> None:
    """Stop the strategy NAME from entering anything, at once; exits go on.

    Works with worker and hub up or down. What it decided before and is not posted yet is not posted any more. It stays
    halted, also over restarts, until pine resume. With mistakes in the configuration it is asked of the workers that
    run.
    """
    from pine.core.errors import ConfigError

    try:
        _tell(ctx, name, everybody, ["halt"], reason, who, as_json)
    except ConfigError as error:
        if everybody == (name is not None):
            raise click.UsageError("name a strategy, or all with --all", ctx) from None
        _halt_all_the_same(ctx, error.problems, name, reason, who, as_json)


@click.command()
@said
@config_option
@click.pass_context
@exits
def resume(ctx: click.Context, name: str | None, everybody: bool, reason: str, who: str, as_json: bool) -> None:
    """Let the strategy NAME enter again after a halt, whoever or whatever halted it."""
    _tell(ctx, name, everybody, ["resume"], reason, who, as_json)


@click.command()
@click.option("--halt", "also_halt", is_flag=True, help="Halt it first, so that it does not enter again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@said
@config_option
@click.pass_context
@exits
def flatten(
    ctx: click.Context,
    name: str | None,
    everybody: bool,
    also_halt: bool,
    yes: bool,
    reason: str,
    who: str,
    as_json: bool,
) -> None:
    """Close every position of the strategy NAME at the market, through its ledger and its webhook.

    Works with worker and hub up or down. The strategy goes on and may enter again; --halt keeps it from that.
    """
    _tell(ctx, name, everybody, ["halt", "flatten"] if also_halt else ["flatten"], reason, who, as_json, ask=not yes)


def _tell(
    ctx: click.Context,
    name: str | None,
    everybody: bool,
    orders: "list[Order]",
    reason: str,
    who: str,
    as_json: bool,
    *,
    ask: bool = False,
) -> None:
    config = load_within(ctx, URGENT_SECONDS)
    from pine.ops import control
    from pine.worker.run import check_name

    chosen = control.known_strategies(config, name, everybody=everybody)
    for strategy in chosen:
        check_name(config, strategy)
    with visit(config) as client:
        if ask:
            from pine.ops.positions import list_positions

            _confirm(ctx, list_positions(config, client, chosen), chosen)
        asked = [(strategy, order) for order in orders for strategy in chosen]
        answers = control.ask_all(config, client, asked, who=who, reason=reason)
    _print(answers, as_json)


def _halt_all_the_same(
    ctx: click.Context, problems: tuple[str, ...], name: str | None, reason: str, who: str, as_json: bool
) -> None:
    """Halt by what can be read of a configuration that has mistakes; tell them if that is too little."""
    from pine.core.errors import ConfigError
    from pine.ops.emergency import halt_running

    try:
        parts = load_parts(ctx)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    click.echo("The configuration has mistakes (pine check tells them); asked of the workers that run.", err=True)
    with visit(parts) as client:
        answers = halt_running(parts, client, name, who=who, reason=reason)
    _print(answers, as_json)


def _confirm(ctx: click.Context, rows: list[dict[str, Any]], chosen: list[str]) -> None:
    """Show what will be closed and ask; end the command unless the answer is yes."""
    if not sys.stdin.isatty():
        raise click.UsageError("this closes positions and nobody can be asked: say --yes", ctx)
    held = [f"{row['strategy']} {row['due']:+d} {row['contract']}" for row in rows if row["due"]]
    click.echo("to close: " + (", ".join(held) or f"nothing; {', '.join(chosen)} hold no position"), err=True)
    click.confirm("close at the market?", abort=True, err=True)


def _print(answers: "list[Booked]", as_json: bool) -> None:
    """Print what became of requests; exit code 1 if somebody must look."""
    from pine.ops.control import is_wrong, sentence

    if as_json:
        print_json({"answers": [answer.to_dict() for answer in answers]})
    else:
        for answer in answers:
            click.echo(f"{answer.strategy}: {sentence(answer)}")
    sys.exit(WRONG if any(map(is_wrong, answers)) else FINE)
