"""Which contracts of a made-up market are listed when, and how trading moves from one to the next."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pine.core.contract import MONTH_CODES, Contract
from pine.core.instruments import QUARTERLY, InstrumentSpec

LISTED: Final = 3
"""Outright expiries that trade at any time."""

# Share of the nearer contract's trading that has moved on, by sessions from the middle of the roll.
_MIGRATION_FROM: Final = -2
_MIGRATION: Final = (0.08, 0.25, 0.62, 0.88)
_BEFORE: Final = 0.03
_AFTER: Final = 0.97

_FLOOR: Final = 0.004  # even the last listed expiry trades a few times a session
_SPREADS: Final = 0.02
_SPREADS_IN_ROLL: Final = 0.07


@frozen
class Expiry:
    """One outright and its calendar.

    Attributes
    ----------
    contract
        Root and delivery month.
    roll
        Trade date on which more than half of its trading moves to the next expiry.
    last
        Last trade date.
    """

    contract: Contract
    roll: date
    last: date


@frozen
class Listing:
    """Instruments of one root.

    Attributes
    ----------
    expiries
        Outrights in order of delivery.
    symbols
        Raw symbols: the outrights, then the calendar spread of each with its successor.
    """

    expiries: Sequence[Expiry]

    @property
    def symbols(self) -> list[str]:
        """Raw symbols: the outrights, then the calendar spread of each with its successor."""
        outrights = [expiry.contract.symbol for expiry in self.expiries]
        return outrights + [f"{near}-{far}" for near, far in pairwise(outrights)]

    def shares(self, dates: Sequence[date]) -> NDArray[np.float64]:
        """Return the probability that a trade of a session is in each instrument, one row per trade date."""
        return np.array([self._shares_on(day) for day in dates])

    def _shares_on(self, day: date) -> NDArray[np.float64]:
        outrights = np.zeros(len(self.expiries))
        spreads = np.zeros(len(self.expiries) - 1)
        listed = [at for at, expiry in enumerate(self.expiries) if expiry.last >= day][:LISTED]
        left, rolling = 1.0, False
        for at in listed:
            moved = migrated(day, self.expiries[at].roll)
            rolling = rolling or _BEFORE < moved < _AFTER
            outrights[at] = left * (1 - moved) + _FLOOR
            left *= moved
        outrights[listed[-1]] += left
        spreads[listed[:-1]] = (9.0, 1.0)[: len(listed) - 1]
        share = _SPREADS_IN_ROLL if rolling else _SPREADS
        return np.concatenate((outrights / outrights.sum() * (1 - share), spreads / spreads.sum() * share))


def migrated(day: date, roll: date) -> float:
    """Return the share of a contract's trading that has moved to its successor by a trade date."""
    sessions = int(np.busday_count(roll, day)) - _MIGRATION_FROM
    if sessions < 0:
        return _BEFORE
    return _MIGRATION[sessions] if sessions < len(_MIGRATION) else _AFTER


def list_contracts(spec: InstrumentSpec, first: date, last: date) -> Listing:
    """Return the expiries that trade at some time between two trade dates, in order of delivery."""
    expiries: list[Expiry] = []
    beyond = 0
    year, month = first.year, 1
    while beyond < LISTED:
        if MONTH_CODES[month - 1] in spec.months:
            expiry = _expiry(spec, year, month)
            if expiry.last >= first:
                expiries.append(expiry)
                beyond += expiry.last >= last
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return Listing(expiries)


def _expiry(spec: InstrumentSpec, year: int, month: int) -> Expiry:
    """Follow the usual calendar of each kind of product, without holidays."""
    contract = Contract(spec.root, year, month)
    if spec.months == QUARTERLY:
        friday = _third_friday(year, month)
        return Expiry(contract, friday - timedelta(days=3), friday)
    before = date(year, month, 1) - timedelta(days=1)
    if spec.group == "energy":
        end = _weekday_before(before.replace(day=20))
        return Expiry(contract, _weekday_before(end - timedelta(days=5)), end)
    # Delivered metals and grains: everyone leaves before the first notice of delivery.
    end = date(year, month, 14 if spec.group == "grains" else 26)
    return Expiry(contract, _weekday_before(before - timedelta(days=2)), _weekday_before(end))


def _third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


def _weekday_before(day: date) -> date:
    """Return the day itself, or the Friday before a weekend."""
    return day - timedelta(days=max(0, day.weekday() - 4))
