"""The example of the documentation does what the documentation says."""

import shutil
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from pine.core.config import Config, load_config
from pine.core.times import parse_time
from pine.hub.imports import import_files
from pine.replay.bus import run_on_bus
from pine.replay.jobs import Done, Job, run_jobs
from pine.replay.parity import compare
from pine.replay.plans import Wish
from pine.replay.record import Record, read
from pine.sandbox.market import write_market
from pine.strategies.catalog import PARAMS

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
BEGIN = parse_time("2024-01-10T23:00")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """The files of the example in a folder with a week of a market."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("my_strategies.py", "pine.yaml"):
        shutil.copy(EXAMPLES / name, folder)
    before = sys.path[:]
    config = load_config(folder / "pine.yaml", PARAMS, {})
    write_market(folder / "week.dbn.zst", list(config.instruments), 5, 7, date(2024, 1, 8), trades_per_day=1500)
    import_files(config, [folder / "week.dbn.zst"])
    yield config
    sys.path[:] = before
    sys.modules.pop("my_strategies", None)


def work(desk: Config) -> list[Job]:
    return [Job(desk, name, Wish(begin=BEGIN), desk.data_dir / "runs" / name) for name in desk.strategies]


def records(done: list[Done]) -> list[Record]:
    assert [item.alerts for item in done] == [()] * len(done)
    return [read(item.folder) for item in done if item.folder is not None]


def alone(desk: Config) -> list[Record]:
    """Return what each strategy does in this process."""
    return [record for job in work(desk) for record in records(run_jobs([job]))]


def test_each_strategy_of_the_example_trades(desk: Config) -> None:
    for record in alone(desk):
        intents = record.table("intents")
        assert intents.filter(intents["action"] == "buy").height >= 2
        assert intents.filter(intents["action"] == "exit").height >= 1


@pytest.mark.long
def test_processes_side_by_side_and_real_workers_decide_the_same(desk: Config) -> None:
    for record, beside, bus in zip(
        alone(desk), records(run_jobs(work(desk))), records(run_on_bus(work(desk))), strict=True
    ):
        assert record.table("flights").height == bus.table("flights").height > 20
        assert compare(record, beside).same
        assert compare(record, bus).same
        assert record.facts.settings["code"] == bus.facts.settings["code"]
