"""Values after a warm-up from the archive are those of a run that saw everything."""

from datetime import date
from pathlib import Path

import pytest
from tapes import at

from pine.core.config import WarmUpConfig
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.history.answer import History
from pine.hub.imports import import_files
from pine.legacy.record import MemoryRecorder
from pine.legacy.source import of_array
from pine.legacy.system import LegacySystem
from pine.legacy.warmup import read_past
from pine.sandbox.market import write_market

from .both import TAIL, configure, reference

NOW = at("2024-03-13T10:00")
BEGIN = at("2024-03-12T23:00")


@pytest.fixture
def past_and_market(tmp_path: Path) -> tuple:
    path = tmp_path / "market.dbn.zst"
    market = write_market(path, ["ES", "GC", "6E"], 3, 7, date(2024, 3, 11), trades_per_day=150)
    config = configure(tmp_path)
    import_files(config, [path], begin=at("2024-03-09T23:00"), end=at("2024-03-14T00:00"))
    rules = {symbol: config.session_rule(symbol) for symbol in config.traded["inside"]}
    return config, market, read_past(History.of(config, None), rules, NOW, WarmUpConfig(daily=2, hourly=2))


def test_values_and_bars_after_a_warm_up_are_those_of_an_unbroken_run(past_and_market: tuple) -> None:
    config, market, past = past_and_market
    assert past.holes == ()
    assert set(past.begins.values()) == {BEGIN}
    unbroken = reference(config, "inside", market)
    later = market.trades[market.trades["ts_recv"] >= BEGIN - 10 * 60 * 10**9]
    live_after = NOW // NS_PER_HOUR * NS_PER_HOUR
    system = LegacySystem(config, "inside", past=past, live_after=live_after)
    system.run(of_array(later, market.symbols), TAIL)
    warmed = system.recorder
    assert isinstance(warmed, MemoryRecorder)

    def rest(record: MemoryRecorder) -> list:
        return [(step, bar) for step, bar in record.bars if bar.start >= BEGIN]

    assert rest(warmed) == rest(unbroken)
    longer = [bar for _, bar in unbroken.bars if bar.timeframe is not Timeframe.MINUTE and bar.start < BEGIN]
    assert sorted(map(repr, longer)) == sorted(repr(bar) for bars in past.bars.values() for bar in bars)
    values = {d.step: d.features for d in unbroken.decisions}
    assert all(d.features == values[d.step] for d in warmed.decisions)
    assert len(warmed.decisions) == len(unbroken.decisions)
    assert min(intent.step for intent in warmed.intents) > live_after
    assert {ask["refused"] for d in warmed.decisions if not d.live for ask in d.asked} == {"warm-up"}


def test_what_the_archive_lacks_is_said(past_and_market: tuple) -> None:
    config, _, _ = past_and_market
    rules = {"ES": config.session_rule("ES")}
    past = read_past(History.of(config, None), rules, NOW, WarmUpConfig(daily=3, hourly=2))
    assert past.holes == ("ES daily: 2 bars of 3 sessions, the rest is missing",)


def test_without_a_warm_up_it_begins_with_the_session_under_way(past_and_market: tuple) -> None:
    config, _, _ = past_and_market
    past = read_past(History.of(config, None), {"ES": config.session_rule("ES")}, NOW, None)
    assert (past.begins, past.bars, past.holes) == ({"ES": BEGIN}, {"ES": []}, ())
