"""What to run, and on which steps: from a time on, or along a worker's life."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from pine.core.calendar import scheduled_hours
from pine.core.config import WarmUpConfig
from pine.core.errors import PineError
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import isoformat
from pine.feeds.steps import Step
from pine.replay.past import Past
from pine.replay.run import Costs, Plan
from pine.replay.tape import Spool
from pine.replay.warming import gather
from pine.strategies.judge import Standards
from pine.worker.run import make_standards

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.replay.flights import Life

HISTORY: Final = "history"
TRADES: Final = "trades"


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
    standards = make_standards(config, strategy)
    timeframes = _timeframes(config, strategy, standards)
    if reach is not None:
        reach = standards.reach(reach)
    begin = _whole(first if wish.begin is None else wish.begin)
    end = _whole(_end(past, wish.end, last))
    if wish.begin is None and reach is not None:
        warmed = max(_look_ahead(first, max(map(reach.sessions, timeframes)), rule) for rule in past.rules.values())
        begin = warmed if warmed < end else begin
    _check(strategy, (begin, end), (first, last))
    warm_up = None
    fed = min(session_begin(begin, rule) for rule in past.rules.values())
    if reach is not None:
        warm_up = gather(strategy, past.history, past.rules, timeframes, reach, begin)
        fed = begin
    plan = Plan(
        strategy,
        begin,
        end,
        HISTORY,
        costs=wish.costs,
        speed=wish.speed,
        warm_up=warm_up,
        reach=reach or WarmUpConfig(),
        standards=standards,
    )
    return plan, past.steps(fed, end)


def follow(
    config: "Config", past: Past, life: "Life", wish: Wish | None = None, tape: Spool | None = None
) -> tuple[Plan, Iterator[Step]]:
    """Return a plan, and its steps, that does what a worker did: its origin, its warm-up, what it was asked.

    It always begins where the worker began, whatever is wished: positions and indicators follow from everything since.

    Raises
    ------
    DataError
        If the bars it was warmed up with are not to be had any more.
    """
    wish = wish or Wish()
    requests = life.requests()
    also = sorted({request.step for request in requests})
    end = life.end if wish.end is None else min(_whole(wish.end), life.end)
    source = f"{HISTORY if tape is None else TRADES}, as {life.strategy} lived"
    fed = life.origin.warm_up
    standards = make_standards(config, life.strategy)
    plan = Plan(
        life.strategy, life.begin, end, source, requests, costs=wish.costs, speed=wish.speed, standards=standards
    )
    if fed is not None:
        reach = WarmUpConfig(fed.daily, fed.hourly, fed.minute)
        timeframes = _timeframes(config, life.strategy, standards)
        warm_up = life.warm_up() or life.checked(
            gather(life.strategy, past.history, past.rules, timeframes, reach, life.begin)
        )
        plan = evolve(plan, warm_up=warm_up, reach=reach)
        return plan, _steps(past, tape, life.begin, end, also)
    origin = life.origin.origin * NS_PER_MS
    first = origin - NS_PER_MINUTE if origin else past.first_minute() if tape is None else tape.begin
    plan = evolve(plan, begin=life.begin or first)
    return plan, _steps(past, tape, first, end, also)


def from_tape(config: "Config", past: Past, strategy: str, wish: Wish, tape: Spool) -> tuple[Plan, Iterator[Step]]:
    """Return a plan, and its steps, for a strategy that begins on recorded trades with an empty account.

    What was traded before it may decide is its warm-up.

    Raises
    ------
    PineError
        If nothing is left of the time asked for.
    """
    begin = tape.begin if wish.begin is None else _whole(wish.begin)
    if begin < tape.begin and _is_open(past, begin, tape.begin):
        begin = tape.begin
    end = _whole(_end(past, wish.end, tape.end))
    _check(strategy, (begin, end), (tape.begin, tape.end))
    standards = make_standards(config, strategy)
    plan = Plan(strategy, begin, end, TRADES, costs=wish.costs, speed=wish.speed, standards=standards)
    return plan, _steps(past, tape, tape.begin, end, ())


def _steps(past: Past, tape: Spool | None, begin: int, end: int, also: Sequence[int]) -> Iterator[Step]:
    return past.steps(begin, end, also) if tape is None else tape.steps(past.rules, begin, end, also)


def _end(past: Past, wished: int | None, known: int) -> int:
    """Return the end that is wished for, but no later than what is known, with the closed market after it."""
    if wished is None or (wished > known and _is_open(past, known, wished)):
        return known
    return wished


def _is_open(past: Past, begin: int, end: int) -> bool:
    return any(scheduled_hours(rule.group, begin, end) for rule in past.rules.values())


def _check(strategy: str, asked: tuple[int, int], known: tuple[int, int]) -> None:
    if asked[0] >= asked[1]:
        raise PineError(
            f"{strategy}: found bars from {isoformat(known[0])} to {isoformat(known[1])}, "
            f"expected some from {isoformat(asked[0])} on"
        )


def _look_ahead(first: int, count: int, rule: SessionRule) -> int:
    """Return where the session begins before which so many scheduled ones are known, from an instant on."""
    begin = session_begin(first, rule)
    while begin < first or count:
        span = session(max(begin, first), rule)
        count -= begin >= first and scheduled_hours(rule.group, span.start, span.end) > 0
        begin = span.end
    return begin


def _timeframes(config: "Config", strategy: str, standards: Standards) -> tuple[Timeframe, ...]:
    from pine.strategies.catalog import strategy_class  # imports Backtrader

    return standards.timeframes(strategy_class(config.strategies[strategy].type).timeframes)


def _whole(ts: int) -> int:
    return ts - ts % NS_PER_MINUTE
