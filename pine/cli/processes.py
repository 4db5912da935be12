"""The long-running processes: hub, worker, courier."""

import math
import sys
from functools import partial

import click

from pine.cli.context import configuration, exits
from pine.cli.options import config_option


@click.command()
@config_option
@click.pass_context
@exits
def hub(ctx: click.Context) -> None:
    """Turn live trades into bars on the streams.

    Runs until SIGINT or SIGTERM: every closed bar is published first. A second hub waits until the first is gone.
    """
    from pine.cli import logs

    logs.set_up("hub")
    config = configuration(ctx)
    from pine.hub.run import run_hub
    from pine.ops.preflight.whole import before_hub, refuse

    refuse(before_hub(config))
    sys.exit(run_hub(config))


@click.command()
@click.argument("name")
@click.option("--no-courier", is_flag=True, help="Somebody else starts the courier: pine up, a service.")
@config_option
@click.pass_context
@exits
def worker(ctx: click.Context, name: str, no_courier: bool) -> None:
    """Run the strategy NAME: read steps, decide, write the ledger.

    Runs until SIGINT or SIGTERM: the step under way is finished and acknowledged first. Starts the strategy's
    courier if a webhook is configured; without one the strategy trades on paper only.

    A strategy's first start warms it up with the history that warm_up asks for, from streams, archive and, where it
    may buy, Databento Historical; exit code 1 if some of that cannot be had. Later starts need the server only.
    """
    from pine.cli import logs

    logs.set_up("worker", name)
    config = configuration(ctx)
    from pine.cli.warmup_view import progress
    from pine.ops.preflight.whole import before_worker, refuse
    from pine.worker.run import check_strategy, run_worker

    check_strategy(config, name)
    refuse(before_worker(config, name))
    with progress() as on_progress:
        code = run_worker(config, name, on_progress, starts_courier=not no_courier)
    sys.exit(code)


@click.command()
@click.argument("name")
@click.option("--with-worker", is_flag=True, help="End once the worker is gone and nothing is owed.")
@config_option
@click.pass_context
@exits
def courier(ctx: click.Context, name: str, with_worker: bool) -> None:
    """Post the intents of strategy NAME to its webhook.

    A worker starts its courier by itself; this command is for running one alone, also for a strategy that is disabled.
    """
    from pine.cli import logs

    logs.set_up("courier", name)
    config = configuration(ctx)
    from pine.bus.connection import connect, revive
    from pine.bus.ending import stop_on_end
    from pine.bus.lease import Lease
    from pine.bus.notify import READY, STOPPING, notify
    from pine.core.log import get_logger
    from pine.orders.courier import AWAY_SECONDS, Courier
    from pine.orders.ledger import role
    from pine.worker.run import check_name

    log = get_logger("pine.orders.courier")
    check_name(config, name)
    webhook = config.strategies[name].webhook
    if not webhook and notify(READY, STOPPING, status="no webhook: paper only"):
        return  # a service manager's: there is nothing to post, and nothing wrong
    webhook.reveal()
    client = connect(config, start=not with_worker)
    stop = stop_on_end()  # not before: until there is something to end in order, a request to end ends at once
    patience = AWAY_SECONDS if with_worker else math.inf
    lease = Lease.acquire(
        client,
        role(name),
        lambda holder: log.warning("waiting", lease_held_by=holder),
        stop,
        patience,
        on_away=(lambda: None) if with_worker else partial(revive, config, stop.is_set),
    )
    if lease is None:
        return
    lease.keep()
    try:
        Courier(config, name, client, lease, stop, with_worker=with_worker).run()
    finally:
        lease.release()
