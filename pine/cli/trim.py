"""``pine trim``: give back memory that nobody needs any more."""

import contextlib
from typing import Any

import click

from pine.cli.context import configuration, exits, explained, print_json
from pine.cli.options import config_option


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@config_option
@click.pass_context
@exits
def trim(ctx: click.Context, dry_run: bool, as_json: bool) -> None:
    """Remove market data and flight records that are archived, older than `retention`, and needed by nobody.

    Ledgers, deliveries and requests are never trimmed. Starts no server.
    """
    config = configuration(ctx)
    from pine.bus.connection import connect
    from pine.core.errors import NoServer, PineError
    from pine.ops.trim import trim as cut

    try:
        client = connect(config, start=False)
    except NoServer as error:
        raise PineError(explained(ctx, error)) from None
    with contextlib.closing(client):
        facts = cut(client, config, dry_run=dry_run)
    if as_json:
        print_json(facts)
    else:
        _print_table(facts)


def _print_table(facts: dict[str, Any]) -> None:
    went = "would go" if facts["dry_run"] else "removed"
    lines = [f"{'stream':<22}{went:>10}{'left':>10}  {'kept from (UTC)':<18}because of"]
    for told in facts["streams"]:
        counts = f"{told['removed']:>10,}{told['left']:>10,}"
        since = told["kept_from"][:16].replace("T", " ")
        given_up = f"; without regard to {', '.join(told['given_up'])}" if told["given_up"] else ""
        lines.append(f"{told['stream']:<22}{counts}  {since:<18}{told['held_by']}{given_up}")
    lines.append(f"{facts['removed']:,} entries {went}")
    click.echo("\n".join(lines))
