"""What a worker tells of itself: how far behind it is, what it has, and whether it is well."""

from pathlib import Path

import orjson
from manager import service_manager
from market import begin, closed_bars, configure, publish

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.heartbeat import path_of, read, read_file
from pine.core.timeframe import NS_PER_SECOND

TEXT = """
data_dir: data
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, instruments: [ES, GC], params: {entry_setting: none}}
"""
WELL = "WATCHDOG=1"


def test_a_worker_tells_how_far_behind_it_is_and_what_it_has(client: Client, tmp_path: Path) -> None:
    config, closed = configure(tmp_path, TEXT), closed_bars()[:900]
    run = begin(client, config, "one")
    publish(client, config, closed)
    run.until_step(800)
    run.source.vitals.beat("running")
    said = read_file(path_of(config, "worker:one"))
    assert (said["lag"], said["steps"], said["hub"]) == (100, 800, "away")
    assert said["lag_s"] == (closed[899].boundary - closed[799].boundary) // NS_PER_SECOND
    portfolio = run.source.desk.portfolio
    assert said["positions"] == {p.symbol: p.quantity for p in portfolio.positions.values()}
    assert (said["cash"], said["realised"]) == (round(portfolio.cash, 2), round(portfolio.realised, 2))
    key = read(client, "worker:one")
    assert (key["lag"], key["lag_s"], key["last_step"]) == (100, said["lag_s"], str(closed[799].boundary // 1_000_000))
    assert orjson.loads(key["positions"]) == said["positions"]


def test_a_worker_is_well_when_it_has_done_what_there_was_or_does_some_of_it(client: Client, tmp_path: Path) -> None:
    config, closed = configure(tmp_path, TEXT), closed_bars()[:300]
    publish(client, config, closed[:1])
    run = begin(client, config, "one")
    with service_manager(tmp_path) as told:
        run.source.vitals.beat("running")  # nothing to do, and no hub: no fault of its own
        assert WELL in told()
        publish(client, config, closed[1:])
        run.source.vitals.beat("running")
        assert WELL not in told()  # behind, and nothing done
        run.until_step(100)
        told()
        run.source.vitals.beat("running")
        run.source.vitals.beat("running")
        assert told().count(WELL) <= 1  # it did something, and then no more
        assert int(client.hget(keys.heartbeat("worker:one"), "lag") or 0) == 199
