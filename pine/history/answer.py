"""One question, ``bars(symbol, timeframe, begin, end)``, answered from streams, archive and Databento Historical.

The streams are asked first, then the archive, then, if the caller allows it, Historical, which costs money. Hours and
days that neither streams nor archive have for certain are folded from minutes, of whichever source, by the one period
function.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Final, Protocol

from attrs import define, evolve, field, frozen

from pine.core.bar import Bar, fold
from pine.core.errors import SourcesDiffer
from pine.core.period import Period, SessionRule, period, session_begin
from pine.core.timeframe import Timeframe
from pine.core.times import isoformat
from pine.history.manifest import Interval, common, joined, without

if TYPE_CHECKING:
    from pine.bus.client import Client
    from pine.core.config import Config
    from pine.history.historical import HistoricalSource, Price

EARLIEST: Final = 0
LATEST: Final = 1 << 62


@frozen
class Held:
    """What a source has of a question.

    Attributes
    ----------
    covered
        Where, by the starts of bars in ns, everything that there was is among `bars`: no bar there means a quiet time.
    bars
        In order. Those outside `covered` are, if hours or days, perhaps of a part of their time only.
    where
        Which source, as a message says it.
    cost
        Dollars that were spent on it.
    """

    covered: tuple[Interval, ...] = ()
    bars: tuple[Bar, ...] = ()
    where: str = ""
    cost: float = 0.0


class Source(Protocol):
    """Somewhere that bars are held; times are starts of bars, in ns."""

    def covered(self, symbol: str, timeframe: Timeframe) -> Sequence[Interval]:
        """Return where it has, or can get, everything that there was; in order."""
        ...

    def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        """Return what it has in some intervals, as of one moment."""
        ...


class PaidSource(Source, Protocol):
    """A source of minutes that has to be paid for what it returns."""

    def price(self, symbol: str, within: Sequence[Interval]) -> "Price":
        """Return what the minutes of some intervals would cost."""
        ...


@frozen
class Answer:
    """Bars that start in ``begin <= t < end`` (ns), and what is missing.

    Attributes
    ----------
    begin, end
        What was asked for, from one start of a bar to another; where the question left them open, what there is.
    bars
        In order.
    holes
        Where nobody knows all that there was, by the starts of bars. A time without a bar that is in none of them was
        quiet. An hour or day inside one that was published nonetheless, over less than its time, is among the bars.
    cost
        Dollars that were spent on it.
    """

    symbol: str
    timeframe: Timeframe
    begin: int
    end: int
    bars: tuple[Bar, ...] = ()
    holes: tuple[Interval, ...] = ()
    cost: float = 0.0


@define(eq=False)
class History:
    """Everything that is known of the past.

    Parameters
    ----------
    rule
        Returns the sessions of a root.
    streams, archive
        Asked always, in this order; nothing where one is not at hand.
    historical
        Asked for the minutes that neither has, where the caller allows it.
    """

    rule: Callable[[str], SessionRule]
    streams: Source | None = None
    archive: Source | None = None
    historical: PaidSource | None = None

    @classmethod
    def of(cls, config: "Config", client: "Client | None", vendor: "HistoricalSource | None" = None) -> "History":
        """Return the history that a configuration names.

        Parameters
        ----------
        config
            The configuration.
        client
            Connection to the streams, if there is one.
        vendor
            Who sells what is missing, if anybody.

        Raises
        ------
        ArchiveError
            If the archive cannot be opened.
        """
        from pine.history.archive import Archive
        from pine.history.sources import ArchiveBars, StreamBars

        streams = None if client is None else StreamBars(client, config.session_rule, frozenset(config.instruments))
        archive = ArchiveBars(Archive.of(config))
        historical = None
        if vendor is not None:
            from pine.history.purchases import HistoricalBars  # imports numpy

            leads = [source.leads for source in (archive, streams) if source is not None]
            historical = HistoricalBars(vendor, archive.archive, config.session_rule, leads)
        return cls(config.session_rule, streams, archive, historical)

    def bars(
        self,
        symbol: str,
        timeframe: Timeframe,
        begin_ns: int | None = None,
        end_ns: int | None = None,
        *,
        buy: bool = False,
        on_price: Callable[["Price"], None] = lambda _: None,
    ) -> Answer:
        """Return the bars that start in ``begin_ns <= t < end_ns``, and where some are missing.

        Parameters
        ----------
        symbol, timeframe
            Root, and length of the bars.
        begin_ns, end_ns
            In ns; what is left out is where streams and archive begin or end.
        buy
            Whether minutes that neither streams nor archive have are bought from Historical; they are kept in the
            archive, so that nothing is bought twice.
        on_price
            Told what that will cost before it is bought, if anything is.

        Raises
        ------
        SourcesDiffer
            If two sources hold different bars of the same time.
        ArchiveDiffers
            If the archive holds something else than what was bought.
        HistoryError, KeyRefused, SecretMissing
            If it cannot be bought, or would cost more than the configuration allows.
        """
        looked = self._look(symbol, timeframe, begin_ns, end_ns, paying=buy)
        minutes, cost = looked.minutes, 0.0
        if buy and looked.wanted and self.historical is not None:
            on_price(self.historical.price(symbol, looked.wanted))
            bought = self.historical.held(symbol, Timeframe.MINUTE, looked.wanted)
            minutes, cost = _merged(minutes, bought, Timeframe.MINUTE), bought.cost
        return evolve(looked.answer(minutes), cost=cost)

    def price(
        self, symbol: str, timeframe: Timeframe, begin_ns: int | None = None, end_ns: int | None = None
    ) -> "Price | None":
        """Return what `bars` would cost if it was allowed to buy, nothing if there is nothing to buy; raises as it."""
        wanted = self._look(symbol, timeframe, begin_ns, end_ns, paying=True).wanted
        return self.historical.price(symbol, wanted) if wanted and self.historical is not None else None

    def lacking(self, symbol: str, timeframe: Timeframe, begin_ns: int, end_ns: int) -> tuple[Interval, ...]:
        """Return the minutes that a whole answer takes and neither streams nor archive have; raises as `bars`."""
        look = self._look(symbol, timeframe, begin_ns, end_ns, paying=False)
        return look.missing if timeframe is Timeframe.MINUTE else without(look.spans, look.minutes.covered)

    def holes(self, symbol: str, begin_ns: int, end_ns: int) -> tuple[Interval, ...]:
        """Return where, between two times in ns, neither streams nor archive have all minutes of a root."""
        return without([(begin_ns, end_ns)], self._covered(symbol, Timeframe.MINUTE))

    def _look(self, symbol: str, timeframe: Timeframe, begin: int | None, end: int | None, *, paying: bool) -> "_Look":
        """Return what is known without paying, and which minutes would have to be bought."""
        rule = self.rule(symbol)
        asked = (EARLIEST if begin is None else begin, LATEST if end is None else end)
        known = self._covered(symbol, timeframe)  # before bars are read: what a hub publishes meanwhile is not missing
        direct = self._free(symbol, timeframe, [asked])
        edges = self._edges(symbol, timeframe, known, direct, rule)
        first = edges[0] if begin is None else _first_start(timeframe, begin, rule)
        last = max(first, edges[1] if end is None else _first_start(timeframe, end, rule))
        look = _Look(symbol, timeframe, rule, first, last, direct)
        if not look.missing:
            return look
        if timeframe is not Timeframe.MINUTE:
            look = evolve(look, minutes=self._free(symbol, Timeframe.MINUTE, look.spans))
        if paying and self.historical is not None:
            look = evolve(look, wanted=look.to_buy(self.historical.covered(symbol, Timeframe.MINUTE)))
        return look

    def _free(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        return together((self.streams, self.archive), symbol, timeframe, within)

    def _edges(
        self, symbol: str, timeframe: Timeframe, known: Sequence[Interval], direct: Held, rule: SessionRule
    ) -> Interval:
        """Return where what is known without paying begins and ends; an hour or day under way does not count."""
        bars = [(bar.start, bar.start + 1) for bar in direct.bars]
        begins = [begin for begin, _ in (*known, *bars)]
        ends = [_first_start(timeframe, max(end for _, end in known or bars), rule)] if known or bars else []
        minutes = [] if timeframe is Timeframe.MINUTE else self._covered(symbol, Timeframe.MINUTE)
        begins += [begin for begin, _ in minutes]
        ends += [period(timeframe, end, rule).start for _, end in minutes]
        return _first_start(timeframe, min(begins, default=0), rule), max(ends, default=0)

    def _covered(self, symbol: str, timeframe: Timeframe) -> list[Interval]:
        sources = [source for source in (self.streams, self.archive) if source is not None]
        return [interval for source in sources for interval in source.covered(symbol, timeframe)]


def together(sources: Sequence[Source | None], symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
    """Return what several sources have, those that are not at hand left out.

    Raises
    ------
    SourcesDiffer
        If two of them hold different bars of the same time.
    """
    found = [source.held(symbol, timeframe, within) for source in sources if source is not None]
    return reduce(lambda one, other: _merged(one, other, timeframe), found, Held())


@frozen
class _Look:
    """A question, from one start of a bar to another, and what is known of it without paying.

    Attributes
    ----------
    direct
        Bars as they were published or imported.
    minutes
        Of which the rest can be folded; of a question for minutes nothing.
    wanted
        Intervals whose minutes would have to be bought.
    """

    symbol: str
    timeframe: Timeframe
    rule: SessionRule
    begin: int
    end: int
    direct: Held
    minutes: Held = field(factory=Held)
    wanted: tuple[Interval, ...] = ()

    @property
    def missing(self) -> tuple[Interval, ...]:
        """Where neither streams nor archive have everything, by the starts of bars."""
        return self._with_starts(without([(self.begin, self.end)], self.direct.covered))

    @property
    def spans(self) -> tuple[Interval, ...]:
        """The whole periods that have a start where something is missing."""
        return joined(
            (self._whole(begin)[0], self._whole(_last_start(self.timeframe, end, self.rule))[1])
            for begin, end in self.missing
        )

    def to_buy(self, available: Sequence[Interval]) -> tuple[Interval, ...]:
        """Return the minutes that would complete what can be completed."""
        if self.timeframe is Timeframe.MINUTE:
            return common(self.missing, available)
        whole = [self._whole(start) for start in self._within(joined([*self.minutes.covered, *available]))]
        return without(whole, self.minutes.covered)

    def answer(self, minutes: Held) -> Answer:
        """Return the answer with what is known of minutes."""
        if self.timeframe is Timeframe.MINUTE:
            found = _merged(self.direct, minutes, self.timeframe)
        else:
            found = _merged(self.direct, self._folded(minutes), self.timeframe)
        bars = tuple(bar for bar in found.bars if self.begin <= bar.start < self.end)
        holes = self._with_starts(without([(self.begin, self.end)], found.covered))
        return Answer(self.symbol, self.timeframe, self.begin, self.end, bars, holes)

    def _folded(self, minutes: Held) -> Held:
        """Return the bars of the periods that are missing and of which all minutes are known."""
        starts = list(self._within(minutes.covered))
        of: dict[int, list[Bar]] = {start: [] for start in starts}
        for minute in minutes.bars:
            start = period(self.timeframe, minute.start, self.rule).start
            if start in of:
                of[start].append(minute)
        bars = tuple(fold(of[start], self.timeframe, start) for start in starts if of[start])
        return Held(joined(self._whole(start) for start in starts), bars, "folded from minutes")

    def _within(self, known: Iterable[Interval]) -> Iterator[int]:
        """Yield the starts of the periods that are missing and lie wholly where minutes are known."""
        missing = self.missing
        for begin, end in common(self.spans, known):
            start = _first_start(self.timeframe, begin, self.rule)
            while (whole := self._whole(start))[1] <= end:
                if whole[0] >= begin and _is_in(start, missing):
                    yield start
                start = _first_start(self.timeframe, whole[1], self.rule)

    def _whole(self, start: int) -> Interval:
        """Return the period that starts at an instant, with what it took in before its start."""
        found = period(self.timeframe, start, self.rule)
        if self.timeframe is Timeframe.DAY:
            return session_begin(start, self.rule), found.end
        return found

    def _with_starts(self, intervals: Iterable[Interval]) -> tuple[Interval, ...]:
        """Return intervals from start to start of a bar; one in which none starts is left out."""
        return joined(
            (_first_start(self.timeframe, begin, self.rule), _first_start(self.timeframe, end, self.rule))
            for begin, end in intervals
        )


def _first_start(timeframe: Timeframe, ts: int, rule: SessionRule) -> int:
    """Return the first start of a period at or after an instant."""
    found: Period = period(timeframe, ts, rule)
    return found.start if found.start >= ts else period(timeframe, found.end, rule).start


def _last_start(timeframe: Timeframe, ts: int, rule: SessionRule) -> int:
    """Return the last start of a period before an instant."""
    found = period(timeframe, ts - 1, rule)
    while found.start >= ts:
        found = period(timeframe, session_begin(ts - 1, rule) - 1, rule)
    return found.start


def _merged(one: Held, other: Held, timeframe: Timeframe) -> Held:
    """Return what two sources have together.

    Raises
    ------
    SourcesDiffer
        If one has a bar that the other does not have, or has differently, where both know all there was; minutes,
        which are always whole, also where one of them merely has a bar.
    """
    mine, theirs = ({bar.start: bar for bar in held.bars} for held in (one, other))
    if not mine and not one.covered:
        return evolve(other, covered=joined(other.covered))
    if not theirs and not other.covered:
        return one
    bars = []
    for start in sorted({*mine, *theirs}):
        a, b = mine.get(start), theirs.get(start)
        certain_a, certain_b = _is_in(start, one.covered), _is_in(start, other.covered)
        both = certain_a and certain_b
        if timeframe is Timeframe.MINUTE:
            both = (certain_a or a is not None) and (certain_b or b is not None)
        elif not (certain_a or certain_b):
            both = a is not None and b is not None
        if both and a != b:
            raise SourcesDiffer(
                f"history of {timeframe.value} bars of {(a or b).symbol}, {isoformat(start)}: "  # type: ignore[union-attr]
                f"found {a or 'no bar'} {one.where}, and {b or 'no bar'} {other.where}, expected the same; "
                "pine archive verify shows whether a file was damaged"
            )
        chosen = b if certain_b and not certain_a else a if certain_a or a is not None else b
        bars += [chosen] if chosen is not None else []
    where = " or ".join(part for part in (one.where, other.where) if part)
    return Held(joined([*one.covered, *other.covered]), tuple(bars), where)


def _is_in(ts: int, intervals: Sequence[Interval]) -> bool:
    at = bisect_right(intervals, (ts, LATEST + 1)) - 1
    return at >= 0 and intervals[at][0] <= ts < intervals[at][1]
