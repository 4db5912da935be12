"""Minute bars of the lead contract from Databento Historical.

What is bought, and why: a root's parent symbol would bring every expiry and every spread by the minute, most of it
never used. Minutes are therefore bought of the lead contracts alone, by raw symbol. Where the leads are not known
already, the volumes that decide them come first, as hourly bars of the parent: sessions close on whole hours, so
these add up to exactly the sessions' volumes; there are up to sixty times fewer of them, at about twice the price per
byte. Hourly and daily bars are never used as bars: the vendor's days are those of UTC.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from attrs import field, frozen

from pine.core.bar import Bar
from pine.core.calendar import scheduled_hours
from pine.core.config import Config
from pine.core.contract import Contract, parse_contract
from pine.core.errors import HistoryError, Unresolved
from pine.core.log import get_logger
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE
from pine.core.times import isoformat, to_datetime
from pine.history.bought import Bought, Quote, Request
from pine.history.folding import contract_volumes, minute_bars
from pine.history.leads import Choose, decide_leads, lead_of, look_back, unknown_sessions
from pine.history.pieces import Part, Piece, cover, parts_of
from pine.history.vendor import Budget, Patience, Vendor, expect_own_market

log = get_logger(__name__)

MINUTE_SCHEMAS: Final = ("ohlcv-1m", "ohlcv-1s", "trades", "mbp-1")
VOLUME_SCHEMAS: Final = ("ohlcv-1h", *MINUTE_SCHEMAS)
"""By preference: the cheaper first, the next where one is not available."""

LOOK_BACK: Final = 3
"""Sessions whose volumes are read before the first one without a known lead; the nearest may be a holiday."""


@frozen
class Fetched:
    """The answer to one question.

    Attributes
    ----------
    symbol
        Root.
    begin, end
        What is covered, in ns, the end exclusive: what was asked for, less what is not available. A minute in between
        without a bar had no trade of the lead contract. Nothing is covered where they are equal.
    bars
        Minute bars in order.
    leads
        Lead contract of each session covered, as the exchange writes it, by session start.
    volumes
        Contracts traded, by session start and contract symbol, of the sessions that were read to decide leads.
    cost
        Dollars spent.
    """

    symbol: str
    begin: int
    end: int
    bars: tuple[Bar, ...] = ()
    leads: Mapping[int, str] = field(factory=dict)
    volumes: Mapping[int, Mapping[str, int]] = field(factory=dict)
    cost: float = 0.0


@frozen
class Price:
    """What an answer costs.

    Attributes
    ----------
    dollars
        The sum.
    exact
        Whether it is that; else it is at most that: which contracts led is not known before volumes are bought.
    """

    dollars: float = 0.0
    exact: bool = True

    def __str__(self) -> str:
        return f"${self.dollars:.4f}" if self.exact else f"at most ${self.dollars:.4f}"


class HistoricalSource:
    """Asks Databento Historical for minute bars.

    Parameters
    ----------
    config
        Account, ceiling of cost, sessions and parent symbols.
    choose
        Decides the lead after a session, the hub's `choose_lead`.
    patience, sleep, jitter
        See `pine.history.vendor.Vendor`.

    Raises
    ------
    HistoryError
        If the configuration names another live gateway, and no Historical that knows its market.
    """

    def __init__(
        self,
        config: Config,
        choose: Choose,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        expect_own_market(config.databento)
        self._config = config
        self._choose = choose
        self._vendor = Vendor(config.databento, patience, sleep, jitter)
        self._kept: dict[Request, Bought] = {}

    def available(self) -> tuple[int, int] | None:
        """Return the stretch of time, in ns, of which there are minutes to buy; raises as `minutes` does."""
        ranges = self._vendor.ranges()
        own = [ranges[name] for name in MINUTE_SCHEMAS if name in ranges]
        if not own:
            return None
        pieces = cover(MINUTE_SCHEMAS, ranges, min(begin for begin, _ in own), max(end for _, end in own))
        return (pieces[0].begin, pieces[-1].end) if pieces else None

    def budget(self) -> Budget:
        """Return what one question may cost, with nothing spent yet."""
        return Budget(self._config.databento.max_cost_usd)

    def price(self, symbol: str, begin: int, end: int, leads: Sequence[tuple[int, str]] = ()) -> Price:
        """Return what `minutes` would cost, without buying anything; raises as it does.

        Minutes of sessions whose lead is not known yet are counted as if those of all contracts were bought.
        """
        rule = self._config.session_rule(symbol)
        ranges = self._vendor.ranges()
        pieces = cover(MINUTE_SCHEMAS, ranges, begin, end)
        if not pieces:
            return Price()
        begin, end = pieces[0].begin, pieces[-1].end
        starts = _scheduled_sessions(begin, end, rule)
        known = _contracts(symbol, leads)
        missing = unknown_sessions(starts, known)
        if not missing:
            return Price(self._cost(_lead_parts(pieces, known, begin, end, rule, ranges), rule))
        parent = self._config.parent(symbol)
        first, last = session_begin(missing[0], rule), session_begin(missing[-1], rule)
        earlier = self._cost(self._hour_parts(symbol, look_back(first, LOOK_BACK, rule), first, ranges), rule)
        until = last if earlier else max(session(missing[0], rule).end, last)
        cost = earlier + self._cost(self._hour_parts(symbol, first, until, ranges), rule)
        cost += self._cost(parts_of(pieces, "parent", parent, begin, end, ranges), rule)
        return Price(cost, exact=False)

    def _cost(self, parts: Iterable[Part], rule: SessionRule) -> float:
        return sum(quote.cost for _, quote in self._quoted(parts, rule))

    def minutes(
        self,
        symbol: str,
        begin: int,
        end: int,
        leads: Sequence[tuple[int, str]] = (),
        budget: Budget | None = None,
    ) -> Fetched:
        """Return the minute bars of a root's lead contracts.

        After a failure the same question costs only what was not bought before it.

        Parameters
        ----------
        symbol
            Configured root.
        begin, end
            Whole minutes in ns, the end exclusive.
        leads
            Session start and contract of each lead that is decided already, such as ``market:ES:lead`` holds them.
            Leads of other sessions are decided from the volumes of the sessions before.
        budget
            What is left of the money of a larger question; without it ``databento.max_cost_usd``.

        Raises
        ------
        SecretMissing
            If there is no key.
        KeyRefused
            If it is not accepted.
        TooDear
            If the answer would cost more than ``databento.max_cost_usd``.
        HistoryError
            If the vendor refuses, cannot be reached, or keeps sending incomplete data.
        """
        if begin % NS_PER_MINUTE or end % NS_PER_MINUTE or begin >= end:
            raise ValueError(f"found {isoformat(begin)} to {isoformat(end)}, expected whole minutes in order")
        rule = self._config.session_rule(symbol)
        ranges = self._vendor.ranges()
        pieces = cover(MINUTE_SCHEMAS, ranges, begin, end)
        if not pieces:
            log.warning("historical has nothing", **_asked(symbol, begin, end))
            return Fetched(symbol, begin, begin)
        begin, end = pieces[0].begin, pieces[-1].end
        budget = budget or self.budget()
        before = budget.spent
        starts, volumes, decided = self._leads(symbol, begin, end, leads, ranges, budget)
        parts = list(_lead_parts(pieces, decided, begin, end, rule, ranges))
        bars = [
            bar
            for part, bought in self._buy(parts, budget, rule)
            for bar in minute_bars(symbol, bought, part.begin, part.end)
        ]
        self._kept.clear()
        spent = budget.spent - before
        found = {start: lead for start in starts if (lead := lead_of(decided, start)) is not None}
        log.info("historical minutes", **_asked(symbol, begin, end), bars=len(bars), cost_usd=round(spent, 6))
        return Fetched(
            symbol,
            begin,
            end,
            tuple(bars),
            {start: lead.symbol for start, lead in found.items()},
            {start: {c.symbol: v for c, v in by.items()} for start, by in _by_session(volumes, rule).items()},
            spent,
        )

    def volumes(self, symbol: str, begin: int, end: int, budget: Budget) -> dict[int, dict[Contract, int]]:
        """Return what each outright of a root traded, by hour; less where data begins later; raises as `minutes`."""
        return self._hours(symbol, begin, end, self._vendor.ranges(), budget)

    def volumes_price(self, symbol: str, begin: int, end: int) -> Price:
        """Return what `volumes` costs; raises as it does."""
        parts = self._hour_parts(symbol, begin, end, self._vendor.ranges())
        return Price(self._cost(parts, self._config.session_rule(symbol)))

    def choose(self, volumes: Mapping[Contract, int], current: Contract | None) -> Contract | None:
        """Return the lead after a session, as the hub chooses it."""
        return self._choose(volumes, current)

    def leads(
        self, symbol: str, begin: int, end: int, leads: Sequence[tuple[int, str]], budget: Budget
    ) -> dict[int, str]:
        """Return the lead contract of each session in a stretch of time, by session start, as `minutes` decides them.

        Buys the volumes that this takes, unless all are among `leads` already; raises as `minutes` does.
        """
        ranges = self._vendor.ranges()
        pieces = cover(MINUTE_SCHEMAS, ranges, begin, end)
        if not pieces:
            return dict(leads)
        starts, _, decided = self._leads(symbol, pieces[0].begin, pieces[-1].end, leads, ranges, budget)
        found = {start: lead for start in starts if (lead := lead_of(decided, start)) is not None}
        return {start: lead.symbol for start, lead in found.items()}

    def _leads(
        self,
        symbol: str,
        begin: int,
        end: int,
        leads: Sequence[tuple[int, str]],
        ranges: Mapping[str, tuple[int, int]],
        budget: Budget,
    ) -> tuple[list[int], dict[int, dict[Contract, int]], dict[int, Contract]]:
        """Return the sessions of a stretch, the hourly volumes that were bought to decide leads, and the leads."""
        rule = self._config.session_rule(symbol)
        starts = _scheduled_sessions(begin, end, rule)
        known = _contracts(symbol, leads)
        volumes = self._volumes(symbol, starts, known, ranges, budget)
        return starts, volumes, self._decide(volumes, known, starts, rule)

    def _volumes(
        self,
        symbol: str,
        starts: Sequence[int],
        known: Mapping[int, Contract],
        ranges: Mapping[str, tuple[int, int]],
        budget: Budget,
    ) -> dict[int, dict[Contract, int]]:
        """Return volumes by hour and contract, of as much as it takes to decide the leads that are not known."""
        rule = self._config.session_rule(symbol)
        missing = unknown_sessions(starts, known)
        if not missing:
            return {}
        first = session_begin(missing[0], rule)
        volumes = self._hours(
            symbol, look_back(first, LOOK_BACK, rule), session_begin(missing[-1], rule), ranges, budget
        )
        if lead_of(known, missing[0]) is None and not any(hour < first for hour in volumes):
            # The data begins here: the contract that is traded most at first has to do, as in the hub.
            own = session(missing[0], rule).end
            volumes = self._hours(symbol, first, max(own, session_begin(missing[-1], rule)), ranges, budget)
        return volumes

    def _hours(
        self, symbol: str, begin: int, end: int, ranges: Mapping[str, tuple[int, int]], budget: Budget
    ) -> dict[int, dict[Contract, int]]:
        volumes: dict[int, dict[Contract, int]] = {}
        pieces = cover(VOLUME_SCHEMAS, ranges, begin, end) if begin < end else []
        if pieces and pieces[-1].end < end:
            raise HistoryError(
                f"databento: found volumes of {symbol} until {isoformat(pieces[-1].end)}, expected them until "
                f"{isoformat(end)} to decide the lead contract; name the leads, or ask for a shorter time"
            )
        parts = list(self._hour_parts(symbol, begin, end, ranges))
        for part, bought in self._buy(parts, budget, self._config.session_rule(symbol)):
            for contract, ts, sizes in contract_volumes(bought, symbol):
                inside = (ts >= part.begin) & (ts < part.end)
                hours, which = np.unique(ts[inside] // NS_PER_HOUR, return_inverse=True)
                totals = np.bincount(which, weights=sizes[inside], minlength=len(hours))
                for hour, total in zip(hours.tolist(), totals.tolist(), strict=True):
                    by = volumes.setdefault(hour * NS_PER_HOUR, {})
                    by[contract] = by.get(contract, 0) + int(total)
        return volumes

    def _hour_parts(self, symbol: str, begin: int, end: int, ranges: Mapping[str, tuple[int, int]]) -> Iterator[Part]:
        pieces = cover(VOLUME_SCHEMAS, ranges, begin, end) if begin < end else []
        return parts_of(pieces, "parent", self._config.parent(symbol), begin, end, ranges)

    def _decide(
        self,
        volumes: Mapping[int, Mapping[Contract, int]],
        known: Mapping[int, Contract],
        starts: Sequence[int],
        rule: SessionRule,
    ) -> dict[int, Contract]:
        leads = dict(known)
        missing = unknown_sessions(starts, known)
        if missing and volumes and lead_of(known, missing[0]) is None:
            earliest = min(volumes)
            opening = session(earliest, rule).start
            if opening >= missing[0] and (lead := self._choose(volumes[earliest], None)) is not None:
                leads[opening] = lead
        return decide_leads(_by_session(volumes, rule), leads, rule, self._choose)

    def _buy(self, parts: Sequence[Part], budget: Budget, rule: SessionRule) -> Iterator[tuple[Part, Bought]]:
        """Ask for the price of everything first, then buy one by one; what an earlier try has paid for is kept."""
        quoted = self._quoted(parts, rule)
        if quoted:
            budget.allow([quote for _, quote in quoted])
        for part, quote in quoted:
            self._kept[part.request] = self._vendor.fetch(quote, budget)
        yield from ((part, self._kept[part.request]) for part in parts if part.request in self._kept)

    def _quoted(self, parts: Iterable[Part], rule: SessionRule) -> list[tuple[Part, Quote]]:
        quoted = []
        for part in parts:
            if part.request in self._kept:
                continue
            try:
                quoted += [(part, quote) for quote in self._vendor.quote([part.request])]
            except Unresolved:
                # On days without trading nothing is listed either.
                if scheduled_hours(rule.group, part.request.begin, part.request.end):
                    raise
        return quoted


def _contracts(symbol: str, leads: Iterable[tuple[int, str]]) -> dict[int, Contract]:
    return {start: parse_contract(raw, to_datetime(start).date(), [symbol]) for start, raw in leads}


def _scheduled_sessions(begin: int, end: int, rule: SessionRule) -> list[int]:
    """Return the starts of the sessions with scheduled trading in a stretch of time; no other minutes need a lead."""
    starts = []
    while begin < end:
        period = session(begin, rule)
        if scheduled_hours(rule.group, begin, min(period.end, end)):
            starts.append(period.start)
        begin = period.end
    return starts


def _lead_parts(
    pieces: Sequence[Piece],
    leads: Mapping[int, Contract],
    begin: int,
    end: int,
    rule: SessionRule,
    ranges: Mapping[str, tuple[int, int]],
) -> Iterator[Part]:
    """Ask for each lead contract over the sessions that it leads on end."""
    runs: list[tuple[Contract, int, int]] = []
    at = begin
    while at < end:
        period = session(at, rule)
        until = min(period.end, end)
        lead = lead_of(leads, period.start)
        if lead is not None and runs and runs[-1][0] == lead and runs[-1][2] == at:
            runs[-1] = (lead, runs[-1][1], until)
        elif lead is not None:
            runs.append((lead, at, until))
        at = until
    for lead, low, high in runs:
        yield from parts_of(pieces, "raw_symbol", lead.symbol, low, high, ranges)


def _by_session(volumes: Mapping[int, Mapping[Contract, int]], rule: SessionRule) -> dict[int, dict[Contract, int]]:
    sums: dict[int, dict[Contract, int]] = {}
    for hour in sorted(volumes):
        by = sums.setdefault(session(hour, rule).start, {})
        for contract, traded in volumes[hour].items():
            by[contract] = by.get(contract, 0) + traded
    return sums


def _asked(symbol: str, begin: int, end: int) -> dict[str, Any]:
    return {"symbol": symbol, "from": isoformat(begin), "to": isoformat(end)}
