"""The same trades through both systems, all in this process: pine's aggregator and engine, and the reference."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from pine.core.bar import Bar
from pine.core.config import Config, WarmUpConfig, load_config
from pine.core.timeframe import NS_PER_HOUR
from pine.feeds.steps import MarketEvent, Step
from pine.history.refill import Refill
from pine.hub.aggregator import Aggregator, Closed, Event
from pine.hub.clock import TapeClock
from pine.legacy.record import MemoryRecorder
from pine.legacy.source import of_array
from pine.legacy.system import LegacySystem
from pine.orders.desk import Desk
from pine.orders.entries import Fill, Intent
from pine.sandbox.market import GeneratedMarket
from pine.strategies.catalog import PARAMS
from pine.strategies.ibs import IbsStrategy
from pine.strategies.ibs_rules import IbsState
from pine.worker.engine import Outcome
from pine.worker.run import make_desk, make_engine, make_standards

TAIL = 26 * NS_PER_HOUR

CONFIG = """
data_dir: data
hub: {clock: tape%(hub)s}
instruments: {ES: {}, GC: {}, 6E: {}}
strategies:
  inside: {type: ibs, max_positions: 2, instruments: [GC, ES, 6E]}
  near:
    type: ibs
    max_positions: 2
    daily_stop_loss: 400
    instruments: [ES, 6E, GC]
    params:
      {entry_setting: none, ibs_entry_high: 0.45, stop_percent: 0.1, target_percent: 0.1, bar_stop_bars: 2,
       windows: ["00:00-24:00"]}
  atr:
    type: ibs
    max_positions: 3
    instruments:
      ES: {execution: {root: MES, size: 3}}
      GC: {commission: 2.5}
    params:
      {entry_setting: hh above, ibs_entry_high: 1.0, clock: America/Chicago, stop_type: atr, target_type: atr,
       stop_atr_multiple: 0.5, target_atr_multiple: 1.5, pivot_left: 2, pivot_right: 2, enable_ibs_exit: false}
  channel: {type: breakout, instruments: [6E, ES, GC], params: {lookback: 6, atr_length: 5, atr_multiple: 1.2}}
"""
STRATEGIES = ("inside", "near", "atr", "channel")


def configure(folder: Path, hub: str = "", text: str = CONFIG) -> Config:
    path = folder / "pine.yaml"
    path.write_text(text % {"hub": hub})
    return load_config(path, PARAMS, {})


@define
class PineRun:
    """What pine made of a tape: bars, flight records by step, ledger entries, values of its own indicators."""

    config: Config
    strategy: str
    closed: Sequence[Closed]
    bars: list[tuple[int, Bar]] = field(factory=list)
    flights: list[tuple[int, dict[str, Any]]] = field(factory=list)
    entries: list[tuple[int, Intent | Fill]] = field(factory=list)
    features: list[tuple[int, dict[str, dict[str, Any]]]] = field(factory=list)
    desk: Desk = field(init=False)
    _steps: Any = None

    def run(self) -> "PineRun":
        self.desk = make_desk(self.config, self.strategy)
        self._steps = iter(self.closed)
        standards = make_standards(self.config, self.strategy)
        engine = make_engine(self.config, self.strategy, self.desk, self, WarmUpConfig(), standards)
        seen = watched_states(self)
        try:
            engine.run()
        finally:
            seen()
        assert engine.alerts == []
        return self

    def warm_up(self) -> None:
        """Nothing comes before the first step."""

    def alive(self) -> bool:
        return True

    def refilled(self, told: Refill) -> list[Bar]:
        raise AssertionError(f"{told}: there was no hole")

    def next(self) -> Step | None:
        closed = next(self._steps, None)
        if closed is None:
            return None
        symbols = list(self.config.reads(self.strategy))
        mine = sorted((bar for bar in closed.bars if bar.symbol in symbols), key=lambda bar: symbols.index(bar.symbol))
        self.bars += [(closed.boundary, bar) for bar in mine]
        minutes = [bar for bar in mine if bar.timeframe.value == "1min"]
        longer = [bar for bar in mine if bar.timeframe.value != "1min"]
        events = [_event(event) for event in closed.events if event.symbol in symbols]
        return Step(closed.boundary, 0, minutes, longer, events)

    def done(self, step: Step, outcome: Outcome) -> None:
        self.entries += [(step.ts, entry) for entry in outcome.entries]
        if outcome.flight is not None:
            self.flights.append((step.ts, outcome.flight))


def watched_states(run: PineRun) -> Any:
    """Note what pine's own state holds after each hour; return what ends that."""
    original = IbsStrategy.on_bar
    last: dict[str, Any] = {}

    def on_bar(self: IbsStrategy, bar: Bar) -> None:
        original(self, bar)
        if bar.timeframe.value == "hourly":
            step = self.surroundings._current.ts
            if last.get("step") != step:
                last["step"], last["values"] = step, {}
                run.features.append((step, last["values"]))
            last["values"][bar.symbol] = _values(self._states[bar.symbol])

    IbsStrategy.on_bar = on_bar

    def end() -> None:
        IbsStrategy.on_bar = original

    return end


def _values(state: IbsState) -> dict[str, Any]:
    return {
        "ibs": state.ibs,
        "stop_atr": state.stop_atr.value,
        "target_atr": state.target_atr.value,
        "pivot_highs": list(state.pivots.highs),
        "pivot_lows": list(state.pivots.lows),
    }


def _event(event: Event) -> MarketEvent:
    return MarketEvent(event.kind, event.symbol, event.details)


def closed_of(config: Config, market: GeneratedMarket, symbols: Sequence[str]) -> list[Closed]:
    """Return what pine's hub closes over a market, and for a day after its end."""
    hub = config.hub
    aggregator = Aggregator(
        rules={symbol: config.session_rule(symbol) for symbol in symbols},
        clock=TapeClock(),
        lateness=hub.lateness_ms * 1_000_000,
        bar_clock=hub.bar_clock,
        fill_quiet=hub.fill_quiet_minutes,
    )
    aggregator.begin_session(replaying=False)
    for number, raw in market.symbols.items():
        aggregator.map_instrument(number, raw)
    closed: list[Closed] = []
    for batch in range(0, len(market.trades), 1000):
        aggregator.add(market.trades[batch : batch + 1000])
        closed += aggregator.advance()
    aggregator.heartbeat(end_of(market))
    return closed + aggregator.advance()


def end_of(market: GeneratedMarket) -> int:
    return int(market.trades["ts_recv"][-1]) + TAIL


def reference(config: Config, strategy: str, market: GeneratedMarket, **options: Any) -> MemoryRecorder:
    """Return the reference's record of a market."""
    system = LegacySystem(config, strategy, **options)
    system.run(of_array(market.trades, market.symbols), TAIL)
    assert isinstance(system.recorder, MemoryRecorder)
    return system.recorder


def by_timeframe(bars: Sequence[tuple[int, Bar]]) -> dict[str, list[tuple[int, Bar]]]:
    found: dict[str, list[tuple[int, Bar]]] = defaultdict(list)
    for step, bar in bars:
        found[bar.timeframe.value].append((step, bar))
    return dict(found)
