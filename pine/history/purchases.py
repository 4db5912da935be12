"""Minutes that are bought, and kept in the archive at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen

from pine.core.calendar import scheduled_hours
from pine.core.errors import TooDear
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_DAY, Timeframe
from pine.history.answer import Held
from pine.history.archive import Archive
from pine.history.historical import LOOK_BACK, Fetched, HistoricalSource, Price
from pine.history.leads import look_back
from pine.history.manifest import Interval, joined
from pine.history.vendor import Budget

Rule = Callable[[str], SessionRule]
MONTH: Final = 30 * NS_PER_DAY
"""What is bought before it is put into the archive: what a kill may lose."""

Leads = Callable[[str], Mapping[int, str]]
"""Returns the contract that led a root, by start of session in ns, as far as it is known."""


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

    def price(self, symbol: str, within: Sequence[Interval], leads: Mapping[int, str] | None = None) -> Price:
        """Return what the minutes of some intervals would cost.

        Parameters
        ----------
        symbol, within
            Root, and intervals in ns.
        leads
            By session start, where `decide` was asked for them already; the price is exact then.
        """
        prices = [
            self.source.price(
                symbol, *interval, self._known_leads(symbol, interval) if leads is None else sorted(leads.items())
            )
            for interval in within
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
        found = list(self.buy(symbol, within, budget))
        bars = tuple(bar for piece in found for bar in piece.bars)
        covered = joined((piece.begin, piece.end) for piece in found)
        return Held(covered, bars, "at Databento Historical", budget.spent)

    def buy(
        self, symbol: str, within: Sequence[Interval], budget: Budget, leads: Mapping[int, str] | None = None
    ) -> Iterator[Fetched]:
        """Buy the minutes of some intervals a month at a time, each kept before the next; raises as `held` does.

        Parameters
        ----------
        symbol, within
            Root, and intervals in ns.
        budget
            What may be spent.
        leads
            By session start, where `decide` was asked for them, and the price allowed, already.

        Yields
        ------
        Fetched
            What of each month there was; nothing for one of which there is nothing.
        """
        pieces = [piece for interval in within for piece in self._months(symbol, interval)]
        if leads is None:
            if len(pieces) > 1:
                self._allow(symbol, len(within), self.price(symbol, within), budget)
            leads = self.decide(symbol, within, budget)
            if len(pieces) > 1:
                self._allow(symbol, len(within), self.price(symbol, within, leads), budget)
        for begin, end in pieces:
            found = self.source.minutes(symbol, begin, end, sorted(leads.items()), budget)
            if found.begin < found.end:
                self.archive.add_bars(symbol, Timeframe.MINUTE, found.bars, found.begin, found.end, "historical")
                yield found

    def _allow(self, symbol: str, holes: int, price: Price, budget: Budget) -> None:
        """Refuse what is known to be too dear before the first of several pieces is bought."""
        if price.exact and budget.spent + price.dollars > budget.ceiling:
            raise TooDear(
                f"databento.max_cost_usd: found a price of {price} for {holes} hole{'s' * (holes > 1)} of {symbol}, "
                f"expected at most ${budget.ceiling - budget.spent:.4f}; ask for a shorter time, or allow more"
            )

    def decide(self, symbol: str, within: Sequence[Interval], budget: Budget) -> dict[int, str]:
        """Return the leads of the sessions in some intervals, by session start; buys volumes where they are not known.

        Intervals whose volumes would overlap are decided as one.
        """
        leads: dict[int, str] = {}
        for stretch in self._stretches(symbol, within):
            known = dict(self._known_leads(symbol, stretch))
            leads |= known | self.source.leads(symbol, *stretch, sorted(known.items()), budget)
        return leads

    def _stretches(self, symbol: str, within: Sequence[Interval]) -> list[Interval]:
        """Join the intervals with scheduled trading that are no further apart than volumes are read back."""
        rule = self.rule(symbol)
        stretches: list[Interval] = []
        for begin, end in joined(within):
            if not scheduled_hours(rule.group, begin, end):
                continue
            if stretches and look_back(session_begin(begin, rule), LOOK_BACK, rule) < stretches[-1][1]:
                stretches[-1] = (stretches[-1][0], end)
            else:
                stretches.append((begin, end))
        return stretches

    def _months(self, symbol: str, interval: Interval) -> Iterator[Interval]:
        """Cut an interval at the ends of sessions into what is kept at once."""
        begin, end = interval
        rule = self.rule(symbol)
        while begin < end:
            until = min(end, session(begin + MONTH - 1, rule).end)
            yield begin, until
            begin = until

    def _known_leads(self, symbol: str, interval: Interval) -> list[tuple[int, str]]:
        """Return leads that were decided, or that show in minutes of the same sessions bought before."""
        rule = self.rule(symbol)
        begin, end = session_begin(interval[0], rule), session(interval[1] - 1, rule).end
        near = self.archive.bars(symbol, Timeframe.MINUTE, begin, end)
        known = {session(bar.start, rule).start: bar.contract_symbol for bar in near}
        for leads in self.leads:
            known |= leads(symbol)
        return sorted(known.items())
