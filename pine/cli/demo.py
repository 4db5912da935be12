"""``pine demo``: the whole system on a tape, from trades to webhooks."""

import sys
import tempfile
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pine.cli.context import WRONG, exits, print_json
from pine.cli.options import Speed

if TYPE_CHECKING:
    from pine.sandbox.demo.stage import Stage

SEED = 7
NEAR_GENERATED = 0.3
NEAR_RECORDED = 0.15
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--dbn",
    "tapes",
    type=FILE,
    multiple=True,
    metavar="FILE…",
    help="DBN trade files to play; repeat, or list after it. Generated if left out.",
)
@click.argument("more", nargs=-1, type=FILE, metavar="[FILE…]")
@click.option(
    "--speed", type=Speed(), default="max", show_default=True, metavar="X|max", help="Times real time, or max."
)
@click.option(
    "--days", type=click.IntRange(1, 250), default=10, show_default=True, help="Sessions of the generated market."
)
@click.option("--seed", type=int, default=SEED, show_default=True, help="Seed of the generated market.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Leave data, logs and pine.yaml in DIR, which must be new or empty.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON document and nothing else.")
@exits
def demo(
    tapes: tuple[Path, ...],
    more: tuple[Path, ...],
    speed: float | None,
    days: int,
    seed: int,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Run everything once: gateway, server, hub, two workers, couriers and a webhook receiver as real processes.

    The market is generated unless --dbn names recorded trades; it ends by itself with a summary.
    """
    from pine.core.errors import SandboxError

    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise SandboxError(f"--keep {keep}: is not empty; name a new folder")
        keep.mkdir(parents=True, exist_ok=True)
        _run(keep.absolute(), [*tapes, *more], speed, days, seed, as_json)
        return
    with tempfile.TemporaryDirectory(prefix="pine-demo-") as folder:
        _run(Path(folder), [*tapes, *more], speed, days, seed, as_json)


def _run(folder: Path, tapes: list[Path], speed: float | None, days: int, seed: int, as_json: bool) -> None:
    from pine.cli.demo_view import View
    from pine.core.config import load_config
    from pine.sandbox.demo.plan import GENERATED, roots_of, write_config
    from pine.sandbox.demo.stage import START_SECONDS, stage, start_stand_ins
    from pine.sandbox.demo.summary import summarise
    from pine.strategies.catalog import PARAMS

    view = View(quiet=as_json)
    began = time.monotonic()
    roots, near = (roots_of(tapes), NEAR_RECORDED) if tapes else (GENERATED, NEAR_GENERATED)
    if not tapes:
        from pine.sandbox.market import write_market

        symbols = list(dict.fromkeys(chain.from_iterable(roots.values())))
        view.say(f"generating {days} sessions of {', '.join(symbols)} (seed {seed})")
        tapes = [folder / "market.dbn.zst"]
        write_market(tapes[0], symbols, days, seed)
    gateway, broker = start_stand_ins(folder, tapes, speed)
    try:
        gateway_port = gateway.event("listening", START_SECONDS)["port"]
        broker_port = broker.event("listening", START_SECONDS)["port"]
        webhook = f"http://127.0.0.1:{broker_port}/trading/webhook"
        config = load_config(write_config(folder, roots, gateway_port, webhook, near=near), PARAMS)
        with stage(folder, config, gateway, broker) as running:
            view.say("starting workers, hub")
            running.raise_curtain()
            with view.watching(running):
                _wait(running, view)
            view.say("stopping")
            running.ring_down()
            received = folder / "webhooks.jsonl"
            webhooks = len(received.read_text().splitlines()) if received.exists() else 0
            facts = summarise(running.client, config, webhooks, time.monotonic() - began)
            facts["exit_codes"] = running.exit_codes
    finally:
        for child in (gateway, broker):
            if child.process.poll() is None:
                child.process.terminate()
                child.process.wait()
    if as_json:
        print_json(facts)
    else:
        view.summary(facts)
    if problems := _problems(facts):
        for problem in problems:
            click.echo(f"Wrong: {problem}", err=True)
        sys.exit(WRONG)


def _wait(running: "Stage", view: Any) -> None:
    while not running.finished():
        view.update(running)
        time.sleep(0.2)
    view.update(running)


def _problems(facts: dict[str, Any]) -> list[str]:
    """Return what a demonstration must not end with."""
    found = [f"{name} ended with exit code {code}" for name, code in facts["exit_codes"].items() if code]
    for name, strategy in facts["strategies"].items():
        intents = strategy["entries"] + strategy["exits"]
        if strategy["deliveries"] != ({"posted": intents} if intents else {}):
            found.append(f"{name}: {intents} intents, but deliveries {strategy['deliveries']}")
    total = sum(s["entries"] + s["exits"] for s in facts["strategies"].values())
    if facts["webhooks"] != total:
        found.append(f"{total} intents, but the receiver got {facts['webhooks']} webhooks")
    return found
