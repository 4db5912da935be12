"""One strategy over a recording: the worker's own engine on an account in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from pine.core.bar import Bar
from pine.core.config import WarmUpConfig
from pine.core.times import isoformat
from pine.feeds.steps import Step
from pine.feeds.warmup import WarmUp
from pine.history.refill import Refill, digest
from pine.orders.desk import Desk
from pine.replay.record import Facts, Record
from pine.replay.recorder import Recorder
from pine.replay.settings import settings_of
from pine.replay.source import Pace, ReplaySource, Request
from pine.replay.steps import chained
from pine.strategies.judge import Standards

if TYPE_CHECKING:
    from pine.core.config import Config

ENGINE: Final = "engine"
BUS: Final = "bus"
"""What runs a strategy: the engine in this process, or a worker on a stream server."""


@frozen
class Costs:
    """What a backtest deducts beyond what the configuration says.

    Attributes
    ----------
    commission
        Dollars per contract and side; nothing for the configured ones.
    slippage_ticks
        Ticks by which every fill is worse than the price it was made at.
    """

    commission: float | None = None
    slippage_ticks: float = 0.0


@frozen
class Plan:
    """What one run is to do.

    Attributes
    ----------
    begin, end
        Steps ``begin < t <= end`` (ns) decide; earlier ones only warm up.
    source
        Where the bars come from, for the record.
    requests
        What operators and couriers had booked, in order.
    speed
        How many times faster than real time; nothing for as fast as it goes.
    warm_up
        What the strategy is fed before the first step; nothing if the steps up to `begin` are.
    reach
        How many sessions it is fed when it is warmed up again.
    standards
        What its entries are judged by.
    """

    strategy: str
    begin: int
    end: int
    source: str
    requests: Sequence[Request] = ()
    costs: Costs = field(factory=Costs)
    speed: float | None = None
    warm_up: WarmUp | None = None
    reach: WarmUpConfig = field(factory=WarmUpConfig)
    standards: Standards = field(factory=Standards)


@frozen(eq=False)
class Replayed:
    """What came of a run.

    Attributes
    ----------
    alerts
        What was wrong on the way, each once.
    complete
        Whether it reached its end; not if it was asked to stop.
    """

    record: Record
    steps: int
    decided: int
    alerts: tuple[str, ...]
    complete: bool


def replay(
    config: "Config",
    plan: Plan,
    steps: Iterable[Step],
    *,
    refill: Callable[[Refill], Sequence[Bar]] = lambda _: (),
    stopped: Callable[[], bool] = lambda: False,
    on_step: Callable[[int], None] = lambda _: None,
) -> Replayed:
    """Run a strategy over steps and return what it thought.

    Parameters
    ----------
    config
        The configuration.
    plan
        What to run.
    steps
        In order, up to `plan.end`.
    refill
        Returns the minutes of a hole that was filled.
    stopped, on_step
        Asked before, and told after, each step.
    """
    from pine.worker.run import make_engine

    desk = desk_with(config, plan)
    rules = config.rules_of(plan.strategy)
    recorder = Recorder(rules, desk.portfolio.cash, config.desk_session)
    pace = None if plan.speed is None else Pace(plan.speed, stopped)
    source = ReplaySource(
        chained(steps, plan.begin), desk, recorder, deque(plan.requests), stopped, on_step, pace, plan.warm_up, refill
    )
    engine = make_engine(config, plan.strategy, desk, source, plan.reach, plan.standards)
    engine.run()
    facts = facts_of(config, plan, recorder, ENGINE)
    alerts = tuple(dict.fromkeys(engine.alerts))
    return Replayed(recorder.record(facts), engine.steps, engine.engine_steps, alerts, not stopped())


def facts_of(
    config: "Config", plan: Plan, recorder: Recorder, via: str, known: Mapping[str, Any] | None = None
) -> Facts:
    """Return what the record of a plan's run is of.

    Parameters
    ----------
    config, plan
        What ran.
    recorder
        Was told what it was given.
    via
        What ran it.
    known
        Settings as whoever ran it wrote them down.
    """
    return Facts(
        name=plan.strategy,
        strategy=plan.strategy,
        symbols=tuple(recorder.rules),
        begin=plan.begin,
        end=plan.end,
        fed_from=recorder.first_step(plan.begin),
        settings=settings_of(config, plan.strategy, plan.source, **_of_run(plan), via=via) | dict(known or {}),
    )


def desk_with(config: "Config", plan: Plan) -> Desk:
    """Return a fresh account with the costs of a plan."""
    from attrs import evolve

    from pine.core.instruments import spec
    from pine.worker.run import make_desk

    desk = make_desk(config, plan.strategy)
    if plan.costs.commission is not None:
        commission = plan.costs.commission
        desk.traded = {symbol: evolve(traded, commission=commission) for symbol, traded in desk.traded.items()}
    if plan.costs.slippage_ticks:
        desk.slippage = {
            symbol: plan.costs.slippage_ticks * float(spec(traded.root).tick_size)
            for symbol, traded in desk.traded.items()
        }
    return desk


def _of_run(plan: Plan) -> Mapping[str, Any]:
    warm_up = plan.warm_up
    return {
        "warm-up": "off" if warm_up is None else {"bars": len(warm_up.bars), "digest": digest(warm_up.bars)},
        "reach": {"daily": plan.reach.daily, "hourly": plan.reach.hourly, "minute": plan.reach.minute},
        "commission": "as configured" if plan.costs.commission is None else plan.costs.commission,
        **({"models": models} if (models := plan.standards.fleet.digest()) is not None else {}),
        "slippage ticks": plan.costs.slippage_ticks,
        "from": isoformat(plan.begin),
        "to": isoformat(plan.end),
    }
