"""One history, however it is split over the sources: the same bars, holes named exactly, contradictions found."""

from collections.abc import Sequence
from functools import cache

import pytest
from attrs import define, evolve, field, frozen
from hypothesis import assume, given
from hypothesis import strategies as st

from pine.core.bar import Bar, fold
from pine.core.errors import SourcesDiffer
from pine.core.period import SessionRule, period, session, session_begin
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, Timeframe
from pine.core.times import isoformat, parse_time
from pine.history.answer import Answer, Held, History
from pine.history.historical import Price
from pine.history.manifest import Interval, common, joined, without

RULE = SessionRule()
BEGIN = parse_time("2024-06-06T23:00")
"""A Thursday in summer: Sunday's first hour belongs to Monday's session."""
END = BEGIN + 5 * NS_PER_DAY
MINUTE, HOUR, DAY = Timeframe.MINUTE, Timeframe.HOUR, Timeframe.DAY
CUTS = range(0, (END - BEGIN) // NS_PER_MINUTE, 30)


def minute(start: int, close: float = 5000.25) -> Bar:
    return Bar("ES", MINUTE, start, close - 1, close + 1, close - 2, close, 3, 7, "ESM4")


@cache
def truth(timeframe: Timeframe) -> tuple[Bar, ...]:
    """Return every bar of a sparse market of five sessions: a minute in seventeen, silent on Saturday."""
    minutes = [
        minute(BEGIN + n * NS_PER_MINUTE, 5000.0 + n % 37)
        for n in range(0, (END - BEGIN) // NS_PER_MINUTE, 17)
        if not BEGIN + NS_PER_DAY <= BEGIN + n * NS_PER_MINUTE < BEGIN + 3 * NS_PER_DAY - NS_PER_HOUR
    ]
    if timeframe is MINUTE:
        return tuple(minutes)
    of: dict[int, list[Bar]] = {}
    for bar in minutes:
        of.setdefault(period(timeframe, bar.start, RULE).start, []).append(bar)
    return tuple(fold(bars, timeframe, start) for start, bars in sorted(of.items()))


@cache
def whole(timeframe: Timeframe, ts: int) -> Interval:
    """Return the period that holds an instant, from its first to its last."""
    if timeframe is DAY:
        return session_begin(ts, RULE), session(ts, RULE).end
    return period(timeframe, ts, RULE)


def inside(timeframe: Timeframe, covered: Sequence[Interval]) -> tuple[Interval, ...]:
    """Return the whole periods within some intervals."""
    if timeframe is MINUTE:
        return joined(covered)
    found = []
    for begin, end in joined(covered):
        at = begin
        while at < end:
            first, last = whole(timeframe, at)
            if begin <= first and last <= end:
                found.append((first, last))
            at = last
    return joined(found)


@frozen
class Place:
    """A source that covers some minutes of the true history, and their hours and days."""

    minutes: tuple[Interval, ...]
    where: str = "here"
    changed: dict[tuple[Timeframe, int], Bar | None] = field(factory=dict)
    longer: bool = True

    def covered(self, symbol: str, timeframe: Timeframe) -> tuple[Interval, ...]:
        assert symbol == "ES"
        return inside(timeframe, self.minutes) if self.longer or timeframe is MINUTE else ()

    def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        covered = common(self.covered(symbol, timeframe), within)
        bars = {bar.start: bar for bar in truth(timeframe) if contains(covered, bar.start)}
        for (kind, start), bar in self.changed.items():
            if kind is timeframe and contains(covered, start):
                bars.pop(start, None)
                bars |= {} if bar is None else {start: bar}
        return Held(covered, tuple(bars[start] for start in sorted(bars)), self.where)


@frozen
class Shop(Place):
    """A source that is paid, and notes what it was asked for."""

    bought: list[Interval] = field(factory=list)
    longer: bool = False

    def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        assert timeframe is MINUTE
        self.bought.extend(within)
        return super().held(symbol, timeframe, within)

    def price(self, symbol: str, within: Sequence[Interval]) -> Price:
        return Price(sum(end - begin for begin, end in within) / NS_PER_HOUR)


def contains(intervals: Sequence[Interval], ts: int) -> bool:
    return any(begin <= ts < end for begin, end in intervals)


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Interval, ...]:
    """Some intervals on a grid that cuts hours in two, often on the edges of sessions."""
    edges = st.one_of(st.sampled_from(CUTS), st.integers(0, 5).map(lambda n: n * 1440))
    pairs = draw(st.lists(st.tuples(edges, edges), max_size=4))
    return joined((BEGIN + min(p) * NS_PER_MINUTE, BEGIN + max(p) * NS_PER_MINUTE) for p in pairs)


@cache
def periods(timeframe: Timeframe) -> tuple[tuple[int, Interval], ...]:
    """Return every period around the market: its start, and the whole of it."""
    found = []
    at = whole(DAY, BEGIN - 4 * NS_PER_DAY)[0]
    while at < END + 4 * NS_PER_DAY:
        span = whole(timeframe, at)
        found.append((period(timeframe, at, RULE).start, span))
        at = span[1]
    return tuple(found)


def starts(timeframe: Timeframe, begin: int, end: int) -> list[tuple[int, Interval]]:
    """Return the periods that start between two times."""
    return [(start, span) for start, span in periods(timeframe) if begin <= start < end]


def check(answer: Answer, known: Sequence[Interval], begin: int, end: int) -> None:
    """See that an answer has every bar of the periods that are known, and names every other one."""
    timeframe = answer.timeframe
    bars = {bar.start: bar for bar in truth(timeframe)}
    here = {bar.start: bar for bar in answer.bars}
    assert list(here) == sorted(here)
    assert here.keys() <= {start for start, _ in starts(timeframe, begin, end)}
    for start, span in starts(timeframe, begin, end):
        is_known = any(a <= span[0] and span[1] <= b for a, b in known)
        assert contains(answer.holes, start) == (not is_known)
        assert here.get(start) == (bars.get(start) if is_known else None)
    assert all(starts(timeframe, a, b) for a, b in answer.holes)
    assert answer.holes == joined(answer.holes)


frames = st.sampled_from(list(Timeframe))
times = st.integers(-3000, 5 * 1440 + 3000).map(lambda n: BEGIN + n * NS_PER_MINUTE)


@pytest.mark.examples(150, long=400)
@given(stretches(), stretches(), stretches(), frames, times, times, st.booleans())
def test_any_split_of_a_history_answers_the_same_bars_or_names_the_hole(
    one: tuple[Interval, ...],
    two: tuple[Interval, ...],
    three: tuple[Interval, ...],
    timeframe: Timeframe,
    a: int,
    b: int,
    buy: bool,
) -> None:
    begin, end = min(a, b), max(a, b)
    shop = Shop(three)
    history = History(lambda _: RULE, Place(one, "on the streams"), Place(two, "in the archive"), shop)
    free = joined([*one, *two])
    answer = history.bars("ES", timeframe, begin, end, buy=buy)
    check(answer, joined([*free, *three]) if buy else free, begin, end)
    assert common(shop.bought, free) == ()
    assert without(shop.bought, three) == ()
    assert sum(b - a for a, b in shop.bought) == sum(b - a for a, b in joined(shop.bought))
    assert buy or shop.bought == []
    if buy:  # nothing is bought that does not complete a bar's time
        asked = joined(span for _, span in starts(timeframe, begin, end))
        assert without(shop.bought, asked) == ()


@pytest.mark.examples(60, long=150)
@given(stretches(), stretches(), frames, st.data())
def test_a_contradiction_is_always_found(
    one: tuple[Interval, ...], two: tuple[Interval, ...], timeframe: Timeframe, data: st.DataObject
) -> None:
    overlap = common(inside(timeframe, one), inside(timeframe, two))
    possible = [start for start, span in starts(timeframe, BEGIN, END) if contains(overlap, span[0])]
    assume(possible)
    start = data.draw(st.sampled_from(possible))
    bars = {bar.start: bar for bar in truth(timeframe)}
    there = bars.get(start)
    wrong = [evolve(minute(start), timeframe=timeframe)]
    if there is not None:
        wrong = [evolve(there, close=there.low), evolve(there, volume=there.volume + 1), None]  # type: ignore[list-item]
        wrong += [evolve(there, contract_symbol="ESU4")]
    changed = {(timeframe, start): data.draw(st.sampled_from([bar for bar in wrong if bar != there]))}
    places = [Place(one, "on the streams"), Place(two, "in the archive")]
    which = data.draw(st.integers(0, 1))
    places[which] = evolve(places[which], changed=changed)
    history = History(lambda _: RULE, *places)
    with pytest.raises(SourcesDiffer) as raised:
        history.bars("ES", timeframe, BEGIN, END)
    sides = [str(there or "no bar"), str(changed[(timeframe, start)] or "no bar")]
    sides = sides[::-1] if which == 0 else sides
    told = f"{isoformat(start)}: found {sides[0]} on the streams, and {sides[1]} in the archive"
    assert told in str(raised.value)


def test_the_first_difference_is_the_one_that_is_told() -> None:
    everything = ((BEGIN, END),)
    wrong = {(MINUTE, bar.start): evolve(bar, volume=99) for bar in truth(MINUTE)[5:8]}
    history = History(lambda _: RULE, Place(everything, "on the streams"), Place(everything, "in the archive", wrong))
    with pytest.raises(SourcesDiffer, match=r"1min bars of ES, 2024-06-07T00:25.*volume=3.*volume=99"):
        history.bars("ES", MINUTE, BEGIN, END)


def test_what_is_bought_must_agree_with_a_minute_that_is_there_and_not_covered() -> None:
    held = truth(MINUTE)[3]

    @frozen
    class Tail(Place):
        def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
            return Held((), (evolve(held, close=held.low),), "on the streams")

    history = History(lambda _: RULE, Tail(()), None, Shop(((BEGIN, END),), "at Databento Historical"))
    with pytest.raises(SourcesDiffer, match=r"on the streams, and .* at Databento Historical"):
        history.bars("ES", MINUTE, BEGIN, END, buy=True)


def test_an_hour_that_was_published_over_a_part_of_its_time_is_answered_and_named_until_it_is_known_whole() -> None:
    partial = evolve(truth(HOUR)[0], volume=1)

    @frozen
    class Late(Place):
        def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
            found = super().held(symbol, timeframe, within)
            return evolve(found, bars=(partial, *found.bars)) if timeframe is HOUR else found

    late = Late(((BEGIN + 30 * NS_PER_MINUTE, END),), "on the streams")
    history = History(lambda _: RULE, late, None, Shop(((BEGIN, END),), "at Databento Historical"))
    answer = history.bars("ES", HOUR, BEGIN, END)
    assert answer.bars == (partial, *truth(HOUR)[1:])
    assert answer.holes == ((BEGIN, BEGIN + NS_PER_HOUR),)
    filled = history.bars("ES", HOUR, BEGIN, END, buy=True)
    assert (filled.bars, filled.holes) == (truth(HOUR), ())


def test_a_hole_that_is_filled_by_minutes_makes_its_hour_and_its_day() -> None:
    hole = (BEGIN + 90 * NS_PER_MINUTE, BEGIN + 100 * NS_PER_MINUTE)
    lost = without([(BEGIN, END)], [hole])
    for timeframe in Timeframe:
        shop = Shop(((BEGIN, END),), "at Databento Historical")
        history = History(lambda _: RULE, Place(lost, "on the streams"), None, shop)
        assert contains(history.bars("ES", timeframe).holes, whole(timeframe, hole[0])[0])
        prices: list[Price] = []
        answer = history.bars("ES", timeframe, BEGIN, END, buy=True, on_price=prices.append)
        assert (answer.bars, answer.holes) == (truth(timeframe), ())
        assert shop.bought == [hole]
        assert prices == [Price(1 / 6)] == [history.price("ES", timeframe, BEGIN, END)]


def test_an_open_question_reaches_from_the_first_to_the_last_that_is_known() -> None:
    known = (BEGIN + NS_PER_DAY, END - NS_PER_DAY)
    history = History(lambda _: RULE, None, Place((known,)))
    answer = history.bars("ES", MINUTE)
    assert (answer.begin, answer.end, answer.holes) == (*known, ())
    late = (BEGIN + 30 * NS_PER_MINUTE, END - 20 * NS_PER_MINUTE)  # the last hour and the last day are not over
    hours = History(lambda _: RULE, Place((late,))).bars("ES", HOUR)
    assert (hours.begin, hours.end, hours.holes) == (BEGIN + NS_PER_HOUR, END - NS_PER_HOUR, ())
    days = History(lambda _: RULE, Place((late,))).bars("ES", DAY)
    assert (days.begin, days.end, days.holes) == (BEGIN + NS_PER_DAY, END - NS_PER_DAY, ())
    nothing = History(lambda _: RULE).bars("ES", DAY)
    assert (nothing.bars, nothing.holes) == ((), ())


@define
class Growing:
    """A source to which a hub publishes whenever somebody looks: its bars reach beyond what it said it covers."""

    until: int

    def covered(self, symbol: str, timeframe: Timeframe) -> tuple[Interval, ...]:
        self.until += 34 * NS_PER_MINUTE
        return Place(((BEGIN, self.until),)).covered(symbol, timeframe)

    def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        covered = self.covered(symbol, timeframe)
        return evolve(Place(((BEGIN, END),)).held(symbol, timeframe, within), covered=common(covered, within))


@pytest.mark.parametrize("timeframe", Timeframe)
def test_what_is_published_while_it_is_asked_for_is_not_missing(timeframe: Timeframe) -> None:
    answer = History(lambda _: RULE, Growing(BEGIN + NS_PER_DAY)).bars("ES", timeframe)
    assert answer.holes == ()
    assert [bar.start for bar in answer.bars] == [bar.start for bar in truth(timeframe) if bar.start < answer.end]
    assert answer.end >= BEGIN + NS_PER_DAY - NS_PER_HOUR


def test_hours_and_days_of_minutes_that_were_imported_alone_are_folded() -> None:
    history = History(lambda _: RULE, None, Place(((BEGIN, END),), longer=False))
    for timeframe in Timeframe:
        assert history.bars("ES", timeframe).bars == truth(timeframe)
        assert history.bars("ES", timeframe).holes == ()
