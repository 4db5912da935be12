"""Strategies written for Backtrader: their feeds, their orders, and what is refused."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import backtrader as bt
import pytest

from pine.core.errors import PineError
from pine.core.timeframe import Timeframe
from pine.core.times import to_datetime
from pine.feeds.steps import Step
from pine.orders.entries import Intent
from pine.strategies.base import BacktraderStrategy
from pine.worker import engine as engine_module
from pine.worker.engine import Engine

from .test_backtrader import RULES, Tape, make_engine
from .weeks import steps, walk, week

HOURS = 30


class Plain(BacktraderStrategy):
    """Buys the first feed every third hour and closes it an hour later; notes what it sees."""

    timeframes: ClassVar[tuple[Timeframe, ...]] = (Timeframe.HOUR,)
    seen: ClassVar[list[tuple[Any, ...]]] = []
    order: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.mean = bt.indicators.SMA(self.data.close, period=4)

    def next(self) -> None:
        """Trade."""
        closes = [self.data.close[-n] for n in range(4)]
        moment = bt.num2date(self.datetime[0])
        self.seen.append(
            (moment, len(self.data), self.mean[0], sum(closes) / 4, bool(self.position), self.is_fresh(self.data))
        )
        if self.position:
            self.close()
        elif len(self.data) % 3 == 0:
            self.buy(**self.order)


Run = Callable[..., tuple[Engine, Tape, list[Step]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(
        kind: type[BacktraderStrategy] = Plain, named: str = "ibs", **order: Any
    ) -> tuple[Engine, Tape, list[Step]]:
        monkeypatch.setattr(engine_module, "strategy_class", lambda _: kind)
        monkeypatch.setattr(Plain, "seen", [])
        monkeypatch.setattr(Plain, "order", order)
        minutes = week("2024-01-14")[: HOURS * 60]
        tape = steps([bar for n, symbol in enumerate(RULES) for bar in walk(symbol, minutes, n + 1)], RULES)
        engine, source = make_engine(tape, RULES)
        engine.kind = named
        engine.run()
        return engine, source, tape

    return run


def intents(source: Tape) -> list[Intent]:
    return [entry for _, outcome in source.outcomes for entry in outcome.entries if isinstance(entry, Intent)]


def test_the_first_feed_is_the_first_instruments_and_next_waits_for_the_indicators(run: Run) -> None:
    engine, source, tape = run()
    assert engine.alerts == []
    lengths = [length for _, length, *_ in Plain.seen]
    assert lengths[:2] == [4, 5]
    assert all(mean == pytest.approx(expected) for _, _, mean, expected, _, _ in Plain.seen)
    assert all(fresh for *_, fresh in Plain.seen)
    moments = [moment for moment, *_ in Plain.seen]
    assert set(moments) < {to_datetime(step.ts).replace(tzinfo=None) for step in tape}
    booked = intents(source)
    assert [intent.action for intent in booked[:4]] == ["buy", "exit", "buy", "exit"]
    assert {intent.symbol for intent in booked} == {"ES"}
    assert [position for *_, position, _ in Plain.seen].count(True) == sum(i.action == "exit" for i in booked)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"size": 3}, "order on ES: found size 3, expected none: the configuration says 1"),
        ({"exectype": bt.Order.Limit, "price": 1.0}, "order on ES: only market orders are known"),
        ({"valid": 1.0}, "order on ES: only market orders are known"),
    ],
)
def test_an_order_that_would_be_done_otherwise_halts(run: Run, order: dict[str, Any], message: str) -> None:
    engine, source, _ = run(**order)
    assert intents(source) == []
    said, _, where = str(engine.account.halted).rpartition(" (")
    assert said == f"strategy error: pine.core.errors.PineError: {message}"
    assert where.startswith(Path(__file__).name)


@pytest.mark.parametrize(
    ("ask", "found"),
    [
        (lambda self: self.surroundings.enter("GC", "x", {}), "GC is a reference, which is read and not traded"),
        (lambda self: self.surroundings.exit("GC", "x", {}), "GC is a reference, which is read and not traded"),
        (lambda self: self.buy(data=self.getdatabyname("GC_hour")), "GC is a reference, which is read and not traded"),
        (lambda self: self.surroundings.enter("QQ", "x", {}), "QQ is nothing that it reads or trades"),
    ],
    ids=["enter", "exit", "buy", "unknown"],
)
def test_an_order_in_what_is_not_traded_halts_and_says_what_is(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[BacktraderStrategy], Any], found: str
) -> None:
    class Astray(BacktraderStrategy):
        next = ask

    monkeypatch.setattr(engine_module, "strategy_class", lambda _: Astray)
    minutes = week("2024-01-14")[:120]
    tape = steps([bar for symbol in RULES for bar in walk(symbol, minutes, 1)], RULES)
    engine, source = make_engine(tape, RULES)
    engine.desk.traded = {"ES": engine.desk.traded["ES"]}
    engine.run()
    assert intents(source) == []
    said = f"strategy error: pine.core.errors.UnknownSymbol: {found}; test trades ES"
    assert str(engine.account.halted).startswith(f"{said} ({Path(__file__).name} line ")


def test_what_an_indicator_raises_halts_and_bars_are_read_on(run: Run) -> None:
    class Faulty(bt.Indicator):  # type: ignore[misc]
        lines = ("x",)

        def next(self) -> None:
            self.lines.x[0] = 1 / 0

    class Unlucky(Plain):
        def __init__(self) -> None:
            super().__init__()
            Faulty(self.data)

    engine, source, tape = run(Unlucky)
    assert str(engine.account.halted).startswith(
        f"strategy error: ZeroDivisionError: division by zero ({Path(__file__).name} line "
    )
    assert [ts for ts, _ in source.outcomes] == [step.ts for step in tape]


def test_what_its_making_raises_ends_the_run_with_the_line(run: Run) -> None:
    class Unmade(Plain):
        def __init__(self) -> None:
            raise KeyError("no such thing")

    with pytest.raises(PineError, match=r"Unmade: __init__ raised at .*test_backtrader_strategies\.py:\d+: KeyError"):
        run(Unmade)


@pytest.mark.parametrize("method", ["__init__", "start"])
def test_what_would_end_the_process_before_the_first_bar_is_told_with_the_line(run: Run, method: str) -> None:
    def leave(_self: Plain) -> None:
        raise SystemExit(0)

    leaving = type("Leaving", (Plain,), {method: leave})
    told = rf"Leaving: {method} raised at .*test_backtrader_strategies\.py:\d+: SystemExit: 0"
    with pytest.raises(PineError, match=told):
        run(leaving)


def test_what_would_end_the_process_after_the_last_bar_is_an_alert(run: Run) -> None:
    class Leaving(Plain):
        def stop(self) -> None:
            raise SystemExit(0)

    engine, source, tape = run(Leaving)
    assert [ts for ts, _ in source.outcomes] == [step.ts for step in tape]
    (alert,) = engine.alerts
    assert alert.startswith(f"the strategy raised and is halted: SystemExit: 0 ({Path(__file__).name} line ")


@pytest.mark.parametrize("kind", ["loud:Loud", "ibs"])
def test_what_a_strategy_of_a_users_own_prints_stays_off_standard_output(
    run: Run, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    class Loud(Plain):
        def next(self) -> None:
            sys.stdout.write("a bar\n")

    run(Loud, kind)
    assert ["a bar" in text for text in capsys.readouterr()] == ([False, True] if ":" in kind else [True, False])
