"""Minutes that are bought, and kept in the archive at once."""

from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from pine.core.bar import Bar
from pine.core.errors import TooDear
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import Timeframe
from pine.history.answer import Held
from pine.history.archive import Archive
from pine.history.historical import HistoricalSource, Price
from pine.history.manifest import Interval, joined

Rule = Callable[[str], SessionRule]
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
