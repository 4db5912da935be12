"""Thirty sessions of five roots, over rolls and a change to daylight saving, in every way: ``make parity``."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pine.core.timeframe import NS_PER_DAY
from pine.core.times import parse_time, to_datetime
from pine.replay import record as records

CONFIG = """\
data_dir: data
warm_up: off
instruments: {ES: {}, NQ: {}, GC: {}, 6E: {}, CL: {}}
strategies:
  tight:
    type: ibs
    max_positions: 3
    instruments: [ES, NQ, GC, 6E, CL]
    params: {entry_setting: none, stop_percent: 0.3, target_percent: 0.4}
  usual: {type: ibs, max_positions: 2, daily_stop_loss: 2000, instruments: [CL, 6E, GC, NQ, ES]}
  channel: {type: breakout, instruments: [ES, NQ, GC, 6E, CL], params: {lookback: 5}}
"""
SYMBOLS, DAYS, FIRST = ("ES", "NQ", "GC", "6E", "CL"), 30, "2024-02-26"
CHANGE = "2024-03-10"
"""Chicago's clocks go forward."""
STRATEGIES = ("tight", "usual", "channel")


def pine(folder: Path, *arguments: str) -> str:
    ran = subprocess.run([sys.executable, "-m", "pine", *arguments], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, f"pine {' '.join(arguments)}: code {ran.returncode}\n{ran.stdout[-5000:]}\n{ran.stderr}"
    return ran.stdout


def replayed(folder: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    runs = json.loads(pine(folder, "replay", "--json", *arguments))["runs"]
    return {run["strategy"]: run for run in runs}


def test_reference_tape_and_archive_agree_on_every_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pine.yaml").write_text(CONFIG)
    market = (
        f"--out m.dbn.zst --seed 3 --trades-per-day 4000 --start {FIRST} --days {DAYS} --symbols {','.join(SYMBOLS)}"
    )
    pine(tmp_path, "sandbox", "market", *market.split())
    reference = replayed(tmp_path, "--source", "m.dbn.zst", "--against", "legacy")
    assert set(reference) == set(STRATEGIES)
    for name, run in reference.items():
        assert run["parity"]["verdict"] == "same", run["parity"]["cause"]
        assert run["entries"] > 60
        holds_what_it_claims(records.read(Path(run["record"])))
        told(capsys, f"reference, {name}", run)
    pine(tmp_path, "import", "m.dbn.zst")
    for name, run in reference.items():
        (archived,) = replayed(tmp_path, "--strategy", name, "--against", run["record"]).values()
        assert archived["parity"]["verdict"] == "same", archived["parity"]["cause"]
        told(capsys, f"tape and archive, {name}", archived)


def holds_what_it_claims(record: records.Record) -> None:
    """Assert that a run saw every session of every root, rolls, and bars on both sides of the clocks' change.

    The last session is not over with the tape: in summer an hour of the next trading day belongs to it.
    """
    bars, events = record.table("bars"), record.table("events")
    days = bars.filter(pl.col("timeframe") == "daily")
    assert dict(days.group_by("symbol").len().iter_rows()) == dict.fromkeys(SYMBOLS, DAYS - 1)
    assert {"ES", "NQ", "6E", "CL"} <= set(events.filter(pl.col("kind") == "roll")["symbol"])
    opened = {f"{to_datetime(start):%H:%M}" for start in opening_minutes(bars)}
    assert opened == {"23:00", "22:00"}


def opening_minutes(bars: pl.DataFrame) -> list[int]:
    """Return the first minute of the week before the clocks change and of the one after."""
    minutes = bars.filter((pl.col("timeframe") == "1min") & (pl.col("symbol") == "ES"))["start"].sort()
    change = parse_time(CHANGE)
    return [int(minutes.filter(minutes >= at)[0]) for at in (change - 7 * NS_PER_DAY, change)]


def told(capsys: pytest.CaptureFixture[str], what: str, run: dict[str, Any]) -> None:
    tables = ", ".join(f"{table['table']} {table['left']:,}" for table in run["parity"]["tables"])
    with capsys.disabled():
        print(f"\n{what}: same; {tables}", end="")  # noqa: T201  # what the campaign is for
