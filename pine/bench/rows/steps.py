"""Steps: many symbols in three timeframes through two strategies, against Backtrader's own live mode.

Both get the same bars a step at a time, as they come from a market; Backtrader's feeds poll for them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pine.bench.market import ROOTS, bars_of, closed_market, configure
from pine.bench.measure import agree, timed
from pine.bench.row import Aim, Bench, Row, Sides, Taken
from pine.bench.rows.replay import Decisions, decided
from pine.core.config import Config
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.feeds.steps import Step
from pine.replay.run import Plan, replay
from pine.replay.steps import assemble
from pine.strategies.breakout_rules import Channel
from pine.strategies.ibs_rules import IbsState

STRATEGIES: Final = ("ibs", "breakout")


def config_of(symbols: tuple[str, ...]) -> str:
    """Return a configuration of both strategies on some symbols, whose limits are never reached."""
    listed = ", ".join(f'"{symbol}"' for symbol in symbols)
    traded = "\n".join(f'  "{symbol}": {{}}' for symbol in symbols)
    limits = f"starting_cash: 1000000000, max_positions: {len(symbols)}, daily_stop_loss: 1000000000"
    strategies = "\n".join(f"  {kind}: {{type: {kind}, {limits}, instruments: [{listed}]}}" for kind in STRATEGIES)
    return f"data_dir: data\nwarm_up: off\ninstruments:\n{traded}\nstrategies:\n{strategies}\n"


@contextmanager
def ready(bench: Bench) -> Iterator[Sides]:
    """Make a session or two of twenty symbols."""
    symbols = ROOTS[:2] if bench.quick else ROOTS
    config = configure(bench.folder, config_of(symbols))
    bars = bars_of(closed_market(symbols, 1 if bench.quick else 2, 400 if bench.quick else 6_000))
    steps = list(assemble(config.rules_of("ibs"), bars, ()))
    fed = _rows(config, steps, symbols)
    kinds = [timeframe for timeframe in Timeframe for _ in symbols]

    def theirs() -> Taken:
        from pine.bench.plain import Hourly, judge_breakout, judge_hour, run_live

        rules = {name: config.traded[name] for name in STRATEGIES}
        ibs = {symbol: IbsState(rules["ibs"][symbol].params) for symbol in symbols}
        channels = {symbol: Channel(rules["breakout"][symbol].params) for symbol in symbols}
        both = [
            (Hourly, {"judge": judge_hour, "states": ibs}),
            (Hourly, {"judge": judge_breakout, "states": channels}),
        ]
        done, spent = timed(lambda: run_live(fed, kinds, both))
        return Taken(*spent.rate(len(steps)), did=[sorted(strategy.decisions) for strategy in done])

    def ours() -> Taken:
        done, spent = timed(lambda: [_run(config, name, steps) for name in STRATEGIES])
        return Taken(*spent.rate(len(steps)), did=done)

    size = f"{len(steps):,} steps with {len(bars):,} bars of {len(symbols)} symbols, 3 timeframes, 2 strategies"
    same = agree(theirs, ours, "the decisions of {} strategies alike")
    yield Sides(size, theirs, ours, same)


def _run(config: Config, strategy: str, steps: list[Step]) -> Decisions:
    plan = Plan(strategy, steps[0].ts - NS_PER_MINUTE, steps[-1].ts, "memory")
    return sorted(decided(replay(config, plan, iter(steps))))


def _rows(
    config: Config, steps: list[Step], symbols: tuple[str, ...]
) -> list[list[tuple[int, tuple[float, float, float, float, float, float]]]]:
    """Return each step's bars as rows with the number of the feed that they are for."""
    from pine.bench.plain import rows_of

    numbers = {place: n for n, place in enumerate((timeframe, symbol) for timeframe in Timeframe for symbol in symbols)}
    return [
        [
            (numbers[(bar.timeframe, bar.symbol)], row)
            for bar in (*step.minutes, *step.longer)
            for row in rows_of([bar], config.session_rule(bar.symbol))
        ]
        for step in steps
    ]


ROW: Final = Row(
    name="steps",
    path="steps with 20 symbols, 3 timeframes, 2 strategies",
    against="Backtrader's own live mode with polling feeds on the same bars",
    aim=Aim(at_least=10.0),
    unit="steps a second",
    ready=ready,
    clock="cpu",
    repeat=5,
)
