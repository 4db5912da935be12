"""Replay: a month of minutes through a strategy, against the same rule in Backtrader with every minute in memory.

The hourly rule is measured against Backtrader making the hours itself, as its manual shows; a note says what it takes
when somebody has made them beforehand, which lets it run its fast way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from pine.bench.market import bars_of, closed_market, configure
from pine.bench.measure import agree, timed
from pine.bench.row import Aim, Bench, Row, Sides, Taken
from pine.core.bar import Bar
from pine.core.config import Config
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.replay.run import Plan, Replayed, replay
from pine.replay.steps import assemble

CONFIG: Final = """\
data_dir: data
warm_up: off
instruments: {ES: {}}
strategies:
  hourly: {type: ibs, daily_stop_loss: 1000000, instruments: [ES]}
  minutely: {type: "pine.bench.rules:MinuteIbs", daily_stop_loss: 1000000, instruments: [ES]}
"""
MICRO: Final = 1e6

Decisions = list[tuple[int, str, str, str]]


def month(bench: Bench) -> list[Bar]:
    """Return the bars of a month of ES, or of two days of it."""
    days, per_day = (1, 3_000) if bench.quick else (23, 40_000)
    return bars_of(closed_market(("ES",), days, per_day))


def pines(config: Config, strategy: str, bars: list[Bar]) -> Replayed:
    """Replay a strategy over bars in memory."""
    plan = Plan(strategy, bars[0].start - NS_PER_MINUTE, bars[-1].start + 2 * 24 * 60 * NS_PER_MINUTE, "memory")
    return replay(config, plan, assemble(config.rules_of(strategy), bars, ()))


def decided(done: Replayed) -> Decisions:
    """Return what a replay decided: when, symbol, ask and reason."""
    table = done.record.tables["decisions"]
    return list(zip(*(table[name].to_list() for name in ("step", "symbol", "ask", "reason")), strict=True))


def _taken(count: int, decisions: Decisions, cost: tuple[float, float], **notes: float) -> Taken:
    return Taken(count / cost[0], count / cost[1], did=decisions, notes=notes)


@contextmanager
def ready_hourly(bench: Bench) -> Iterator[Sides]:
    """Put a month of bars into memory, for either side as it likes them best."""
    from pine.bench.plain import HourlyIbs, memory, rows_of, run

    config, bars = configure(bench.folder, CONFIG), month(bench)
    rule, params = config.session_rule("ES"), config.traded["hourly"]["ES"].params
    minutes, hours = (
        rows_of([bar for bar in bars if bar.timeframe is timeframe], rule)
        for timeframe in (Timeframe.MINUTE, Timeframe.HOUR)
    )

    def backtrader(*, resample: bool) -> tuple[Decisions, float, float]:
        feeds = [memory(minutes, Timeframe.MINUTE), *(() if resample else (memory(hours, Timeframe.HOUR),))]
        (done,), spent = timed(lambda: run(feeds, [(HourlyIbs, {"rule": params})], resample=resample))
        return done.decisions, spent.wall, spent.cpu

    def theirs() -> Taken:
        decisions, wall, cpu = backtrader(resample=True)
        prepared, _, prepared_cpu = backtrader(resample=False)
        assert prepared == decisions
        name = "Backtrader, hours made beforehand: µs a minute"
        notes = {"Backtrader: µs a minute": cpu / len(minutes) * MICRO, name: prepared_cpu / len(minutes) * MICRO}
        return _taken(len(minutes), decisions, (wall, cpu), **notes)

    ours = partial(_replayed, config, "hourly", bars, len(minutes))
    yield Sides(_size(minutes), theirs, ours, agree(theirs, ours, "{} decisions alike"))


@contextmanager
def ready_minutely(bench: Bench) -> Iterator[Sides]:
    """Put a month of bars into memory, for a rule that looks at each minute."""
    from pine.bench.plain import PlainMinuteIbs, memory, rows_of, run

    config, bars = configure(bench.folder, CONFIG), month(bench)
    minutes = rows_of([bar for bar in bars if bar.timeframe is Timeframe.MINUTE], config.session_rule("ES"))

    def theirs() -> Taken:
        (done,), spent = timed(lambda: run([memory(minutes, Timeframe.MINUTE)], [(PlainMinuteIbs, {})]))
        notes = {"Backtrader: µs a minute": spent.cpu / len(minutes) * MICRO}
        return _taken(len(minutes), done.decisions, (spent.wall, spent.cpu), **notes)

    ours = partial(_replayed, config, "minutely", bars, len(minutes))
    yield Sides(_size(minutes), theirs, ours, agree(theirs, ours, "{} decisions alike"))


def _replayed(config: Config, strategy: str, bars: list[Bar], minutes: int) -> Taken:
    done, spent = timed(lambda: pines(config, strategy, bars))
    notes = {"pine: µs a minute": spent.cpu / minutes * MICRO}
    return _taken(minutes, decided(done), (spent.wall, spent.cpu), **notes)


def _size(minutes: list[object] | list[tuple[float, float, float, float, float, float]]) -> str:
    return f"{len(minutes):,} minutes of ES"


def _row(name: str, path: str, against: str, aim: Aim, ready: Callable[[Bench], object]) -> Row:
    return Row(name, path, against, aim, "minutes a second", ready, clock="cpu")  # type: ignore[arg-type]


HOURLY: Final = _row(
    "replay",
    "replay of a month of minutes through IBS, which decides hourly",
    "the same rule in Backtrader, every minute preloaded in memory",
    Aim(at_least=6.0),
    ready_hourly,
)
MINUTELY: Final = _row(
    "replay-minutely",
    "replay through a strategy that decides every minute",
    "the same rule in Backtrader, every minute preloaded in memory",
    Aim(at_least=0.9),
    ready_minutely,
)
