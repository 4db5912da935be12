"""Rolls of the past that no hub has published: from the leads an import wrote, or from the bars themselves."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Final

from attrs import define, field

from pine.core.bar import Bar
from pine.core.contract import parse_contract
from pine.core.period import SessionRule, session
from pine.core.times import to_datetime
from pine.feeds.steps import MarketEvent
from pine.history.leads import next_scheduled
from pine.replay.holes import Timed

ROLL: Final = "roll"


@define
class RollFinder:
    """Finds where the contract of a root's minutes changes from one session to the next.

    Parameters
    ----------
    symbol, rule
        The root and its sessions.
    leads
        Contract by start of session in ns, as far as it is known.
    published
        Steps in ns at which a roll of the root is known from an event; none is made there.
    """

    symbol: str
    rule: SessionRule
    leads: Mapping[int, str]
    published: Container[int]
    _last: Bar | None = None
    _end: int = field(default=0)

    def find(self, minutes: Sequence[Bar], following: Bar | None) -> Iterator[Timed]:
        """Yield the rolls at the ends of sessions in some minutes; `following` is the first one after them."""
        for bar in minutes:
            if bar.start >= self._end:
                yield from self._between(bar)
                self._end = session(bar.start, self.rule).end
            self._last = bar
        if following is not None and following.start >= self._end:
            yield from self._between(following)
            self._last = None  # told already

    def _between(self, bar: Bar) -> Iterator[Timed]:
        last = self._last
        if last is None or self._end in self.published:
            return
        to = self.leads.get(next_scheduled(self._end, self.rule), bar.contract_symbol)
        if self._expiry(to, bar.start) != self._expiry(last.contract_symbol, last.start):
            details = {"from": last.contract_symbol, "to": to, "close": last.close}
            yield self._end, MarketEvent(ROLL, self.symbol, details)

    def _expiry(self, raw: str, at: int) -> tuple[int, int]:
        return parse_contract(raw, to_datetime(at).date(), [self.symbol]).expiry
