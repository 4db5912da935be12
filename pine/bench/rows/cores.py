"""Cores: four strategies on two cores, against one strategy on one; whole commands, with all that they load."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import orjson

from pine.bench.house import command, fill_archive
from pine.bench.market import ROOTS, closed_market, configure
from pine.bench.measure import timed
from pine.bench.row import Aim, Bench, BenchError, Row, Sides, Taken

NAMES: Final = ("first", "second", "third", "fourth")


@contextmanager
def ready(bench: Bench) -> Iterator[Sides]:
    """Fill an archive with some weeks of some symbols, which each of the strategies trades."""
    symbols, days, per_day = (ROOTS[:2], 2, 1_500) if bench.quick else (ROOTS[:8], 34, 6_000)
    listed = ", ".join(f'"{symbol}"' for symbol in symbols)
    traded = "\n".join(f'  "{symbol}": {{}}' for symbol in symbols)
    limits = f"starting_cash: 1000000000, max_positions: {len(symbols)}, daily_stop_loss: 1000000000"
    named = "\n".join(f"  {name}: {{type: ibs, {limits}, instruments: [{listed}]}}" for name in NAMES)
    config = configure(bench.folder, f"data_dir: data\nwarm_up: off\ninstruments:\n{traded}\nstrategies:\n{named}\n")
    bench.tell("cores: filling an archive")
    fill_archive(config, closed_market(symbols, days, per_day))
    run = partial(_replayed, str(config.path))
    one, four = partial(run, NAMES[:1]), partial(run, NAMES)

    def same() -> str:
        steps, all_steps = one().notes["steps of one"], four().notes["steps of four"]
        if all_steps != 4 * steps:
            raise BenchError(f"cores: found {all_steps} steps of four strategies, expected 4 × {steps}")
        return f"{steps:,.0f} steps of each strategy"

    size = f"IBS on {len(symbols)} symbols over {days} sessions from the archive, `pine replay` with 1 and 4 strategies"
    yield Sides(size, one, four, same)


def _replayed(path: str, names: tuple[str, ...]) -> Taken:
    chosen = [part for name in names for part in ("--strategy", name)]
    done, spent = timed(lambda: command(["-c", path, "replay", "--json", *chosen]))
    runs = orjson.loads(done.out)["runs"]
    steps = sum(run["steps"] for run in runs)
    label = "steps of one" if len(names) == 1 else "steps of four"
    return Taken(*spent.rate(steps), notes={label: steps})


ROW: Final = Row(
    name="cores",
    path="replay on 2 cores, 4 strategies",
    against="one strategy on one core",
    aim=Aim(at_least=1.7),
    unit="steps a second",
    ready=ready,
    repeat=5,
)
