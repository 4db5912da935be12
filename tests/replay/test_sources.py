"""Bars from the archive and trades from files lead to the same thoughts; holes are treated as gaps; rolls are found."""

import threading
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve
from files import configured, made_market, write
from trained import put_model

from pine.cli.reference import legacy_record
from pine.core.errors import DataError, PineError, WarmUpMissing
from pine.core.period import SessionRule, session_begin
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from pine.hub.imports import import_files
from pine.replay.jobs import Done, Job, leads_of, run_jobs
from pine.replay.parity import compare
from pine.replay.past import Past
from pine.replay.plans import Wish
from pine.replay.record import Record, read
from pine.replay.statistics import statistics_of
from pine.replay.tape import spool
from pine.sandbox.market import write_market

TEXT = """\
data_dir: data
warm_up: off
instruments: {ES: {}, GC: {}}
strategies:
  one: {type: ibs, max_positions: 2, instruments: [ES, GC], params: {entry_setting: none, stop_percent: 0.3}}
  two: {type: breakout, instruments: [GC], params: {lookback: 5, atr_length: 3}}
"""
MARKET = made_market()
BEGIN = int(MARKET.trades["ts_recv"][0]) // NS_PER_HOUR * NS_PER_HOUR
END = (int(MARKET.trades["ts_recv"][-1]) // NS_PER_DAY + 1) * NS_PER_DAY


def at(config, *jobs: tuple[str, object], wish: Wish | None = None) -> list[Record]:
    made = [
        Job(config, name, wish or Wish(), config.data_dir / f"run-{n}-{name}", tape=t)
        for n, (name, t) in enumerate(jobs)
    ]
    done: list[Done] = run_jobs(made)
    assert all(item.folder is not None for item in done)
    assert [item.alerts for item in done] == [()] * len(done)
    return [read(item.folder) for item in done]


@pytest.fixture
def config(tmp_path):
    return configured(tmp_path / "desk", TEXT)


@pytest.fixture
def whole(tmp_path):
    return write(tmp_path / "whole.dbn.zst", MARKET.trades, MARKET.symbols, BEGIN, END)


def spooled(config, paths, folder: Path):
    folder.mkdir()
    return spool(config, paths, ["ES", "GC"], leads_of(config), folder)


def test_imported_bars_and_the_trades_they_were_made_of_are_the_same_run(config, whole, tmp_path) -> None:
    import_files(config, [whole])
    tape = spooled(config, [whole], tmp_path / "spool")
    history, trades = at(config, ("one", None), wish=Wish(end=tape.end)), at(config, ("one", tape))
    verdict = compare(history[0], trades[0], begin=tape.begin, end=min(tape.end, history[0].facts.end))
    assert verdict.same
    rolls = history[0].table("events").filter(history[0].table("events")["kind"] == "roll")
    assert rolls["symbol"].to_list() == ["ES"]
    assert history[0].table("intents").height > 20
    assert "roll" in history[0].table("intents")["reason"].to_list() or rolls.height


def test_a_lead_of_long_ago_says_nothing_of_a_file(config, whole, tmp_path) -> None:
    """Nobody has watched the market since, so it begins as if nothing were known."""
    old = {"ES": {session_begin(BEGIN - 300 * NS_PER_DAY, SessionRule()): "ESM3"}}
    (tmp_path / "plain").mkdir()
    (tmp_path / "old").mkdir()
    plain = spool(config, [whole], ["ES", "GC"], {}, tmp_path / "plain")
    known = spool(config, [whole], ["ES", "GC"], old, tmp_path / "old")
    (one,), (other,) = at(config, ("one", plain)), at(evolve(config, data_dir=tmp_path / "b"), ("one", known))
    assert one.table("bars").height > 1000
    assert one.table("bars").equals(other.table("bars"))


def test_a_replay_begins_where_its_warm_up_is_known(tmp_path, whole) -> None:
    config = configured(tmp_path / "desk", TEXT.replace("warm_up: off", "warm_up: {daily: 2, hourly: 1, buy: false}"))
    import_files(config, [whole])
    (found,) = at(config, ("two", None))
    first, last = Past.of(config, None, ["GC"]).edges()
    assert first + NS_PER_DAY <= found.facts.begin < last
    assert found.table("flights").height > 0


def test_what_was_not_entered_and_what_the_figures_hide_is_told(tmp_path, whole) -> None:
    text = TEXT.replace("{type: ibs,", "{type: ibs, model: optional, filters: [{feature: ibs, above: 0.1}],")
    config = configured(tmp_path / "desk", text)
    put_model(tmp_path / "desk" / "models", "one", "GC", ("ibs",), 0.5, trained_to="2030-01-01")
    (tmp_path / "desk" / "models" / "one" / "ES.json").write_text("{}")
    import_files(config, [whole])
    (done,) = run_jobs([Job(config, "one", Wish(), config.data_dir / "run")])
    refused = statistics_of(read(done.folder), config.desk_session).refused
    assert {"filter ibs", "model: cannot be used"} <= set(refused)
    assert all(refused.values())
    assert [note.partition(":")[0] for note in done.notes] == [
        "ES is not entered",
        "the models of GC were trained on a part of this time",
        "this market is generated",
    ]


def test_files_cut_anywhere_are_the_same_run_as_one(config, whole, tmp_path) -> None:
    cuts = [BEGIN, BEGIN + 37 * NS_PER_HOUR + 17 * NS_PER_MINUTE, BEGIN + 77 * NS_PER_HOUR, END]
    parts = [
        write(tmp_path / f"{n}.dbn.zst", MARKET.trades, MARKET.symbols, *pair) for n, pair in enumerate(pairwise(cuts))
    ]
    runs = [
        at(config, ("one", spooled(config, paths, tmp_path / name)))[0]
        for name, paths in (("a", [whole]), ("b", parts))
    ]
    assert compare(*runs).same


def test_roots_that_roll_at_one_close_are_told_in_the_hubs_order(tmp_path) -> None:
    """Exits at a roll are numbered in it, whatever order the strategy has."""
    config = configured(tmp_path / "desk", TEXT.replace("{ES: {}, GC: {}}", "{ES: {}, GC: {}, NQ: {}}"))
    path = tmp_path / "m.dbn.zst"
    write_market(path, ["NQ", "ES"], 3, 7, date(2024, 3, 11), trades_per_day=300)
    import_files(config, [path])
    past = Past.of(config, None, ["NQ", "ES"])
    rolls = [(step.ts, event.symbol) for step in past.steps(*past.edges()) for event in step.events]
    assert [symbol for _, symbol in rolls] == ["ES", "NQ"]
    assert len({ts for ts, _ in rolls}) == 1


def test_strategies_side_by_side_think_as_each_does_alone(config, whole, tmp_path) -> None:
    import_files(config, [whole])
    together = at(config, ("one", None), ("two", None))
    alone = at(config, ("one", None))
    assert compare(alone[0], together[0]).same
    assert together[1].table("intents").height > 0


def test_a_hole_between_files_makes_no_hour_or_day_over_it(config, tmp_path) -> None:
    hole = (BEGIN + 40 * NS_PER_HOUR + 10 * NS_PER_MINUTE, BEGIN + 40 * NS_PER_HOUR + 25 * NS_PER_MINUTE)
    parts = [
        write(tmp_path / "a.dbn.zst", MARKET.trades, MARKET.symbols, BEGIN, hole[0]),
        write(tmp_path / "b.dbn.zst", MARKET.trades, MARKET.symbols, hole[1], END),
    ]
    import_files(config, parts)
    tape = spooled(config, parts, tmp_path / "spool")
    assert tape.holes == {"ES": [hole], "GC": [hole]}
    history, trades = at(config, ("one", None), wish=Wish(end=tape.end)), at(config, ("one", tape))
    assert compare(history[0], trades[0], begin=tape.begin, end=min(tape.end, history[0].facts.end)).same
    broken = hole[0] - hole[0] % NS_PER_HOUR
    hours = history[0].table("bars").filter(history[0].table("bars")["timeframe"] == "hourly")
    assert broken not in hours["start"].to_list()
    assert broken + NS_PER_HOUR in hours["start"].to_list()
    gaps = history[0].table("events").filter(history[0].table("events")["kind"] == "gap")
    assert gaps["symbol"].sort().to_list() == ["ES", "GC"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # DBNStore never closes its files
@pytest.mark.parametrize(
    ("until", "since"),
    [
        pytest.param("09:00", "10:00", marks=pytest.mark.long),  # whole hours
        pytest.param("09:10", "09:25", marks=pytest.mark.long),
        pytest.param("09:59", "10:00", marks=pytest.mark.long),  # an hour's last minute
        ("09:10", "33:25"),  # over a close
    ],
)
def test_the_reference_leaves_out_what_files_lack_as_a_replay_does(config, tmp_path, until: str, since: str) -> None:
    day = BEGIN - BEGIN % NS_PER_DAY + NS_PER_DAY
    left, right = (day + int(text[:2]) * NS_PER_HOUR + int(text[3:]) * NS_PER_MINUTE for text in (until, since))
    parts = [
        write(tmp_path / "a.dbn.zst", MARKET.trades, MARKET.symbols, BEGIN + 90 * NS_PER_MINUTE + NS_PER_SECOND, left),
        write(tmp_path / "b.dbn.zst", MARKET.trades, MARKET.symbols, right + NS_PER_SECOND, END),
    ]
    tape = spooled(config, parts, tmp_path / "spool")
    assert len(tape.holes["ES"]) == 2
    for record in at(config, ("one", tape), ("two", tape)):
        reference = legacy_record(config, record, parts)
        assert reference.table("intents").height > 0
        assert compare(reference, record).same


def test_warm_up_from_the_archive_comes_before_the_first_step(config, whole, tmp_path) -> None:
    import_files(config, [whole])
    warm = configured(tmp_path / "warm", TEXT.replace("warm_up: off", "warm_up: {daily: 2, hourly: 2, buy: false}"))
    (tmp_path / "desk" / "data").rename(tmp_path / "warm" / "data")
    begin = BEGIN + 4 * NS_PER_DAY + 5 * NS_PER_HOUR
    run = at(warm, ("one", None), wish=Wish(begin=begin))[0]
    assert run.facts.fed_from < begin - NS_PER_DAY
    assert run.table("values")["step"].min() > begin
    assert run.facts.settings["warm-up"]["bars"] > 100
    with pytest.raises(WarmUpMissing, match="history is missing"):
        at(warm, ("one", None), wish=Wish(begin=BEGIN + NS_PER_HOUR))


def test_what_is_not_there_is_named(config, whole, tmp_path) -> None:
    with pytest.raises(PineError, match="ES: found no minute bars"):
        at(config, ("one", None))
    import_files(config, [whole])
    with pytest.raises(PineError, match="expected some from"):
        at(config, ("one", None), wish=Wish(begin=END + NS_PER_DAY))
    with pytest.raises(DataError, match="expected NQ too"):
        spool(config, [whole], ["NQ"], {}, tmp_path)


def test_a_replay_that_is_stopped_keeps_no_record(config, whole, monkeypatch) -> None:
    import_files(config, [whole])
    from pine.replay import jobs

    stop = threading.Event()
    stop.set()
    done = jobs.run_job(Job(config, "one", Wish(), config.data_dir / "run"), stop.is_set, lambda _: None)
    assert done.folder is None
    assert not (config.data_dir / "run").exists()


def test_a_file_that_begins_with_its_first_trade_and_ends_with_its_last_holds_whole_sessions(
    config, whole, tmp_path
) -> None:
    second = NS_PER_MINUTE // 60
    close = END - 3 * NS_PER_HOUR  # a Friday
    exact = write(tmp_path / "exact.dbn.zst", MARKET.trades, MARKET.symbols, BEGIN + second, close - second)
    runs = [at(config, ("one", spooled(config, [path], tmp_path / path.name[:5])))[0] for path in (whole, exact)]
    bars = [run.table("bars") for run in runs]
    assert bars[1].height > 2_000
    assert bars[0].equals(bars[1])
