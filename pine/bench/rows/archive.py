"""Archive: a session sealed from the streams into Parquet, against polars writing the same rows.

Sealing reads the entries from the server, makes rows of them, writes each file durably, hashes and lists it. The other
side is given the same rows as Python has them, makes frames of them and writes the same files as durably.
"""

import os
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from pine.bench.house import held, publishing, server
from pine.bench.market import ROOTS, closed_market, configure
from pine.bench.measure import Spent, refuse_difference, timed
from pine.bench.row import Aim, Bench, Row, Sides, Taken
from pine.bus import keys
from pine.bus.client import Client
from pine.bus.lease import Lease
from pine.core.config import Config
from pine.core.timeframe import NS_PER_DAY as DAY
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.core.times import to_datetime
from pine.history.archive import Archive
from pine.history.sealer import Sealer
from pine.hub.aggregator import Closed

if TYPE_CHECKING:
    import polars as pl


@contextmanager
def ready(bench: Bench) -> Iterator[Sides]:
    """Put two sessions on the streams of a server; the first is in the archive before anything is measured."""
    symbols, per_day = (ROOTS[:2], 800) if bench.quick else (ROOTS, 6_000)
    traded = "\n".join(f'  "{symbol}": {{}}' for symbol in symbols)
    config = configure(bench.folder, f"data_dir: data\nbus: {{fsync: everysec}}\ninstruments:\n{traded}\n")
    first, second = _sessions(closed_market(symbols, 2, per_day))
    before, numbers = bench.folder / "before", count()
    with server(config) as client, held(client, keys.ARCHIVE) as lease:
        with publishing(config, client) as publisher:
            publisher.publish(first)
            _look(config, client, lease, before)
            publisher.publish(second)
        seal = partial(_sealed, config, client, lease, bench.folder, numbers)
        sealed = seal().did
        newest = bench.folder / f"archive-{next(numbers) - 1}"
        files = {name: _rows(newest / name) for name, _ in sealed}
        _refuse_losses(files, second)
        write = partial(_written, files, bench.folder, numbers)
        rows = sum(len(rows) for rows, _ in files.values())
        size = f"the second session of {len(symbols)} roots: {rows:,} rows in {len(files)} files"
        yield Sides(f"{size}, server with fsync everysec", write, seal, partial(_same, write, seal))


def _sessions(closed: Sequence[Closed]) -> tuple[list[Closed], list[Closed]]:
    """Cut where the first day's bars close."""
    days = [item.boundary for item in closed if any(bar.timeframe is Timeframe.DAY for bar in item.bars)]
    cut = next(boundary for boundary in days if boundary - days[0] > DAY // 2) - DAY
    return [item for item in closed if item.boundary <= cut], [item for item in closed if item.boundary > cut]


def _look(config: Config, client: Client, lease: Lease, where: Path) -> Spent:
    own = evolve(config, archive=evolve(config.archive, location=str(where)))
    sealer = Sealer(own, client, lease, Archive.of(own))
    return timed(sealer.look)[1]


def _sealed(config: Config, client: Client, lease: Lease, folder: Path, numbers: "count[int]") -> Taken:
    where = folder / f"archive-{next(numbers)}"
    shutil.copytree(folder / "before", where)
    known = {path.relative_to(where) for path in where.rglob("*.parquet")}
    spent = _look(config, client, lease, where)
    return Taken(*spent.cost(1, 1e3), did=_frames(where, known))


def _written(files: "dict[str, tuple[list[tuple[Any, ...]], pl.Schema]]", folder: Path, numbers: "count[int]") -> Taken:
    import polars as pl

    where = folder / f"written-{next(numbers)}"
    for path in files:
        (where / path).parent.mkdir(parents=True, exist_ok=True)

    def work() -> None:
        for path, (rows, schema) in files.items():
            with (where / path).open("wb") as file:
                pl.DataFrame(rows, schema=schema, orient="row").write_parquet(file)
                file.flush()
                os.fsync(file.fileno())

    _, spent = timed(work)
    return Taken(*spent.cost(1, 1e3), did=_frames(where))


def _refuse_losses(files: "Mapping[str, tuple[list[tuple[Any, ...]], pl.Schema]]", closed: Sequence[Closed]) -> None:
    """Raise `BenchError` unless the files have every bar and volume that the hub closed, and nothing else of them."""
    wanted: list[tuple[Any, ...]] = []
    for item in closed:
        for bar in item.bars:
            name = f"bars/symbol={bar.symbol}/timeframe={bar.timeframe.value}"
            wanted.append((name, bar.timestamp, bar.open, bar.high, bar.low, bar.close, bar.volume))
        for symbol, volume in item.volumes.items():
            at = to_datetime(item.boundary - NS_PER_MINUTE)
            wanted.append((f"volumes/symbol={symbol}", at, sum(volume.values())))
    found: list[tuple[Any, ...]] = []
    for name, (rows, _) in files.items():
        table = name.partition("/month=")[0]
        if table.startswith("bars/"):
            found += [(table, *row[:6]) for row in rows]
        elif table.startswith("volumes/"):
            found += [(table, *row[1:3]) for row in rows]
    refuse_difference(sorted(wanted), sorted(found))


def _rows(path: Path) -> "tuple[list[tuple[Any, ...]], pl.Schema]":
    import polars as pl

    frame = pl.read_parquet(path)
    return frame.rows(), frame.schema


def _frames(folder: Path, known: Container[Path] = ()) -> list[tuple[str, int]]:
    """Return the new files of a folder with a hash of what is in each."""
    import polars as pl

    return [
        (path.relative_to(folder).as_posix(), int(pl.read_parquet(path).hash_rows().sum()))
        for path in sorted(folder.rglob("*.parquet"))
        if path.relative_to(folder) not in known
    ]


def _same(write: partial[Taken], seal: partial[Taken]) -> str:
    theirs, ours = write(), seal()
    refuse_difference(theirs.did, ours.did)
    return f"{len(ours.did)} files with equal rows"


ROW: Final = Row(
    name="archive",
    path="archive of a session",
    against="polars writing the same rows to Parquet",
    aim=Aim(at_most=1.5),
    unit="ms",
    ready=ready,
)
