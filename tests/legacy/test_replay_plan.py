"""Where a connection begins on real markets, and what is lost when it was away for too long."""

import threading
from pathlib import Path

from attrs import evolve
from tapes import ESH4, MINUTE, at, trades

from pine.core.config import Config
from pine.core.timeframe import NS_PER_HOUR
from pine.legacy.clock import TapeTime
from pine.legacy.market import Beat
from pine.legacy.record import MemoryRecorder
from pine.legacy.source import of_array
from pine.legacy.subscriber import Subscriber
from pine.legacy.system import LegacySystem

from .both import configure

NOW = at("2024-03-06T15:30")


def made(folder: Path, now: int) -> tuple[Subscriber, LegacySystem]:
    config: Config = configure(folder)
    config = evolve(config, hub=evolve(config.hub, clock="wall"))
    system = LegacySystem(config, "channel")
    system.aggregator.clock = TapeTime(now)
    subscriber = Subscriber(config, "channel", threading.Event())
    subscriber._aggregator = system.aggregator
    return subscriber, system


def test_it_begins_with_the_session_under_way(tmp_path: Path) -> None:
    subscriber, _ = made(tmp_path, NOW)
    begin = at("2024-03-05T23:00")
    assert subscriber._replay_from() == (begin - MINUTE, begin)


def test_after_a_loss_it_goes_on_with_the_first_minute_that_is_not_complete(tmp_path: Path) -> None:
    subscriber, system = made(tmp_path, NOW)
    system.aggregator.closed_until = NOW - 5 * MINUTE
    assert subscriber._replay_from() == (NOW - 6 * MINUTE, NOW - 5 * MINUTE)
    assert system.aggregator.counts["gap"] == 0


def test_longer_away_than_the_gateway_replays_leaves_no_bar_over_the_hole(tmp_path: Path) -> None:
    subscriber, system = made(tmp_path, NOW)
    recorder = system.recorder
    assert isinstance(recorder, MemoryRecorder)
    rows = [(at("2024-03-05T14:00") + n * MINUTE, ESH4, 5000.0, 1) for n in range(10)]
    later = [(at("2024-03-06T15:10") + n * MINUTE, ESH4, 5001.0, 1) for n in range(120)]

    def produce(aggregator: object) -> None:
        system.aggregator.connect(replaying=False)
        for record in of_array(trades(rows), {ESH4: "ESH4"}):
            system.aggregator.take(record)
        system.aggregator.clock = TapeTime(NOW)
        start, floor = subscriber._replay_from()
        assert floor == NOW - 24 * NS_PER_HOUR + 2 * MINUTE
        assert start == floor - MINUTE
        system.aggregator.connect(floor, replaying=False)
        for record in of_array(trades(later), {ESH4: "ESH4"}):
            system.aggregator.take(record)
        system.aggregator.take(Beat(later[-1][0] + 10 * NS_PER_HOUR))

    system.run_with(produce)
    longer = [(bar.timeframe.value, bar.start) for _, bar in recorder.bars if bar.timeframe.value != "1min"]
    assert longer == [
        ("hourly", at("2024-03-06T15:00")),
        ("hourly", at("2024-03-06T16:00")),
        ("hourly", at("2024-03-06T17:00")),
        ("daily", at("2024-03-05T23:00")),
    ]
    assert {kind for _, kind, _, _ in recorder.events} == {"reset"}
    assert {symbol for _, _, symbol, _ in recorder.events} == {"ES", "GC", "6E"}
