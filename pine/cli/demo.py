"""``pine demo``: the whole system on a tape, from trades to webhooks."""

import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from pine.cli.context import FINE, WRONG, exits, print_json
from pine.cli.options import Speed

if TYPE_CHECKING:
    from pine.cli.demo_view import View

SEED = 7
KILLS = 15
CHAOS = "chaos"
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
@click.option("--chaos", is_flag=True, help="Kill hub, archive, workers, couriers and server on the way, and compare.")
@click.option("--kills", type=click.IntRange(1, 1000), default=KILLS, show_default=True, help="How many, with --chaos.")
@click.option(
    "--chaos-seed", type=int, default=None, help="Chooses victims and moments; drawn and printed if left out."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON document and nothing else.")
@exits
def demo(
    tapes: tuple[Path, ...],
    more: tuple[Path, ...],
    speed: float | None,
    days: int,
    seed: int,
    chaos: bool,
    kills: int,
    chaos_seed: int | None,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Run everything once: gateway, server, hub, two workers, couriers and a webhook receiver as real processes.

    The market is generated unless --dbn names recorded trades; it ends by itself with a summary. With --chaos the
    tape runs twice, the second time with processes killed and connections broken at moments that a seed chooses, and
    bars, clock, decisions, ledgers and positions of both runs are compared.
    """
    from pine.bus.ending import interrupt_on_end
    from pine.core.errors import SandboxError

    interrupt_on_end()
    if chaos:
        chaos_seed = random.randrange(1 << 30) if chaos_seed is None else chaos_seed  # noqa: S311  # a seed
    else:
        kills = 0
    show = Show([*tapes, *more], speed, days, seed, kills, chaos_seed or 0, as_json)
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise SandboxError(f"--keep {keep}: is not empty; name a new folder")
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxError(f"--keep {keep}: cannot be made: {error.strerror}") from None
        sys.exit(show.run(keep.absolute(), kept=keep))
    with tempfile.TemporaryDirectory(prefix="pine-demo-") as folder:
        sys.exit(show.run(Path(folder)))


@frozen
class Show:
    """What was asked for."""

    tapes: list[Path]
    speed: float | None
    days: int
    seed: int
    kills: int
    chaos_seed: int
    as_json: bool

    def run(self, folder: Path, kept: Path | None = None) -> int:
        """Run it in a folder and print how it ended; return the exit code."""
        from pine.cli.demo_view import View
        from pine.core.errors import DataError, SandboxError
        from pine.sandbox.demo.perform import generate, problems

        view = View(quiet=self.as_json)
        tapes = self.tapes
        if not tapes:
            view.say(f"generating {self.days} sessions of a market (seed {self.seed})")
            tapes = [generate(folder, self.days, self.seed)]
        view.say("starting gateway, receiver, server, workers, hub")
        with view.watching():
            try:
                facts = self._play(folder, tapes, view)
            except DataError as error:  # a tape that cannot be read
                raise SandboxError(str(error)) from None
        wrong = facts["differences"] if self.kills else problems(facts)
        if self.as_json:
            print_json(facts)
        else:
            view.summary(facts)
            if self.kills:
                view.verdict(facts)
            if kept is not None:
                where = kept / CHAOS if self.kills else kept
                root = next(iter(facts["bars"]))
                view.say(f"kept in {kept}; try: pine bars {root} --timeframe hourly -c {where}/pine.yaml")
                view.say(f"or see that it would decide the same: pine replay --against flight -c {where}/pine.yaml")
        for problem in wrong:
            click.echo(f"Wrong: {problem}", err=True)
        return WRONG if wrong else FINE

    def _play(self, folder: Path, tapes: list[Path], view: "View") -> dict[str, Any]:
        from pine.sandbox.demo.contest import contest
        from pine.sandbox.demo.perform import perform

        generated = not self.tapes
        if self.kills:
            return contest(folder, tapes, self.kills, self.chaos_seed, view.update, view.say, generated=generated)
        return perform(folder, tapes, self.speed, view.update, generated=generated)
