"""What a hub recorded of a session, compared bar by bar with what Databento has of it.

The record is what the hub published: on the streams, or in the archive if it came live. Bars that were imported or
bought are none of it. Minutes are compared with the vendor's; hours and the day with the fold of the vendor's minutes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import count
from typing import Literal

from attrs import define, evolve, field, frozen

from pine.core.bar import Bar
from pine.core.calendar import scheduled_hours
from pine.core.contract import Contract, parse_contract
from pine.core.errors import HistoryError, TooDear, Unreachable
from pine.core.period import Period, SessionRule, period, session, session_begin
from pine.core.timeframe import NS_PER_DAY, Timeframe
from pine.core.times import isoformat, parse_time, to_datetime
from pine.history.answer import Held
from pine.history.comparison import Comparison
from pine.history.differences import Count, Mismatch, compare, folded, with_quiet
from pine.history.historical import Price
from pine.history.leads import lead_of, look_back
from pine.history.manifest import Interval, common, without
from pine.history.recorded import Record
from pine.history.vendor import Budget

Verdict = Literal["equal", "incomplete", "different", "not compared"]
"""Incomplete: equal but for holes that the hub named and nobody filled."""


@frozen
class Lost:
    """A hole that the hub itself named, as far as it lies in the session.

    Attributes
    ----------
    begin, end
        From when to when, in ns.
    minutes
        Bars that the vendor has in it and the record has not.
    refilled
        Whether the archive has all of it now, from elsewhere.
    """

    begin: int
    end: int
    minutes: int
    refilled: bool


@frozen
class Report:
    """What became of one root.

    Attributes
    ----------
    span
        The session, from its first instant to its end, in ns; nothing if there is none.
    contract
        What led on record.
    reason
        Why it was not compared.
    volume
        Contracts in the minutes on record, and in the vendor's.
    holes
        What the hub named as lost; neither its minutes nor the hours and days over it are among the mismatches.
    notes
        What has to be known to judge it.
    """

    symbol: str
    verdict: Verdict
    span: Interval | None = None
    contract: str = ""
    reason: str = ""
    counts: Mapping[Timeframe, Count] = field(factory=dict)
    volume: tuple[int, int] = (0, 0)
    mismatches: tuple[Mismatch, ...] = ()
    holes: tuple[Lost, ...] = ()
    notes: tuple[str, ...] = ()
    cost: float = 0.0


@frozen
class Prepared:
    """A session that can be compared, if the vendor has it.

    Attributes
    ----------
    session, span
        The session, and from its first instant to its end, in ns.
    contract
        What led on record.
    before
        The session before, if its volumes shall say whether that is right.
    earlier
        What led in it, if that is on record.
    """

    symbol: str
    session: Period
    span: Interval
    contract: str
    minutes: Held
    before: Interval | None = None
    earlier: str | None = None


@define(eq=False)
class Audit:
    """Compares sessions.

    Parameters
    ----------
    rule
        Returns the sessions of a root.
    record, comparison
        What is compared.
    bar_clock, fill_quiet_minutes, clock
        As the hub is configured. With the clock ``tape`` the present is where the record ends.
    """

    rule: Callable[[str], SessionRule]
    record: Record
    comparison: Comparison
    bar_clock: str = "ts_recv"
    fill_quiet_minutes: bool = False
    clock: str = "wall"

    def last_day(self, symbols: Sequence[str], now: int) -> date:
        """Return the day of the newest session with scheduled trading that is over for all of some roots.

        Parameters
        ----------
        symbols
            Roots, at least one.
        now
            The present in ns, unless the hub's clock is the tape.
        """
        return min(self._last_day(symbol, self._present(symbol, now)) for symbol in symbols)

    def _last_day(self, symbol: str, now: int) -> date:
        rule = self.rule(symbol)
        days = (to_datetime(now).date() - timedelta(days=n) for n in count())
        return next(
            day
            for day in days
            if (found := session_on(day, rule)) is not None and found.end <= now and scheduled_hours(rule.group, *found)
        )

    def _present(self, symbol: str, now: int) -> int:
        extent = self.record.extent(symbol) if self.clock == "tape" else None
        return now if extent is None else extent[1]

    def sessions(self, symbols: Sequence[str], day: date, now: int) -> tuple[list[Prepared], list[Report]]:
        """Return the sessions of a day that can be compared, and why the others cannot; see `prepare` and `offered`."""
        prepared = [self.prepare(symbol, day, now) for symbol in symbols]
        here, away = self.offered([item for item in prepared if isinstance(item, Prepared)])
        return here, [*(item for item in prepared if isinstance(item, Report)), *away]

    def total(self, sessions: Sequence[Prepared]) -> Price:
        """Return what is still to be paid for some sessions; one that the vendor refuses counts nothing."""
        prices = []
        for item in sessions:
            try:
                prices.append(self.price(item))
            except (TooDear, Unreachable):
                raise
            except HistoryError:  # told when it is compared
                continue
        return Price(sum(price.dollars for price in prices), all(price.exact for price in prices))

    def run(self, sessions: Sequence[Prepared], on_price: Callable[[Price], None]) -> Iterator[Report]:
        """Compare sessions, under one ceiling: nothing is bought if all of it together is too dear.

        Parameters
        ----------
        sessions
            Of `sessions`.
        on_price
            Told what is to be paid before it is, if anything is.

        Raises
        ------
        KeyRefused, SecretMissing, TooDear, Unreachable
            If the vendor cannot be asked, or wants more than ``databento.max_cost_usd``.
        """
        budget = self.comparison.source.budget()
        if any(not self._is_kept(item) for item in sessions):
            price = self.total(sessions)
            if price.dollars > budget.ceiling:
                raise TooDear(
                    f"databento.max_cost_usd: found a price of {price} for comparing {len(sessions)} sessions, "
                    f"expected at most ${budget.ceiling:.4f}; ask for fewer roots, or allow more"
                )
            on_price(price)
        for item in sessions:
            yield self.compare(item, budget)

    def prepare(self, symbol: str, day: date, now: int) -> Prepared | Report:
        """Return what is on record of the session that is named after a day, or why it cannot be compared; free.

        Parameters
        ----------
        symbol
            Root.
        day
            Date, UTC, of the session's last moment, as in the names of the archive's files.
        now
            The present in ns: a session that is not over is not compared.
        """
        rule = self.rule(symbol)
        found = session_on(day, rule)
        if found is None or not scheduled_hours(rule.group, *found):
            return Report(symbol, "not compared", reason=_no_session(symbol, day, rule))
        span = (session_begin(found.start, rule), found.end)
        extent, present = self.record.extent(symbol), self._present(symbol, now)
        minutes = self.record.held(symbol, Timeframe.MINUTE, [span])
        reason = ""
        if found.end > present:
            tape = f"; by the tape, which is the hub's clock, it is {isoformat(present)}" if present != now else ""
            reason = f"the session is not over before {isoformat(found.end)}{tape}"
        elif extent is None or extent[1] <= span[0] or not (minutes.covered or minutes.bars):
            reason = f"no hub has recorded it{_beside(extent, span)}"
        elif extent[1] < found.end:
            reason = f"the record ends at {isoformat(extent[1])}, before the session does"
        leads = self.record.leads(symbol)
        contract = lead_of(leads, found.start) or _most_recorded(minutes.bars)
        if not reason and not contract:
            reason = "no lead contract and no bar is on record"
        if reason:
            return Report(symbol, "not compared", span, reason=reason)
        before, earlier = self._before(symbol, span[0], leads)
        return Prepared(symbol, found, span, contract, minutes, before, earlier)

    def _before(self, symbol: str, begin: int, leads: Mapping[int, str]) -> tuple[Interval, str | None]:
        rule = self.rule(symbol)
        first = look_back(begin, 1, rule)
        earlier = session(first, rule)
        return (first, earlier.end), lead_of(leads, earlier.start)

    def offered(self, prepared: Sequence[Prepared]) -> tuple[list[Prepared], list[Report]]:
        """Divide sessions into those that the vendor has, or that were bought before, and those that it has not (yet).

        Raises
        ------
        HistoryError, KeyRefused, SecretMissing
            If the vendor cannot be asked; it is asked only if something is to be bought.
        """
        wanted = [item for item in prepared if not self._is_kept(item)]
        available = self.comparison.available() if wanted else None
        here: list[Prepared] = []
        away: list[Report] = []
        for item in prepared:
            group = self.rule(item.symbol).group
            if item in wanted and (reason := _not_available(item.span, available, group)):
                away.append(Report(item.symbol, "not compared", item.span, item.contract, reason))
                continue
            known = item.before is not None and self.comparison.has_volumes(item.symbol, item.before)
            has_before = known or (available is not None and item.before is not None and available[0] <= item.before[0])
            here.append(item if has_before else evolve(item, before=None))
        return here, away

    def _is_kept(self, item: Prepared) -> bool:
        kept = self.comparison.has_minutes(item.symbol, item.contract, item.span)
        return kept and (item.before is None or self.comparison.has_volumes(item.symbol, item.before))

    def price(self, item: Prepared) -> Price:
        """Return what is still to be paid for a session; raises as `compare` does."""
        return self.comparison.price(item.symbol, item.contract, item.session.start, item.span, item.before)

    def compare(self, item: Prepared, budget: Budget) -> Report:
        """Buy what is not kept yet, and compare.

        Raises
        ------
        KeyRefused, SecretMissing, TooDear, Unreachable
            If the vendor cannot be asked, or wants more than the budget has left.
        """
        spent = budget.spent
        try:
            lead = self._vendor_lead(item, budget)
            vendor = self.comparison.minutes(item.symbol, item.contract, item.session.start, item.span, budget)
        except (TooDear, Unreachable):
            raise
        except HistoryError as error:
            cost = budget.spent - spent
            return Report(item.symbol, "not compared", item.span, item.contract, str(error), cost=cost)
        return evolve(self._judged(item, lead, vendor), cost=budget.spent - spent)

    def _vendor_lead(self, item: Prepared, budget: Budget) -> str | None:
        """Return what leads by the vendor's volumes of the session before; nothing if they do not say."""
        if item.before is None:
            return None
        volumes = self.comparison.volumes(item.symbol, item.before, budget)
        chosen = self.comparison.source.choose(volumes, _contract(item.symbol, item.earlier, item.before[0]))
        return None if chosen is None else chosen.symbol

    def _judged(self, item: Prepared, lead: str | None, vendor: Sequence[Bar]) -> Report:
        rule = self.rule(item.symbol)
        found: list[Mismatch] = []
        if lead is not None and lead != item.contract:
            found.append(Mismatch(Timeframe.DAY, item.session.start, "lead", "lead", item.contract, lead))
        filled = with_quiet(vendor, item.minutes.bars)
        counts = {}
        for timeframe in Timeframe:
            held = item.minutes
            theirs = list(filled)
            if timeframe is not Timeframe.MINUTE:
                first = item.span[0] if timeframe is Timeframe.HOUR else item.session.start
                held = self.record.held(item.symbol, timeframe, [(first, item.span[1])])
                theirs = folded(filled, timeframe, rule)
            counts[timeframe], wrong = compare(timeframe, held, theirs, item.contract)
            found += wrong if self.record.late != 0 else [evolve(one, late=False) for one in wrong]
        named = self.record.holes(item.symbol, item.span)
        found, lost = self._apart(item, found, named)
        verdict: Verdict = "equal" if all(hole.refilled for hole in lost) else "incomplete"
        return Report(
            item.symbol,
            "different" if found else verdict,
            item.span,
            item.contract,
            "",
            counts,
            (sum(bar.volume for bar in item.minutes.bars), sum(bar.volume for bar in vendor)),
            tuple(found),
            tuple(lost),
            tuple(self._notes(item, lead, found)),
        )

    def _apart(
        self, item: Prepared, found: Sequence[Mismatch], named: Sequence[Interval]
    ) -> tuple[list[Mismatch], list[Lost]]:
        """Divide what is not there into what the hub says that it lost, by hole, and the rest."""
        rule = self.rule(item.symbol)

        def excused(one: Mismatch) -> bool:
            if one.kind != "not recorded" or one.recorded is not None:
                return False
            span = period(one.timeframe, one.start, rule)
            return bool(common([(span.start, span.end)], named))

        left = without(named, self.record.filled(item.symbol))
        minutes = [one.start for one in found if one.timeframe is Timeframe.MINUTE and excused(one)]
        lost = [
            Lost(begin, end, sum(begin <= at < end for at in minutes), refilled=not common([(begin, end)], left))
            for begin, end in named
        ]
        return [one for one in found if not excused(one)], lost

    def _notes(self, item: Prepared, lead: str | None, found: Sequence[Mismatch]) -> Iterator[str]:
        if self.bar_clock != "ts_recv":
            yield f"hub.bar_clock is {self.bar_clock}: not all bars can equal the vendor's, which go by ts_recv"
        if self.fill_quiet_minutes:
            yield "hub.fill_quiet_minutes: flat bars without volume are no differences"
        if lead is None:
            yield f"whether {item.contract} was the lead was not checked: no volumes of the session before"
        elif lead != item.contract and item.earlier is None:
            yield "no lead of the session before is on record: a hub's first lead is that of its first minute"
        late = sum(one.late for one in found)
        if late:
            left = "no hub runs that could say how many it left out"
            if self.record.late is not None:
                left = f"the hub has left out {self.record.late} since its start"
            yield f"{late} values can be due to late trades, the known exception; {left}"


def session_on(day: date, rule: SessionRule) -> Period | None:
    """Return the session whose last moment is on a day, UTC; nothing if none ends then, such as on a Sunday."""
    at = parse_time(day.isoformat())
    end = at + NS_PER_DAY
    while at < end:
        found = session(at, rule)
        if to_datetime(found.end - 1).date() == day:
            return found
        at = found.end
    return None


def _most_recorded(bars: Sequence[Bar]) -> str:
    names = [bar.contract_symbol for bar in bars]
    return max(names, key=names.count, default="")


def _contract(symbol: str, raw: str | None, at: int) -> Contract | None:
    return None if raw is None else parse_contract(raw, to_datetime(at).date(), [symbol])


def _not_available(span: Interval, available: Interval | None, group: str) -> str:
    """Say what of a session's trading hours the vendor does not have, if anything."""
    if available is None:
        return "Databento has no minutes in this dataset"
    if available[1] < span[1] and scheduled_hours(group, max(available[1], span[0]), span[1]):
        return f"Databento has minutes until {isoformat(available[1])}, not yet until the session's end"
    if available[0] > span[0] and scheduled_hours(group, span[0], min(available[0], span[1])):
        return f"Databento has minutes from {isoformat(available[0])} on only"
    return ""


def _no_session(symbol: str, day: date, rule: SessionRule) -> str:
    """Say that there is no such session, and which are near."""
    near = []
    for step in (-1, 1):
        for n in range(1, 8):
            other = day + step * timedelta(days=n)
            found = session_on(other, rule)
            if found is not None and scheduled_hours(rule.group, *found):
                near.append(str(other))
                break
    return f"no session of {symbol} with scheduled trading ends on {day}; the nearest end on {' and '.join(near)}"


def _beside(extent: Interval | None, span: Interval) -> str:
    """Say on which side of a session the record is, if it is on one."""
    if extent is None:
        return ""
    if span[1] <= extent[0]:
        return f"; the record begins at {isoformat(extent[0])}"
    return f"; the record ends at {isoformat(extent[1])}" if extent[1] <= span[0] else ""
