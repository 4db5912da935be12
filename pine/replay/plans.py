"""What to run, and on which steps: from a time on, or along a worker's life."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import field, frozen

from pine.core.config import WarmUpConfig
from pine.core.errors import PineError
from pine.core.period import session_begin
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import isoformat
from pine.feeds.steps import Step
from pine.feeds.warmup import WarmUp
from pine.replay.past import Past
from pine.replay.run import Costs, Plan
from pine.replay.source import Request
from pine.replay.warming import gather

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.replay.flights import Life

HISTORY = "history"


@frozen
class Wish:
    """What a person asks for.

    Attributes
    ----------
    begin, end
        In ns; what is left out is where the history begins or ends.
    warm
        Whether strategies are fed history first, as the configuration says.
    """

    begin: int | None = None
    end: int | None = None
    costs: Costs = field(factory=Costs)
    speed: float | None = None
    warm: bool = True


def from_history(config: "Config", past: Past, strategy: str, wish: Wish) -> tuple[Plan, Iterator[Step]]:
    """Return a plan, and its steps, for a strategy that begins at a time of the past with an empty account.

    Raises
    ------
    WarmUpMissing
        If the history that it is to be fed first is not known.
    PineError
        If nothing is known of its symbols, or not of that time.
    """
    first, last = past.edges()
    reach = config.warm_up_of(strategy) if wish.warm else None
    begin = _whole(first if wish.begin is None else wish.begin)
    end = _whole(last if wish.end is None else min(wish.end, last))
    if begin >= end:
        raise PineError(
            f"{strategy}: found history from {isoformat(first)} to {isoformat(last)}, "
            f"expected some after {isoformat(begin)}" + (f" and before {isoformat(end)}" if wish.end else "")
        )
    warm_up = None
    fed = min(session_begin(begin, rule) for rule in past.rules.values())
    if reach is not None:
        warm_up = gather(strategy, past.history, past.rules, _timeframes(config, strategy), reach, begin)
        fed = begin
    plan = Plan(strategy, begin, end, HISTORY, (), wish.costs, wish.speed, warm_up, *([reach] if reach else []))
    return plan, past.steps(fed, end)


def follow(config: "Config", past: Past, life: "Life", wish: Wish | None = None) -> tuple[Plan, Iterator[Step]]:
    """Return a plan, and its steps, that does what a worker did: its origin, its warm-up, what it was asked.

    It always begins where the worker began, whatever is wished: positions and indicators follow from everything since.

    Raises
    ------
    DataError
        If the bars it was warmed up with are not to be had any more.
    """
    wish = wish or Wish()
    requests = life.requests()
    begin, end = life.begin, life.end if wish.end is None else min(_whole(wish.end), life.end)
    fed = life.origin.warm_up
    warm_up: WarmUp | None = None
    source = f"{HISTORY}, as {life.strategy} lived"
    if fed is None:
        first = past.first_minute() if not life.origin.origin else life.origin.origin * NS_PER_MS - NS_PER_MINUTE
        begin = begin or first
        plan = Plan(life.strategy, begin, end, source, requests, wish.costs, wish.speed)
        return plan, past.steps(first, end, _steps_of(requests))
    reach = WarmUpConfig(fed.daily, fed.hourly, fed.minute)
    warm_up = life.warm_up() or life.checked(
        gather(life.strategy, past.history, past.rules, _timeframes(config, life.strategy), reach, begin)
    )
    plan = Plan(life.strategy, begin, end, source, requests, wish.costs, wish.speed, warm_up, reach)
    return plan, past.steps(begin, end, _steps_of(requests))


def _steps_of(requests: list[Request]) -> list[int]:
    return sorted({request.step for request in requests})


def _timeframes(config: "Config", strategy: str) -> tuple[Timeframe, ...]:
    from pine.strategies.catalog import strategy_class  # imports Backtrader

    return strategy_class(config.strategies[strategy].type).timeframes


def _whole(ts: int) -> int:
    return ts - ts % NS_PER_MINUTE
