"""Bulk: a DBN file of trades to minute, hourly and daily bars, against decoding the same file into an array."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pine.bench.market import SEED, START, configure
from pine.bench.measure import timed
from pine.bench.row import Aim, Bench, BenchError, Row, Sides, Taken
from pine.core.timeframe import Timeframe
from pine.hub.bulk import Builder, survey
from pine.sandbox.market import write_market

SYMBOLS: Final = ("ES", "NQ", "CL", "GC")
CONFIG: Final = "data_dir: data\nhub: {clock: tape}\ninstruments: {ES: {}, NQ: {}, CL: {}, GC: {}}\n"


@contextmanager
def ready(bench: Bench) -> Iterator[Sides]:
    """Write a file of some sessions of four roots."""
    path = bench.folder / "trades.dbn.zst"
    days, per_day = (2, 3_000) if bench.quick else (3, 250_000)
    market = write_market(path, SYMBOLS, days, SEED, START, trades_per_day=per_day)
    config = configure(bench.folder, CONFIG)
    count = len(market.trades)

    def to_array() -> Taken:
        import databento as db

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the vendor leaves the file to the collector
            array, spent = timed(lambda: db.DBNStore.from_file(path).to_ndarray())
        return Taken(*spent.rate(count, 1e6), did=len(array))

    def to_bars() -> Taken:
        def work() -> tuple[int, int]:
            builder, minutes = Builder(config), 0
            for run in survey([path]).runs:
                for closed in builder.build(run, run.end, {}, {}):
                    minutes += sum(bar.timeframe is Timeframe.MINUTE for item in closed for bar in item.bars)
            return builder.counts["trades"], minutes

        (seen, minutes), spent = timed(work)
        if not minutes:
            raise BenchError("bulk: found no minute bars, expected some")
        return Taken(*spent.rate(count, 1e6), did=seen, notes={"minute bars": minutes})

    def same() -> str:
        theirs, ours = to_array(), to_bars()
        if theirs.did != ours.did:
            raise BenchError(f"bulk: the array has {theirs.did} trades, pine saw {ours.did}")
        return f"{ours.did:,} trades; pine makes {ours.notes['minute bars']:,.0f} minute bars of them"

    size = f"{count:,} trades of {len(SYMBOLS)} roots in {days} sessions, {path.stat().st_size / 1e6:.1f} MB of zstd"
    yield Sides(size, to_array, to_bars, same)


ROW: Final = Row(
    name="bulk",
    path="DBN file to minute bars",
    against="databento's DBNStore.to_ndarray of the same file",
    aim=Aim(at_least=0.5),
    unit="million trades a second",
    ready=ready,
)
