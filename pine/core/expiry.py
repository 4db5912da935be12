"""The last day on which a contract trades, by the rules of CME Group's contract specifications.

Where a contract is delivered, holders leave it before its first notice day, which may be weeks earlier; the volume
moves on with them, and with it pine's lead.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import Final

from pine.core.calendar import is_business_day
from pine.core.contract import Contract
from pine.core.instruments import MICROS, spec

_FRIDAY: Final = 4
_WEDNESDAY: Final = 2


def last_trade_day(contract: Contract) -> date:
    """Return the last day on which a contract is scheduled to trade.

    Holidays are those of the exchange's calendar, so a day that is announced at short notice is not known here.

    Raises
    ------
    ContractError
        If pine does not know its root.
    """
    rule = _OWN_RULES.get(contract.root) or _OWN_RULES.get(MICROS.get(contract.root, ""))
    return (rule or _GROUP_RULES[spec(contract.root).group])(contract)


def _equity(contract: Contract) -> date:
    """Third Friday of the delivery month."""
    return _on_or_before(_nth(contract, _FRIDAY, 3))


def _fx(contract: Contract) -> date:
    """Second business day before the third Wednesday of the delivery month."""
    return _business_days_before(_nth(contract, _WEDNESDAY, 3), 2)


def _canadian_dollar(contract: Contract) -> date:
    """Business day before the third Wednesday of the delivery month."""
    return _business_days_before(_nth(contract, _WEDNESDAY, 3), 1)


def _metals(contract: Contract) -> date:
    """Third last business day of the delivery month."""
    return _business_days_before(_first_of_next(contract), 3)


def _crude_oil(contract: Contract) -> date:
    """Third business day before the 25th of the month before delivery; the fourth if the 25th is none itself."""
    day = _first(contract) - timedelta(days=1)
    day = day.replace(day=25)
    return _business_days_before(day, 3 if is_business_day(day) else 4)


def _micro_crude_oil(contract: Contract) -> date:
    """Business day before that of the full contract."""
    return _business_days_before(_crude_oil(contract), 1)


def _natural_gas(contract: Contract) -> date:
    """Third last business day of the month before delivery."""
    return _business_days_before(_first(contract), 3)


def _bonds(contract: Contract) -> date:
    """Seventh business day before the last one of the delivery month."""
    return _business_days_before(_first_of_next(contract), 8)


def _grains(contract: Contract) -> date:
    """Business day before the 15th of the delivery month."""
    return _business_days_before(_first(contract).replace(day=15), 1)


Rule = Callable[[Contract], date]

_GROUP_RULES: Final[Mapping[str, Rule]] = {
    "equity": _equity,
    "metals": _metals,
    "energy": _crude_oil,
    "fx": _fx,
    "rates": _bonds,
    "grains": _grains,
}
_OWN_RULES: Final[Mapping[str, Rule]] = {"NG": _natural_gas, "6C": _canadian_dollar, "MCL": _micro_crude_oil}


def _first(contract: Contract) -> date:
    return date(contract.year, contract.month, 1)


def _first_of_next(contract: Contract) -> date:
    return (_first(contract) + timedelta(days=31)).replace(day=1)


def _nth(contract: Contract, weekday: int, n: int) -> date:
    first = _first(contract)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _on_or_before(day: date) -> date:
    return day if is_business_day(day) else _business_days_before(day, 1)


def _business_days_before(day: date, count: int) -> date:
    days = (found for found in _backwards(day) if is_business_day(found))
    return next(found for n, found in enumerate(days, 1) if n == count)


def _backwards(day: date) -> Iterator[date]:
    while True:
        day -= timedelta(days=1)
        yield day
