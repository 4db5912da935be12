"""Steps through the engine and Backtrader: one call per step, lines at their close, nothing of another step."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import backtrader as bt
import orjson
import pytest
from attrs import define, evolve, field

from pine.core.bar import Bar
from pine.core.config import Config, StrategyConfig, StrategyInstrument, TradedInstrument
from pine.core.instruments import spec
from pine.core.period import SessionRule
from pine.core.timeframe import Timeframe
from pine.core.times import to_datetime
from pine.feeds.steps import MarketEvent, Step
from pine.feeds.warmup import WarmUp
from pine.history.refill import Refill
from pine.orders.entries import Control, Fill, Intent, encode
from pine.strategies.base import BaseStrategy
from pine.strategies.ibs_rules import IbsParams
from pine.worker import engine as engine_module
from pine.worker.engine import Engine, Outcome
from pine.worker.run import make_desk

from .weeks import CHICAGO_RULE, HOUR_NS, MINUTE_NS, UTC_RULE, at, steps, walk, week

RULES = {"ES": UTC_RULE, "GC": CHICAGO_RULE}
ALL = (Timeframe.MINUTE, Timeframe.HOUR, Timeframe.DAY)


@define
class Tape:
    """Steps from memory; keeps what became of each."""

    steps: list[Step]
    outcomes: list[tuple[int, Outcome]] = field(factory=list)
    _left: Iterator[Step] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left = iter(self.steps)

    def next(self) -> Step | None:
        return next(self._left, None)

    def done(self, step: Step, outcome: Outcome) -> None:
        self.outcomes.append((step.ts, outcome))

    def warm_up(self) -> WarmUp | None:
        return None

    def refilled(self, told: Refill) -> Sequence[Bar] | None:
        raise AssertionError(told)

    def alive(self) -> bool:
        return True


def make_engine(
    tape: list[Step], rules: dict[str, SessionRule], *, skip: bool = True, params: IbsParams | None = None
) -> tuple[Engine, Tape]:
    traded = {
        symbol: TradedInstrument(symbol, symbol, 1, 1.25, spec(symbol).point_value, params or IbsParams())
        for symbol in rules
    }
    setting = StrategyConfig(type="ibs", instruments=dict.fromkeys(rules, StrategyInstrument()))
    here = Path.cwd()
    desk = make_desk(Config(here, here, strategies={"test": setting}, traded={"test": traded}), "test")
    source = Tape(tape)
    return Engine("ibs", desk, rules, source, skip=skip), source


class Watcher(BaseStrategy):
    """Writes down every call: the clock, how long each feed is, and the bars it was handed."""

    calls: ClassVar[list[tuple[datetime, dict[str, tuple[int, datetime | None]], list[Bar]]]]

    def next(self) -> None:
        feeds = {data._name: (len(data), bt.num2date(data.datetime[0]) if len(data) else None) for data in self.datas}
        self.calls.append((bt.num2date(self.datetime[0]), feeds, list(self.surroundings.fresh())))
        super().next()

    def on_bar(self, bar: Bar) -> None:
        """Look only."""


Watch = Callable[..., tuple[list[Any], Engine, Tape]]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Run steps under a watcher that declares some timeframes; return its calls."""

    def run(
        tape: list[Step], rules: dict[str, SessionRule], timeframes: tuple[Timeframe, ...], *, skip: bool = True
    ) -> tuple[list[Any], Engine, Tape]:
        kind = type("Watching", (Watcher,), {"timeframes": timeframes, "calls": [], "__module__": __name__})
        monkeypatch.setattr(engine_module, "strategy_class", lambda _: kind)
        engine, source = make_engine(tape, rules, skip=skip)
        engine.run()
        return kind.calls, engine, source

    return run


def day_and_a_half(rules: dict[str, SessionRule], sunday: str = "2024-01-14", seed: int = 1) -> list[Step]:
    """Steps of the minutes around two daily closes, some of them missing in one symbol or both."""
    minutes = [*week(sunday)[: 2 * 60], *week(sunday)[1320:1440]]
    bars = [
        bar
        for n, symbol in enumerate(rules)
        for bar in walk(symbol, [m for i, m in enumerate(minutes) if (i + n) % 7], seed + n)
    ]
    return steps(bars, rules)


def naive(ts: int) -> datetime:
    return to_datetime(ts).replace(tzinfo=None)


@pytest.mark.parametrize("timeframes", [(Timeframe.MINUTE,), (Timeframe.HOUR,), (Timeframe.DAY,), ALL[1:], ALL])
def test_one_call_for_each_step_at_which_a_declared_timeframe_closes(
    watch: Watch, timeframes: tuple[Timeframe, ...]
) -> None:
    tape = day_and_a_half(RULES)
    calls, engine, source = watch(tape, RULES, timeframes)
    expected = [
        step.ts
        for step in tape
        if (Timeframe.MINUTE in timeframes and step.minutes) or any(bar.timeframe in timeframes for bar in step.longer)
    ]
    assert [moment for moment, _, _ in calls] == [naive(ts) for ts in expected]
    assert (engine.engine_steps, engine.steps) == (len(expected), len(tape))
    assert [ts for ts, _ in source.outcomes] == [step.ts for step in tape]
    assert [ts for ts, outcome in source.outcomes if outcome.flight is not None] == expected


def test_without_skipping_there_is_one_call_for_every_step(watch: Watch) -> None:
    tape = day_and_a_half(RULES)
    calls, engine, _ = watch(tape, RULES, (Timeframe.DAY,), skip=False)
    assert [moment for moment, _, _ in calls] == [naive(step.ts) for step in tape]
    assert engine.engine_steps == engine.steps == len(tape)


def test_feeds_are_named_by_symbol_and_length_and_only_declared_ones_exist(watch: Watch) -> None:
    tape = day_and_a_half(RULES)
    calls, _, _ = watch(tape, RULES, ALL)
    assert list(calls[0][1]) == ["ES_minute", "GC_minute", "ES_hour", "GC_hour", "ES_day", "GC_day"]
    calls, _, _ = watch(tape, RULES, (Timeframe.HOUR,))
    assert list(calls[0][1]) == ["ES_hour", "GC_hour"]


def test_a_feed_grows_by_the_bar_of_this_step_or_not_at_all(watch: Watch) -> None:
    tape = day_and_a_half(RULES)
    by_step = {naive(step.ts): [*step.minutes, *step.longer] for step in tape}
    calls, _, _ = watch(tape, RULES, ALL, skip=False)
    lengths: Counter[str] = Counter()
    for moment, feeds, fresh in calls:
        closing = by_step[moment]
        lengths.update(f"{bar.symbol}_{bar.timeframe.feed_suffix}" for bar in closing)
        assert {name: length for name, (length, _) in feeds.items() if length} == dict(lengths)
        assert sorted(map(repr, fresh)) == sorted(map(repr, closing))


def test_bars_that_close_together_arrive_in_one_call_days_first(watch: Watch) -> None:
    rules = {"GC": UTC_RULE, "ES": UTC_RULE}
    tape = day_and_a_half(rules, "2024-07-14")
    calls, _, _ = watch(tape, rules, ALL)
    close = at("2024-07-15T23:00")
    (handed,) = (fresh for moment, _, fresh in calls if moment == naive(close))
    assert [(bar.symbol, bar.timeframe) for bar in handed] == [
        (symbol, timeframe) for timeframe in reversed(ALL) for symbol in ("GC", "ES")
    ]


@pytest.mark.parametrize(
    ("sunday", "closes"),
    [
        ("2024-01-14", {"ES_day": "2024-01-15T23:00", "GC_day": "2024-01-15T23:00"}),
        ("2024-07-14", {"ES_day": "2024-07-15T23:00", "GC_day": "2024-07-15T22:00"}),
    ],
    ids=["winter", "summer"],
)
def test_lines_carry_the_close_of_their_period(watch: Watch, sunday: str, closes: dict[str, str]) -> None:
    tape = day_and_a_half(RULES, sunday)
    calls, _, _ = watch(tape, RULES, ALL)
    stamped: dict[str, list[datetime]] = {name: [] for name in calls[0][1]}
    for moment, feeds, _ in calls:
        for name, (length, line_time) in feeds.items():
            if length > len(stamped[name]):
                assert line_time == moment
                stamped[name].append(line_time)
    assert {(t.minute, t.second, t.microsecond) for t in stamped["ES_hour"] + stamped["GC_hour"]} == {(0, 0, 0)}
    assert {(t.second, t.microsecond) for t in stamped["ES_minute"]} == {(0, 0)}
    assert {name: stamped[name][0] for name in closes} == {
        name: datetime.fromisoformat(text) for name, text in closes.items()
    }


def test_lines_hold_the_values_of_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Bar, tuple[float, ...]]] = []

    class Reading(BaseStrategy):
        timeframes = ALL

        def on_bar(self, bar: Bar) -> None:
            data = self.getdatabyname(f"{bar.symbol}_{bar.timeframe.feed_suffix}")
            seen.append((bar, (data.open[0], data.high[0], data.low[0], data.close[0], data.volume[0])))

    monkeypatch.setattr(engine_module, "strategy_class", lambda _: Reading)
    engine, _ = make_engine(day_and_a_half(RULES), RULES)
    engine.run()
    assert len(seen) > 300
    assert all(values == (bar.open, bar.high, bar.low, bar.close, bar.volume) for bar, values in seen)


def test_an_indicator_sees_the_same_bars_as_the_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, float]] = []

    class Averaging(BaseStrategy):
        timeframes = (Timeframe.HOUR,)

        def __init__(self) -> None:
            self._mean = bt.indicators.SMA(self.getdatabyname("ES_hour").close, period=2)
            self._closes: list[float] = []

        def on_bar(self, bar: Bar) -> None:
            if bar.symbol == "ES":
                self._closes.append(bar.close)
                if len(self._closes) >= 2:
                    seen.append((self._mean[0], sum(self._closes[-2:]) / 2))

    monkeypatch.setattr(engine_module, "strategy_class", lambda _: Averaging)
    engine, _ = make_engine(day_and_a_half(RULES), RULES)
    engine.run()
    assert len(seen) >= 3
    assert all(mean == pytest.approx(expected) for mean, expected in seen)
    assert engine.alerts == []


@pytest.fixture(scope="module")
def synthetic_week() -> list[Step]:
    """A week of two symbols, every minute there; decisions count from its second day."""
    minutes = week("2024-01-14")
    bars = [bar for n, symbol in enumerate(RULES) for bar in walk(symbol, minutes, seed=21 + n, price=2000.0)]
    return steps(bars, RULES, live_from=at("2024-01-15T23:00"))


LOOSE = IbsParams(entry_setting="none", stop_percent=0.5, target_percent=0.5, ibs_entry_high=0.4)


def test_skipping_steps_makes_no_difference_to_entries_and_flights(synthetic_week: list[Step]) -> None:
    runs = []
    for skip in (True, False):
        engine, source = make_engine(synthetic_week, RULES, skip=skip, params=LOOSE)
        engine.run()
        assert engine.alerts == []
        entries = [(ts, [encode(entry) for entry in outcome.entries]) for ts, outcome in source.outcomes]
        flights = [(ts, outcome.flight) for ts, outcome in source.outcomes if outcome.flight is not None]
        runs.append((entries, flights, engine.account.cash, engine.account.trades))
    assert runs[0] == runs[1]
    traded = {orjson.loads(entry)["symbol"] for _, made in runs[0][0] for entry in made}
    assert traded == {"ES", "GC"}
    assert runs[0][3] > 10


def test_the_same_steps_again_make_the_same_entries_and_digests(synthetic_week: list[Step]) -> None:
    def run(tape: list[Step]) -> list[Any]:
        engine, source = make_engine(tape, RULES, params=LOOSE)
        engine.run()
        return [
            ([encode(entry) for entry in outcome.entries], outcome.flight and outcome.flight["digest"])
            for _, outcome in source.outcomes
        ]

    assert run(synthetic_week) == run(synthetic_week)
    (last,) = (i for i, step in enumerate(synthetic_week) if step.ts == at("2024-01-16T12:00"))
    other = list(synthetic_week)
    hour = walk("ES", [at("2024-01-16T11:59")], seed=99)[0]
    other[last] = evolve(other[last], minutes=[hour, *other[last].minutes[1:]])
    digests = [[digest for _, digest in run(tape)] for tape in (synthetic_week, other)]
    assert digests[0][:last] == digests[1][:last]
    assert digests[0][last] != digests[1][last]


def test_nothing_is_decided_in_warm_up(synthetic_week: list[Step]) -> None:
    engine, source = make_engine([evolve(step, live=False) for step in synthetic_week], RULES, params=LOOSE)
    engine.run()
    assert [outcome.entries for _, outcome in source.outcomes if outcome.entries] == []
    assert engine.account.cash == 150_000.0


def test_orders_fill_at_the_open_of_the_next_minute(synthetic_week: list[Step]) -> None:
    engine, source = make_engine(synthetic_week, RULES, params=LOOSE)
    engine.run()
    opens = {(bar.symbol, bar.start): bar.open for step in synthetic_week for bar in step.minutes}
    starts = {symbol: sorted(start for name, start in opens if name == symbol) for symbol in RULES}
    intents = {
        entry.id: entry for _, outcome in source.outcomes for entry in outcome.entries if isinstance(entry, Intent)
    }
    fills = [entry for _, outcome in source.outcomes for entry in outcome.entries if isinstance(entry, Fill)]
    assert fills
    for fill in fills:
        decided = intents[fill.intent].step
        assert fill.time == next(start for start in starts[fill.symbol] if start >= decided)
        assert fill.price == opens[fill.symbol, fill.time]


class Faulty(BaseStrategy):
    """Buys ES at every hour, and breaks at one."""

    timeframes = (Timeframe.HOUR,)
    handed: ClassVar[list[int]] = []
    breaks_at: ClassVar[int] = 0
    raised: ClassVar[BaseException] = ZeroDivisionError("a rule divided by nothing")

    def on_bar(self, bar: Bar) -> None:
        """Break at the agreed hour, else buy or sell."""
        self.handed.append(bar.start)
        if bar.start + HOUR_NS == self.breaks_at:
            raise self.raised
        if not self.surroundings.exit(bar.symbol, "again", {}):
            self.surroundings.enter(bar.symbol, "again", {})


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[Faulty]:
    monkeypatch.setattr(engine_module, "strategy_class", lambda _: Faulty)
    monkeypatch.setattr(Faulty, "handed", [])
    monkeypatch.setattr(Faulty, "breaks_at", at("2024-01-15T05:00"))
    return Faulty


def test_a_strategy_that_raises_is_halted_and_later_steps_are_still_read(faulty: type[Faulty]) -> None:
    rules = {"ES": UTC_RULE}
    tape = steps(walk("ES", week("2024-01-14")[:900], seed=1), rules)
    engine, source = make_engine(tape, rules)
    engine.run()
    assert [ts for ts, _ in source.outcomes] == [step.ts for step in tape]
    assert len(faulty.handed) == 15
    said, _, where = str(engine.account.halted).rpartition(" (")
    assert said == "strategy error: ZeroDivisionError: a rule divided by nothing"
    assert where.startswith(Path(__file__).name)
    assert [
        alert for alert in engine.alerts if "ZeroDivisionError: a rule divided by nothing" in alert
    ] == engine.alerts
    assert len(engine.alerts) == 1
    booked = dict(source.outcomes)[faulty.breaks_at].entries
    assert [(entry.order, entry.who) for entry in booked if isinstance(entry, Control)] == [("halt", "worker")]
    later = [entry for ts, outcome in source.outcomes for entry in outcome.entries if ts > faulty.breaks_at]
    assert [entry for entry in later if isinstance(entry, Intent) and entry.is_entry] == []
    refused = [d for ts, o in source.outcomes if ts > faulty.breaks_at and o.flight for d in o.flight["decisions"]]
    assert {d["refused"] for d in refused if d["ask"] == "buy"} == {f"halted: {engine.account.halted}"}


class Unheard(BaseException):
    """Is none of Python's own, and cannot say what it is."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (GeneratorExit(), "GeneratorExit"),
        (Unheard(), "Unheard: <exception str() failed>"),
        (ValueError("half a letter: \ud800"), "half a letter: "),
    ],
    ids=["exit", "generator", "own", "text"],
)
def test_a_strategy_that_would_end_its_process_is_halted_like_any_that_raises(
    faulty: type[Faulty], monkeypatch: pytest.MonkeyPatch, raised: BaseException, told: str
) -> None:
    rules = {"ES": UTC_RULE}
    monkeypatch.setattr(faulty, "breaks_at", at("2024-01-15T01:00"))
    monkeypatch.setattr(faulty, "raised", raised)
    tape = steps(walk("ES", week("2024-01-14")[:300], seed=1), rules)
    engine, source = make_engine(tape, rules)
    engine.run()
    assert [ts for ts, _ in source.outcomes] == [step.ts for step in tape]
    assert told in str(engine.account.halted)
    assert [told in alert for alert in engine.alerts] == [True]
    (halt,) = (e for _, o in source.outcomes for e in o.entries if isinstance(e, Control))
    assert told in orjson.loads(encode(halt))["reason"]


def test_ctrl_c_while_a_rule_runs_ends_the_process(faulty: type[Faulty], monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"ES": UTC_RULE}
    monkeypatch.setattr(faulty, "raised", KeyboardInterrupt())
    engine, _ = make_engine(steps(walk("ES", week("2024-01-14")[:900], seed=1), rules), rules)
    with pytest.raises(KeyboardInterrupt):
        engine.run()


def test_a_halted_strategy_may_still_close_what_is_open(faulty: type[Faulty], monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"ES": UTC_RULE}
    monkeypatch.setattr(faulty, "breaks_at", at("2024-01-15T01:00"))
    tape = steps(walk("ES", week("2024-01-14")[:300], seed=1), rules)
    engine, source = make_engine(tape, rules)
    engine.run()
    actions = [e.action for _, o in source.outcomes for e in o.entries if isinstance(e, Intent)]
    assert actions == ["buy", "exit"]
    assert engine.account.positions == {}


def test_a_strategy_that_raises_in_warm_up_only_is_reported_and_not_halted(faulty: type[Faulty]) -> None:
    rules = {"ES": UTC_RULE}
    tape = steps(walk("ES", week("2024-01-14")[:900], seed=1), rules, live_from=faulty.breaks_at + MINUTE_NS)
    engine, source = make_engine(tape, rules)
    engine.run()
    assert len(engine.alerts) == 1
    assert engine.account.halted is None
    assert any(isinstance(entry, Intent) for _, outcome in source.outcomes for entry in outcome.entries)


def test_bars_of_the_hub_that_differ_are_an_alert(watch: Watch) -> None:
    tape = day_and_a_half(RULES)
    (first, *_) = (i for i, step in enumerate(tape) if step.longer)
    wrong = [evolve(bar, volume=bar.volume + 1) for bar in tape[first].longer]
    tape[first] = evolve(tape[first], longer=wrong)
    _, engine, _ = watch(tape, RULES, ALL)
    assert len(engine.alerts) == len(wrong)
    assert all("bars disagree" in alert for alert in engine.alerts)


def test_a_reset_leaves_the_broken_hour_out_and_calls_no_alarm(watch: Watch) -> None:
    rules = {"ES": UTC_RULE}
    minutes = walk("ES", week("2024-01-14")[:240], seed=1)
    lost = at("2024-01-15T00:20")
    kept = [bar for bar in minutes if bar.start != lost]
    event = MarketEvent("reset", "ES", {"first_minute": lost, "last_minute": lost})
    tape = steps(kept, rules, events={lost + MINUTE_NS: [event]})
    broken = {(Timeframe.HOUR, at("2024-01-15T00:00")), (Timeframe.DAY, at("2024-01-14T23:00"))}
    tape = [
        evolve(step, longer=[bar for bar in step.longer if (bar.timeframe, bar.start) not in broken]) for step in tape
    ]
    calls, engine, _ = watch(tape, rules, (Timeframe.HOUR, Timeframe.DAY))
    assert engine.alerts == []
    assert [naive(at(f"2024-01-15T0{hour}:00")) for hour in (0, 2, 3)] == [moment for moment, _, _ in calls]
