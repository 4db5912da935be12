"""However a history is divided among sources, it is gathered whole, or what is missing is named."""

import threading
from typing import Any

import pytest
import sessions
from attrs import define
from hypothesis import given
from hypothesis import strategies as st
from sessions import ROOTS, START, config_of

from pine.core.bar import fold
from pine.core.calendar import scheduled_hours
from pine.core.config import Config, WarmUpConfig
from pine.core.errors import WarmUpMissing
from pine.core.period import period, session_begin
from pine.core.timeframe import NS_PER_HOUR, Timeframe
from pine.core.times import parse_time
from pine.feeds.past import Past
from pine.feeds.warmup import Question, questions
from pine.history.answer import Held, History
from pine.history.historical import Price
from pine.history.leads import look_back
from pine.history.manifest import Interval, common, joined, without
from pine.worker.coldstart import ColdStart


@define
class Place:
    """A source of the minutes of some intervals."""

    intervals: tuple[Interval, ...]

    def covered(self, symbol: str, timeframe: Timeframe) -> tuple[Interval, ...]:
        assert symbol in ROOTS
        return self.intervals if timeframe is Timeframe.MINUTE else ()

    def held(self, symbol: str, timeframe: Timeframe, within: Any) -> Held:
        covered = common(self.covered(symbol, timeframe), within)
        bars = (bar for bar in sessions.bars(symbol, timeframe) if any(a <= bar.start < b for a, b in covered))
        return Held(covered, tuple(bars), "here")

    def price(self, symbol: str, within: Any) -> Price:
        return Price()


HOURS = range(-24, 11 * 24)
FIRST = parse_time("2024-03-03T23:00")


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Interval, ...]:
    pairs = draw(st.lists(st.tuples(st.sampled_from(HOURS), st.sampled_from(HOURS)), max_size=4))
    return joined((FIRST + min(p) * NS_PER_HOUR // 2, FIRST + max(p) * NS_PER_HOUR) for p in pairs)


def covers(asked: list[Question], known: tuple[Interval, ...]) -> bool:
    """Tell whether every scheduled minute that is asked for is known; hours and days are made of whole ones."""
    wanted = {(question.begin, question.end) for question in asked}
    missing = without(wanted, known)
    return not any(scheduled_hours("equity", a, b) for a, b in missing)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return config_of(tmp_path_factory.mktemp("plain"))


@pytest.mark.examples(8, long=25)
@given(stretches(), stretches(), st.integers(0, 4), st.integers(0, 3), st.booleans())
def test_any_split_of_the_history_warms_up_with_the_same_steps_or_names_what_is_missing(
    plain: Config, one: tuple[Interval, ...], two: tuple[Interval, ...], daily: int, hourly: int, rest: bool
) -> None:
    config = plain
    rules = {symbol: config.session_rule(symbol) for symbol in ROOTS}
    reach = WarmUpConfig(daily, hourly, 1)
    asked = questions(rules, tuple(Timeframe), reach, START)
    cold = ColdStart(config, "one", None, (), WarmUpConfig(), threading.Event(), print, print)  # type: ignore[arg-type]
    everything = ((0, 1 << 61),)
    wanted = cold.gather(History(config.session_rule, Place(everything)), asked)
    bought: list[Interval] = []
    if rest:
        paying = History(config.session_rule, Place(one), Place(two), Place(everything))
        bought += [hole for q in asked for hole in paying.lacking(q.symbol, q.timeframe, q.begin, q.end)]
    history = History(config.session_rule, Place(one), Place(joined([*two, *bought])))
    if not covers(asked, joined([*one, *two, *(everything if rest else ())])):
        with pytest.raises(WarmUpMissing, match="missing 2024-"):
            cold.gather(history, asked)
        return
    found = cold.gather(history, asked)
    assert found == wanted
    steps = []
    for bars in (found, wanted):
        past = Past(rules, {timeframe: reach.sessions(timeframe) for timeframe in Timeframe})
        for bar in bars:
            past.add(bar)
        steps.append(past.steps(START))
    assert steps[0] == steps[1]
    for symbol, rule in rules.items():
        begin = session_begin(START, rule)
        days = [bar for step in steps[0] for bar in step.bars if (bar.symbol, bar.timeframe) == (symbol, Timeframe.DAY)]
        first = look_back(begin, daily, rule)
        minutes = [bar for bar in sessions.bars(symbol, Timeframe.MINUTE) if first <= bar.start < begin]
        starts = dict.fromkeys(period(Timeframe.DAY, bar.start, rule).start for bar in minutes)
        assert days == [
            fold([bar for bar in minutes if period(Timeframe.DAY, bar.start, rule).start == at], Timeframe.DAY, at)
            for at in starts
        ]
