"""``pine demo``: the whole system on a tape, from trades to webhooks."""

import sys
import tempfile
from pathlib import Path

import click

from pine.cli.context import FINE, WRONG, exits, print_json
from pine.cli.options import Speed

SEED = 7
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
    from pine.bus.ending import interrupt_on_end
    from pine.core.errors import SandboxError

    interrupt_on_end()
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise SandboxError(f"--keep {keep}: is not empty; name a new folder")
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxError(f"--keep {keep}: cannot be made: {error.strerror}") from None
        _run(keep.absolute(), [*tapes, *more], speed, days, seed, as_json, kept=keep)
        return
    with tempfile.TemporaryDirectory(prefix="pine-demo-") as folder:
        _run(Path(folder), [*tapes, *more], speed, days, seed, as_json)


def _run(
    folder: Path, tapes: list[Path], speed: float | None, days: int, seed: int, as_json: bool, kept: Path | None = None
) -> None:
    from pine.cli.demo_view import View
    from pine.core.errors import DataError, SandboxError
    from pine.sandbox.demo.perform import generate, perform, problems

    view = View(quiet=as_json)
    generated = not tapes
    if generated:
        view.say(f"generating {days} sessions of a market (seed {seed})")
        tapes = [generate(folder, days, seed)]
    view.say("starting gateway, receiver, server, workers, hub")
    with view.watching():
        try:
            facts = perform(folder, tapes, speed, view.update, generated=generated)
        except DataError as error:  # a tape that cannot be read
            raise SandboxError(str(error)) from None
    if as_json:
        print_json(facts)
    else:
        view.summary(facts)
        if kept is not None:
            view.say(
                f"kept in {kept}; try: pine bars {next(iter(facts['bars']))} --timeframe hourly -c {kept}/pine.yaml"
            )
    wrong = problems(facts)
    for problem in wrong:
        click.echo(f"Wrong: {problem}", err=True)
    sys.exit(WRONG if wrong else FINE)
