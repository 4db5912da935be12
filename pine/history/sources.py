"""The three places that hold bars, each saying what it covers and what it holds."""

from collections.abc import Callable, Collection, Mapping, Sequence

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.bar import Bar
from pine.core.errors import DataError, TooDear
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import to_ms
from pine.history.answer import Held
from pine.history.archive import Archive
from pine.history.coverage import complete, holes, seen
from pine.history.historical import HistoricalSource, Price
from pine.history.manifest import Interval, common, joined

Rule = Callable[[str], SessionRule]
Leads = Callable[[str], Mapping[int, str]]
"""Returns the contract that led a root, by start of session in ns, as far as it is known."""


@frozen
class StreamBars:
    """What a hub has published and nobody has trimmed.

    Parameters
    ----------
    client
        Connection to the server.
    rule
        Returns the sessions of a root.
    published
        Roots that a hub publishes now: of these a silence up to the newest clock entry says that nothing was traded.
    """

    client: Client
    rule: Rule
    published: Collection[str]

    def covered(self, symbol: str, timeframe: Timeframe) -> tuple[Interval, ...]:
        """Return where the streams have everything that there was."""
        clock = streams.last_id(self.client, keys.CLOCK)
        rule = self.rule(symbol)
        known = seen(self.client, symbol, timeframe, rule)
        if known is None or clock is None:
            return ()
        begin, end = known
        if symbol in self.published:
            end = streams.ms_of(clock) * NS_PER_MS

        def session_of(ts: int) -> Interval:
            return session_begin(ts, rule), session(ts, rule).end

        span = (session_of(begin)[0], session_of(end)[1])
        events = streams.read_range(self.client, keys.EVENTS, str(to_ms(span[0])))
        lost = [hole for name, hole in holes(events) if name == symbol]
        return complete(timeframe, span, (begin, end), lost, session_of)

    def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        """Return what the streams have.

        Raises
        ------
        DataError
            If an entry is no bar of its stream and time.
        """
        before = self.covered(symbol, timeframe)
        bars = tuple(bar for begin, end in joined(within) for bar in self._read(symbol, timeframe, begin, end))
        # A hub publishes and somebody trims meanwhile: what was there all the time counts.
        steady = common(before, self.covered(symbol, timeframe))
        return Held(common(steady, within), bars, "on the streams")

    def leads(self, symbol: str) -> dict[int, str]:
        """Return the contract that led a root, by start of session in ns."""
        found = self.client.hgetall(keys.lead(symbol))
        return {int(name) * NS_PER_MS: value.decode() for name, value in found.items()}

    def _read(self, symbol: str, timeframe: Timeframe, begin: int, end: int) -> list[Bar]:
        if end <= 0:
            return []
        stream = keys.bars(symbol, timeframe)
        first, last = max(-(-begin // NS_PER_MS), 0), -(-end // NS_PER_MS) - 1
        bars = []
        for identifier, fields in streams.read_range(self.client, stream, str(first), str(last)):
            bar = Bar.from_json(streams.field_of(stream, fields, "bar"))
            expected = (symbol, timeframe, streams.ms_of(identifier) * NS_PER_MS)
            if (bar.symbol, bar.timeframe, bar.start) != expected:
                raise DataError(f"{stream} {identifier}: found the bar {bar}, expected one of that stream and time")
            bars.append(bar)
        return bars


@frozen
class ArchiveBars:
    """What was sealed from the streams, imported, or bought before."""

    archive: Archive

    def covered(self, symbol: str, timeframe: Timeframe) -> tuple[Interval, ...]:
        """Return where the archive has everything that there was."""
        return tuple(self.archive.covered(symbol, timeframe))

    def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        """Return what the archive has."""
        covered = common(self.covered(symbol, timeframe), within)
        bars = tuple(bar for begin, end in joined(within) for bar in self.archive.bars(symbol, timeframe, begin, end))
        return Held(covered, bars, "in the archive")

    def leads(self, symbol: str) -> dict[int, str]:
        """Return the contract that led a root, by start of session in ns."""
        return self.archive.leads(symbol)


@frozen
class HistoricalBars:
    """What Databento Historical sells; everything bought goes into the archive at once.

    Parameters
    ----------
    source
        Buys.
    archive
        Keeps.
    rule
        Returns the sessions of a root.
    leads
        Who may know lead contracts already, later ones over earlier ones: then no volumes need be bought.
    """

    source: HistoricalSource
    archive: Archive
    rule: Rule
    leads: Sequence[Leads] = ()

    def covered(self, symbol: str, timeframe: Timeframe) -> tuple[Interval, ...]:  # noqa: ARG002  # one dataset, all roots
        """Return of which time there are minutes to buy; hours and days are folded from them."""
        available = self.source.available() if timeframe is Timeframe.MINUTE else None
        return () if available is None else (available,)

    def price(self, symbol: str, within: Sequence[Interval]) -> Price:
        """Return what the minutes of some intervals would cost."""
        prices = [
            self.source.price(symbol, begin, end, self._known_leads(symbol, (begin, end))) for begin, end in within
        ]
        return Price(sum(price.dollars for price in prices), all(price.exact for price in prices))

    def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        """Buy the minutes of some intervals, and keep them.

        Raises
        ------
        ArchiveDiffers
            If the archive holds something else; what was bought before that is kept.
        HistoryError, KeyRefused, SecretMissing
            If it cannot be bought, or all of it together would cost more than ``databento.max_cost_usd``.
        """
        if timeframe is not Timeframe.MINUTE:
            return Held()
        budget = self.source.budget()
        if len(within) > 1:
            price = self.price(symbol, within)
            if price.exact and price.dollars > budget.ceiling:
                raise TooDear(
                    f"databento.max_cost_usd: found a price of {price} for {len(within)} holes of {symbol}, "
                    f"expected at most ${budget.ceiling:.4f}; ask for a shorter time, or allow more"
                )
        bars: list[Bar] = []
        covered = []
        for interval in within:
            found = self.source.minutes(symbol, *interval, self._known_leads(symbol, interval), budget)
            if found.begin < found.end:
                self.archive.add_bars(symbol, timeframe, found.bars, found.begin, found.end, "historical")
                covered.append((found.begin, found.end))
                bars += found.bars
        return Held(joined(covered), tuple(bars), "at Databento Historical", budget.spent)

    def _known_leads(self, symbol: str, interval: Interval) -> list[tuple[int, str]]:
        """Return leads that were decided, or that show in minutes of the same sessions bought before."""
        rule = self.rule(symbol)
        begin, end = session_begin(interval[0], rule), session(interval[1] - 1, rule).end
        near = self.archive.bars(symbol, Timeframe.MINUTE, begin, end)
        known = {session(bar.start, rule).start: bar.contract_symbol for bar in near}
        for leads in self.leads:
            known |= leads(symbol)
        return sorted(known.items())
