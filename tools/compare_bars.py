"""Compare a demonstration's bars with a plain polars group-by of the same DBN trade files.

python tools/compare_bars.py DIR FILE...   where DIR was filled by: pine demo --dbn FILE... --keep DIR
Its server must run: pine server start -c DIR/pine.yaml

The group-by knows nothing of pine: trades of the named lead contract, binned by receive time; days start at 23:00 UTC.
"""

import json
import subprocess
import sys
from pathlib import Path

import databento
import polars as pl

# Lead contracts, written down by hand from each file's volumes: one per root, they do not roll within these files.
LEADS = {"6E": "6EH4", "ES": {2013: "ESZ3", 2023: "ESH4"}, "GC": "GCZ3"}


def group_by(files: list[str], contract: str, every: str, offset: str) -> pl.DataFrame:
    """Return open, high, low, close and volume by period start."""
    frames = []
    for name in files:
        store = databento.DBNStore.from_file(name)
        ids = [int(span["symbol"]) for span in store.metadata.mappings.get(contract, [])]
        trades = store.to_ndarray()
        columns = {name: trades[name] for name in ("ts_recv", "instrument_id", "size")}
        frame = pl.DataFrame(columns | {"price": trades["price"] / 1e9})  # numpy divides exactly, polars may not
        frames.append(frame.filter(pl.col("instrument_id").is_in(ids)))
    ticks = pl.concat(frames).with_columns(t=pl.col("ts_recv").cast(pl.Datetime("ns", "UTC")))
    start = pl.col("t").dt.offset_by(offset).dt.truncate(every).dt.offset_by("-" + offset)
    return ticks.group_by(start.alias("t"), maintain_order=True).agg(
        pl.first("price").alias("open"),
        pl.max("price").alias("high"),
        pl.min("price").alias("low"),
        pl.last("price").alias("close"),
        pl.sum("size").cast(pl.Int64).alias("volume"),
    )


def main() -> int:
    """Compare every root and timeframe; return 1 if any bar differs."""
    folder, *files = sys.argv[1:]
    config = str(Path(folder) / "pine.yaml")
    year = databento.DBNStore.from_file(files[0]).metadata.start // 31_556_952_000_000_000 + 1970
    roots = {
        symbol.removesuffix(".FUT") for name in files for symbol in databento.DBNStore.from_file(name).metadata.symbols
    }
    wrong = 0
    for root in sorted(roots):
        lead = LEADS[root] if isinstance(LEADS[root], str) else LEADS[root][year]
        for timeframe, every, offset in (("1min", "1m", "0m"), ("hourly", "1h", "0m"), ("daily", "1d", "1h")):
            command = [sys.executable, "-m", "pine", "bars", root, "--timeframe", timeframe, "--json", "-c", config]
            bars = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["bars"]
            ours = pl.DataFrame(bars).with_columns(
                t=pl.col("timestamp").str.to_datetime(time_zone="UTC").cast(pl.Datetime("ns", "UTC"))
            )
            theirs = group_by(files, lead, every, offset)
            same = ours.select(theirs.columns).equals(theirs) and set(ours["contract_symbol"]) == {lead}
            wrong += not same
            verdict = "equal" if same else "DIFFERENT"
            print(f"{root} {lead} {timeframe}: {len(ours):,} bars, group-by {len(theirs):,}: {verdict}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
