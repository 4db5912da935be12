"""The places that hold bars and cost nothing, each saying what it covers and what it holds."""

from collections.abc import Callable, Collection, Sequence

from attrs import frozen

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.survey import survey
from pine.core.bar import Bar
from pine.core.errors import DataError
from pine.core.period import SessionRule, period, session, session_begin
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.core.times import to_ms
from pine.history import tables
from pine.history.answer import Held
from pine.history.archive import Archive
from pine.history.coverage import complete, holes, seen, streams_of
from pine.history.manifest import Interval, bars_table, common, joined, without

Rule = Callable[[str], SessionRule]


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
        known = seen(survey(self.client, streams_of(symbol, timeframe)), symbol, timeframe, rule)
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
class SealedBars:
    """What the archive has of what a hub published; what was imported or bought is none of it.

    Parameters
    ----------
    archive
        Holds both, each bar with where it came from.
    rule
        Returns the sessions of a root.
    """

    archive: Archive
    rule: Rule

    def covered(self, symbol: str, timeframe: Timeframe) -> tuple[Interval, ...]:
        """Return where a hub published everything that there was."""
        return tuple(self.archive.covered_of(bars_table(symbol, timeframe), sealed=True))

    def held(self, symbol: str, timeframe: Timeframe, within: Sequence[Interval]) -> Held:
        """Return what a hub published; the time of a bar that came from elsewhere is not covered."""
        import polars as pl

        table, rule = bars_table(symbol, timeframe), self.rule(symbol)
        bars: list[Bar] = []
        elsewhere: list[Interval] = []
        for begin, end in joined(within):
            rows = self.archive.frame(table, begin, end)
            bars += tables.frame_bars(symbol, timeframe, rows.filter(pl.col("source") == tables.LIVE))
            others = tables.frame_bars(symbol, timeframe, rows.filter(pl.col("source") != tables.LIVE))
            elsewhere += [period(timeframe, bar.start, rule) for bar in others]
        covered = without(common(self.covered(symbol, timeframe), within), elsewhere)
        return Held(covered, tuple(bars), "in the archive")

    def sealed_until(self, symbol: str) -> int | None:
        """Return the end, in ns, of the latest session of a root that was sealed."""
        return self.archive.manifest(bars_table(symbol, Timeframe.MINUTE)).sealed_until

    def leads(self, symbol: str) -> dict[int, str]:
        """Return the contract that led a root, by start of session in ns."""
        return self.archive.leads(symbol)
