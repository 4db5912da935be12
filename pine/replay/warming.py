"""What a replayed strategy is fed before its first step: as a worker that starts then."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pine.core.bar import Bar
from pine.core.calendar import scheduled_hours
from pine.core.config import WarmUpConfig
from pine.core.errors import DataError, WarmUpMissing
from pine.core.period import SessionRule, period, session_begin
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.core.times import isoformat
from pine.feeds.warmup import Question, WarmUp, questions
from pine.history.answer import History
from pine.history.manifest import Interval, holds
from pine.history.refill import Refill, digest

if TYPE_CHECKING:
    from pine.history.archive import Archive

TOLD: Final = 3


def gather(
    strategy: str,
    history: History,
    rules: Mapping[str, SessionRule],
    timeframes: Sequence[Timeframe],
    reach: WarmUpConfig,
    until: int,
) -> WarmUp:
    """Return the bars that a worker starting at a step would be fed; nothing is bought.

    Parameters
    ----------
    strategy
        For the message.
    history
        Where from.
    rules
        Session rule of each symbol, in the strategy's order.
    timeframes, reach
        What it reads, and how many sessions back.
    until
        The step in ns.

    Raises
    ------
    WarmUpMissing
        If some of them are not known.
    """
    bars: list[Bar] = []
    missing: list[str] = []
    for question in questions(rules, timeframes, reach, until):
        answer = history.bars(question.symbol, question.timeframe, question.begin, question.end)
        rule = rules[question.symbol]
        bars += [bar for bar in answer.bars if not holds(answer.holes, bar.start)]
        missing += [_told(question, hole) for hole in answer.holes if _is_scheduled(question.timeframe, hole, rule)]
    if missing:
        more = f"\n  and {len(missing) - TOLD} more" if len(missing) > TOLD else ""
        raise WarmUpMissing(
            f"warm-up of {strategy} before {isoformat(until)}: history is missing\n"
            + "\n".join(f"  {line}" for line in missing[:TOLD])
            + more
            + "\nfill the archive (pine import, pine bars --buy), begin later with --from, set warm_up to fewer "
            "sessions, or replay with --warm-up off"
        )
    return WarmUp(until, tuple(bars))


def filled(archive: "Archive", told: Refill) -> Sequence[Bar]:
    """Return the minutes of a hole that was filled.

    Raises
    ------
    DataError
        If the archive has others than the hub named.
    """
    bars = archive.bars(told.symbol, Timeframe.MINUTE, told.first_minute, told.last_minute + NS_PER_MINUTE)
    if not told.matches(bars):
        raise DataError(
            f"archive {archive.store.shown}: {told.symbol} from {isoformat(told.first_minute)}: found {len(bars)} "
            f"minutes with digest {digest(bars)}, expected {told.minutes} with digest {told.digest} as a refill says"
        )
    return bars


def _told(question: Question, hole: Interval) -> str:
    return f"{question.symbol} {question.timeframe.value}: {isoformat(hole[0])} to {isoformat(hole[1])}"


def _is_scheduled(timeframe: Timeframe, hole: Interval, rule: SessionRule) -> bool:
    """Tell whether trading is scheduled in a hole, which is told by the starts of bars."""
    begin, end = hole
    if timeframe is Timeframe.DAY:
        begin, end = session_begin(begin, rule), period(timeframe, end - 1, rule).end
    return scheduled_hours(rule.group, begin, end) > 0
