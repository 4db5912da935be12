"""The reference over DBN files of trades."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from pine.core.config import Config
from pine.core.timeframe import NS_PER_HOUR
from pine.legacy.record import JsonRecorder, MemoryRecorder, Recorder, Recorders

if TYPE_CHECKING:
    from pine.legacy.market import Record

TAIL: Final = 26 * NS_PER_HOUR
"""Event time after the last trade of a file, in which its session closes in any zone."""


@frozen
class Summary:
    """What a run over files led to."""

    trades: int
    left_out: dict[str, int]
    bars: dict[str, int]
    intents: int
    fills: int
    pnl: float
    cash: float
    positions: dict[str, int]


def run_files(
    config: Config,
    strategy: str,
    paths: Sequence[Path],
    record: Path | None = None,
    on_records: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Run over DBN trade files, without key, connection or webhook; times come from the files.

    Parameters
    ----------
    config, strategy
        What to run.
    paths
        Files of schema ``trades``, read as one tape.
    record
        New file for the record, if any.
    on_records
        Told how many records were read since it was told last.

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    from pine.legacy.source import of_files
    from pine.legacy.system import LegacySystem

    config = evolve(config, hub=evolve(config.hub, clock="tape"))
    memory = MemoryRecorder()
    with ExitStack() as stack:
        parts: list[Recorder] = [memory]
        if record is not None:
            facts = {"strategy": strategy, "live": False, "live_after": 0, "files": [str(path) for path in paths]}
            parts.append(stack.enter_context(JsonRecorder(record, facts)))
        system = LegacySystem(config, strategy, Recorders(tuple(parts)))
        system.run(_counted(of_files(paths), on_records), after=TAIL)
    counts = system.aggregator.counts
    bars: dict[str, int] = {}
    for _, bar in memory.bars:
        bars[bar.timeframe.value] = bars.get(bar.timeframe.value, 0) + 1
    account = system.account
    return Summary(
        trades=counts["trades"],
        left_out={kind: count for kind, count in sorted(counts.items()) if kind != "trades"},
        bars=bars,
        intents=len(memory.intents),
        fills=len(memory.fills),
        pnl=round(account.realised, 2),
        cash=round(account.cash, 2),
        positions={p.contract: p.quantity for p in account.positions.values()},
    )


def _counted(records: "Iterator[Record]", on_records: Callable[[int], None]) -> "Iterator[Record]":
    for number, record in enumerate(records, start=1):
        yield record
        if number % 1000 == 0:
            on_records(1000)
