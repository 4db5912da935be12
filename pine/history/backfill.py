"""Fill what neither streams nor archive have with minutes from Databento Historical: priced, bought, kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import define, evolve, field, frozen

from pine.core.calendar import scheduled_hours
from pine.core.errors import HistoryError, TooDear, Unreachable
from pine.core.period import session
from pine.core.timeframe import NS_PER_MINUTE
from pine.history.answer import History
from pine.history.historical import Fetched, Price
from pine.history.manifest import Interval, common, joined, without
from pine.history.purchases import HistoricalBars
from pine.history.vendor import Budget


@frozen
class Missing:
    """What of a root is missing between two times, and what becomes of it; times in ns.

    Attributes
    ----------
    holes
        Of these minutes neither streams nor archive have everything, and the vendor has it.
    beyond
        Trading was scheduled there, nobody has everything, and the vendor has nothing.
    sessions
        Sessions with scheduled trading that the holes touch.
    price
        What the holes cost.
    reason
        Why they cannot be had; nothing if they can.
    """

    symbol: str
    holes: tuple[Interval, ...] = ()
    beyond: tuple[Interval, ...] = ()
    sessions: int = 0
    price: Price = field(factory=Price)
    reason: str = ""


@frozen
class Filled:
    """What became of the holes of a root.

    Attributes
    ----------
    bars
        Minutes that were bought and are in the archive.
    left
        What could not be had, in ns.
    reason
        Why; nothing if there is nothing left, or the vendor has nothing there.
    cost
        Dollars, with those for the volumes that decided lead contracts.
    """

    symbol: str
    bars: int = 0
    left: tuple[Interval, ...] = ()
    reason: str = ""
    cost: float = 0.0


@define(eq=False)
class Backfill:
    """Finds what is missing, and buys it.

    Parameters
    ----------
    history
        What there is.
    shop
        Sells, and keeps what it sold in the same archive.
    """

    history: History
    shop: HistoricalBars
    _leads: dict[str, Mapping[int, str]] = field(factory=dict, init=False)
    _paid: dict[str, float] = field(factory=dict, init=False)

    def survey(self, symbols: Sequence[str], begin: int, end: int | None) -> Iterator[Missing]:
        """Yield what of each root is missing, and the price; buys nothing.

        Parameters
        ----------
        symbols
            Roots.
        begin, end
            In ns; without an end up to what the vendor has.

        Raises
        ------
        KeyRefused, SecretMissing, Unreachable
            If the vendor cannot be asked.
        """
        available = self.shop.source.available()
        begin += -begin % NS_PER_MINUTE
        until = end if end is not None else begin if available is None else max(available[1], begin)
        until += -until % NS_PER_MINUTE
        for symbol in symbols:
            yield self._missing(symbol, (begin, until), [] if available is None else [available])

    def _missing(self, symbol: str, asked: Interval, available: Sequence[Interval]) -> Missing:
        return self.lacking(symbol, self.history.holes(symbol, *asked), available)

    def lacking(self, symbol: str, missing: Sequence[Interval], available: Sequence[Interval]) -> Missing:
        """Return what of some intervals the vendor sells, and what it has not; without scheduled trading, nothing."""
        holes = self._scheduled(symbol, common(missing, available))
        beyond = self._scheduled(symbol, without(missing, available))
        return evolve(self.offer(symbol, holes), beyond=beyond)

    def offer(self, symbol: str, holes: Sequence[Interval]) -> Missing:
        """Return what holes that the vendor has something of would cost; raises as `survey`."""
        found = Missing(symbol, tuple(holes), sessions=self.sessions(symbol, holes))
        try:
            return evolve(found, price=self.shop.price(symbol, holes))
        except (TooDear, Unreachable):
            raise
        except HistoryError as error:
            return evolve(found, reason=str(error))

    def sessions(self, symbol: str, intervals: Sequence[Interval]) -> int:
        """Return how many sessions with scheduled trading have a part in some intervals."""
        rule = self.history.rule(symbol)
        found = set()
        for begin, end in intervals:
            at = begin
            while at < end:
                period = session(at, rule)
                if scheduled_hours(rule.group, max(at, begin), min(period.end, end)):
                    found.add(period.start)
                at = period.end
        return len(found)

    def fill(
        self,
        missing: Sequence[Missing],
        budget: Budget,
        on_piece: Callable[[str, Fetched], None] = lambda *_: None,
    ) -> Iterator[Filled]:
        """Buy what is missing, root by root, and yield what became of each.

        Which contracts led is decided first, for all roots, which may take volumes that are bought too; then the price
        of everything is known, and must be within the budget before the first minute is bought.

        Parameters
        ----------
        missing
            What `survey` found.
        budget
            For all of it.
        on_piece
            Told each month of minutes that was bought and kept.

        Raises
        ------
        TooDear
            If all of it would cost more than the budget.
        KeyRefused, SecretMissing, Unreachable
            If the vendor cannot be asked (any more); what was bought until then is kept.
        ArchiveDiffers
            If the archive holds something else than what was bought.
        """
        wanted = [self._priced(found, budget) for found in missing]
        total = sum(found.price.dollars for found in wanted if not found.reason)
        if budget.spent + total > budget.ceiling:
            before = f", after ${budget.spent:.4f} for the volumes that decide lead contracts" if budget.spent else ""
            raise TooDear(
                f"databento.max_cost_usd: found a price of ${total:.4f} for the minutes that are missing{before}, "
                f"expected at most ${budget.ceiling:.4f} together; ask for a shorter time or fewer roots, or allow more"
            )
        for found in wanted:
            yield self._fill(found, budget, on_piece)

    def _priced(self, missing: Missing, budget: Budget) -> Missing:
        """Return what is missing with its exact price; volumes are bought for it where leads are not known."""
        if missing.reason or missing.price.exact:
            return missing
        before = budget.spent
        try:
            leads = self.shop.decide(missing.symbol, missing.holes, budget)
            self._leads[missing.symbol] = leads
            return evolve(missing, price=self.shop.price(missing.symbol, missing.holes, leads))
        except (TooDear, Unreachable):
            raise
        except HistoryError as error:
            return evolve(missing, reason=str(error))
        finally:
            self._paid[missing.symbol] = budget.spent - before

    def _fill(self, missing: Missing, budget: Budget, on_piece: Callable[[str, Fetched], None]) -> Filled:
        symbol, before, reason, bars = missing.symbol, budget.spent, missing.reason, 0
        if not reason:
            try:
                for piece in self.shop.buy(symbol, missing.holes, budget, self._leads.get(symbol)):
                    bars += len(piece.bars)
                    on_piece(symbol, piece)
            except (TooDear, Unreachable):
                raise
            except HistoryError as error:
                reason = str(error)
        cost = self._paid.get(symbol, 0.0) + budget.spent - before
        left = [hole for begin, end in missing.holes for hole in self.history.holes(symbol, begin, end)]
        return Filled(symbol, bars, self._scheduled(symbol, [*left, *missing.beyond]), reason, cost)

    def _scheduled(self, symbol: str, intervals: Sequence[Interval]) -> tuple[Interval, ...]:
        """Return the intervals in which trading was scheduled."""
        group = self.history.rule(symbol).group
        return tuple(found for found in joined(intervals) if scheduled_hours(group, *found) > 0)
