"""Real worker processes over a private server think what the engine thinks in process, whatever is killed."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from files import configured, made_market, write
from holes import HOLES, broken, fill
from market import begin, closed_bars, configure, publish, written
from sessions import config_of, start, until

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config
from pine.core.errors import CannotCompare, PineError
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import parse_time
from pine.history.archive import Archive
from pine.hub.imports import import_files
from pine.replay.bus import PUBLISHED, run_on_bus
from pine.replay.flights import Life
from pine.replay.jobs import Job, Progress, leads_of, run_jobs
from pine.replay.parity import compare
from pine.replay.plans import Wish
from pine.replay.record import Record, read
from pine.replay.run import Costs
from pine.replay.tape import Spool, spool

TWO = "two: {type: breakout, enabled: false, instruments: [GC], params: {lookback: 5, atr_length: 3}}"
TEXT = f"""\
data_dir: data
warm_up: off
instruments: {{ES: {{params: {{stop_percent: 0.3}}}}, GC: {{}}}}
strategies:
  one:
    type: ibs
    webhook: http://127.0.0.1:9/never
    max_positions: 2
    instruments: {{ES: {{execution: {{root: MES, size: 2}}}}, GC: {{params: {{bar_stop_bars: 3}}}}}}
    params: {{entry_setting: none}}
  {TWO}
"""
MARKET = made_market()
BEGIN = int(MARKET.trades["ts_recv"][0]) // NS_PER_HOUR * NS_PER_HOUR
END = (int(MARKET.trades["ts_recv"][-1]) // NS_PER_DAY + 1) * NS_PER_DAY


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path / "desk", TEXT)


def file(folder: Path, name: str = "a", span: tuple[int, int] = (BEGIN, END)) -> Path:
    return write(folder / f"{name}.dbn.zst", MARKET.trades, MARKET.symbols, *span)


def jobs(config: Config, *names: str, wish: Wish | None = None, tape: Spool | None = None, lived: bool = False):
    return [Job(config, name, wish or Wish(), config.data_dir / "runs" / name, lived, tape) for name in names]


def both_ways(work: list[Job]) -> list[tuple[Record, Record]]:
    """Return the records of each job through the engine, and through a worker."""
    pairs = []
    for engine, bus in zip(run_jobs(work), run_on_bus(work), strict=True):
        assert engine.folder is not None
        assert bus.folder is not None
        assert bus.alerts == engine.alerts
        assert bus.holes == engine.holes
        pairs.append((read(engine.folder), read(bus.folder)))
    return pairs


def assert_same(engine: Record, bus: Record) -> None:
    assert bus.tables.keys() == engine.tables.keys()
    for table, frame in engine.tables.items():
        assert bus.table(table).equals(frame), table
    assert compare(engine, bus).same
    assert bus.facts.settings == engine.facts.settings | {"via": "bus"}
    assert (bus.facts.begin, bus.facts.end, bus.facts.fed_from) == (
        engine.facts.begin,
        engine.facts.end,
        engine.facts.fed_from,
    )


def left_behind(config: Config) -> list[str]:
    """Return what is in the folder of runs."""
    folder = config.data_dir / "runs"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def private(config: Config) -> EmbeddedServer:
    """Return the server of a run under way."""
    (folder,) = (config.data_dir / "runs").glob(".bus-*")
    return EmbeddedServer(folder / "data")


def once_under_way(act: Callable[[], None]) -> Callable[[str, Progress], None]:
    """Return what does something once, when a worker has done its first steps and not yet all."""
    acted = threading.Event()

    def on_progress(name: str, at: Progress) -> None:
        if name != PUBLISHED and at.begin < at.at < at.end and not acted.is_set():
            acted.set()
            act()

    return on_progress


def test_two_workers_think_as_the_engine_over_bars_with_a_roll(config: Config, tmp_path: Path) -> None:
    import_files(config, [file(tmp_path)])
    for engine, bus in both_ways(jobs(config, "one", "two")):
        assert engine.table("flights").height > 20
        assert engine.table("intents").height > 4
        assert_same(engine, bus)
    assert left_behind(config) == ["one", "one-2", "two", "two-2"]


@pytest.mark.long
def test_workers_think_as_the_engine_over_trades_with_a_hole(config: Config, tmp_path: Path) -> None:
    """One of them begins, with its instrument, a day after the other."""
    hole = BEGIN + 40 * NS_PER_HOUR + 10 * NS_PER_MINUTE, BEGIN + 40 * NS_PER_HOUR + 25 * NS_PER_MINUTE
    paths = [file(tmp_path, "a", (BEGIN, hole[0])), file(tmp_path, "b", (hole[1], END))]
    (tmp_path / "spool").mkdir()
    tape = spool(config, paths, ["ES", "GC"], leads_of(config), tmp_path / "spool")
    ((engine, bus),) = both_ways(jobs(config, "one", tape=tape))
    assert engine.table("events")["kind"].unique().sort().to_list() == ["gap", "roll"]
    assert_same(engine, bus)


@pytest.mark.long
def test_workers_begin_and_end_where_their_own_plans_do(config: Config, tmp_path: Path) -> None:
    """One begins and ends, in the middle of hours, before the other; both read ES."""
    import_files(config, [file(tmp_path)])
    whole = Archive.of(config)
    other = configured(tmp_path / "other", TEXT.replace(TWO, "two: {type: ibs, instruments: [ES]}"))
    part = Archive.of(other)
    odd = BEGIN + 26 * NS_PER_HOUR + 17 * NS_PER_MINUTE, BEGIN + 75 * NS_PER_HOUR + 34 * NS_PER_MINUTE
    spans = {"ES": (BEGIN + NS_PER_HOUR, odd[1]), "GC": (odd[0], END - NS_PER_HOUR)}
    for symbol, (first, end) in spans.items():
        part.add_bars(symbol, Timeframe.MINUTE, whole.bars(symbol, Timeframe.MINUTE, first, end), first, end, "import")
    pairs = both_ways(jobs(other, "two", "one"))
    first, last = (engine.facts for engine, _ in pairs)
    assert (first.begin < last.begin, first.end < last.end) == (True, True)
    for engine, bus in pairs:
        assert engine.table("flights").height > 20
        assert_same(engine, bus)


@pytest.mark.long
def test_a_worker_is_fed_the_same_history_first(config: Config, tmp_path: Path) -> None:
    import_files(config, [file(tmp_path)])
    warm = configured(tmp_path / "desk", TEXT.replace("warm_up: off", "warm_up: {daily: 2, hourly: 2, buy: false}"))
    wish = Wish(begin=BEGIN + 4 * NS_PER_DAY + 5 * NS_PER_HOUR + 7 * NS_PER_MINUTE)
    ((engine, bus),) = both_ways(jobs(warm, "one", wish=wish))
    assert engine.facts.settings["warm-up"]["bars"] > 100
    assert_same(engine, bus)
    ((engine, bus),) = both_ways(jobs(warm, "one", wish=Wish(begin=wish.begin, warm=False)))
    assert engine.facts.settings["warm-up"] == "off"
    assert_same(engine, bus)


def test_a_worker_that_is_killed_is_started_again_and_thinks_the_same(config: Config, tmp_path: Path) -> None:
    import_files(config, [file(tmp_path)])
    work = jobs(config, "one")
    killed: list[int] = []

    def kill() -> None:
        client = client_for(private(config).url)
        killed.append(int(client.hgetall(keys.heartbeat("worker:one"))[b"pid"]))
        client.close()
        os.kill(killed[0], signal.SIGKILL)

    (engine,) = run_jobs(work)
    (bus,) = run_on_bus(work, once_under_way(kill))
    assert killed
    assert_same(read(engine.folder), read(bus.folder))


@pytest.mark.long
def test_a_server_that_is_killed_changes_nothing(config: Config, tmp_path: Path) -> None:
    import_files(config, [file(tmp_path)])
    work = jobs(config, "one")
    killed: list[int] = []

    def kill() -> None:
        killed.append(private(config).pid() or 0)
        os.kill(killed[0], signal.SIGKILL)

    (engine,) = run_jobs(work)
    (bus,) = run_on_bus(work, once_under_way(kill))
    assert killed
    assert_same(read(engine.folder), read(bus.folder))


def test_a_worker_that_ends_by_itself_is_told_and_leaves_nothing(config: Config, tmp_path: Path) -> None:
    import_files(config, [file(tmp_path)])

    def fence() -> None:
        client = client_for(private(config).url)
        client.incrby(keys.fence("worker:one"), 5)  # type: ignore[attr-defined]
        client.close()

    with pytest.raises(PineError, match=r"one: its worker ended with exit code 1: Stopped: worker:one: token"):
        run_on_bus(jobs(config, "one"), once_under_way(fence))
    assert left_behind(config) == []


def test_what_a_worker_lived_with_history_gap_and_refill_is_lived_again(client: Client, tmp_path: Path) -> None:
    config = config_of(tmp_path, "{daily: 4, hourly: 3, minute: 1, buy: false}")
    hole = (*map(parse_time, HOLES["in one session"]),)
    publish(client, config, until())
    run = start(client, config)
    fill(config, hole)
    publish(client, config, broken(hole))
    run.until_caught_up()
    life = Life("one", Archive.of(config), client)
    assert life.origin.warm_up is not None
    before = written(client)
    (done,) = run_on_bus(jobs(config, "one", lived=True))
    assert done.folder is not None
    assert written(client) == before
    again, live = read(done.folder), life.record(config)
    assert {"gap", "refill"} <= set(again.table("events")["kind"])
    assert live.table("flights").height > 20
    assert compare(live, again).same
    for table, frame in live.tables.items():
        assert again.table(table).equals(frame), table


def test_what_a_worker_cannot_be_given_is_refused(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    client.xadd(keys.control("one"), {"request": b'{"order": "halt", "who": "desk", "reason": "news"}'})
    run.until_caught_up()
    assert len(Life("one", Archive.of(config), client).requests()) == 1
    with pytest.raises(CannotCompare, match=r"asked 1 time\(s\).*use --via engine"):
        run_on_bus(jobs(config, "one", lived=True))
    with pytest.raises(PineError, match="no costs but the configured ones; use --via engine"):
        run_on_bus(jobs(config, "one", wish=Wish(costs=Costs(slippage_ticks=1))))
    assert left_behind(config) == []
