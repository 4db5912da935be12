"""Bars of earlier contracts, shifted so that they continue in the present one's prices.

The gap of a roll is what lies between the close of the old contract's last bar and the open of the new contract's
first one: both stand in bars, so that whoever has the bars knows the gap, live, again and in replay. Leads change at
the close of a session, which no minute, hour or day crosses: bars of every length show the same gap.
"""

from collections.abc import Sequence

from attrs import evolve

from pine.core.bar import PRICE_SCALE, Bar, price
from pine.core.config import Adjust
from pine.core.errors import DataError


def adjusted(bars: Sequence[Bar], later: Sequence[Bar], how: Adjust) -> list[Bar]:
    """Return bars as they would have been in the prices of the contract that is the lead now.

    Parameters
    ----------
    bars
        Of one root, in order of time, as they were published.
    later
        Bars of that root after them, as they were published; the last one's contract is the lead now.
    how
        ``difference`` adds the gap of every roll after a bar to its prices, ``ratio`` multiplies by it, ``none``
        leaves them. Results are rounded to 1e-9, the unit of raw prices.

    Raises
    ------
    DataError
        If a ratio is asked for of prices that are not above zero.
    """
    if how == "none":
        return list(bars)
    chain = [*bars, *later]
    shift, factor = 0, 1.0
    result: list[Bar] = []
    for at in range(len(chain) - 1, -1, -1):
        bar = chain[at]
        if at + 1 < len(chain) and chain[at + 1].contract_symbol != bar.contract_symbol:
            if how == "difference":
                shift += _raw(chain[at + 1].open) - _raw(bar.close)
            else:
                factor *= _ratio(bar, chain[at + 1])
        if at < len(bars):
            result.append(_moved(bar, shift, factor))
    return result[::-1]


def _raw(points: float) -> int:
    return round(points * PRICE_SCALE)


def _ratio(old: Bar, new: Bar) -> float:
    if old.close <= 0 or new.open <= 0:
        raise DataError(
            f"adjust: ratio: {old.symbol} rolls from {old.contract_symbol} at {old.close} to {new.contract_symbol} at "
            f"{new.open}, expected prices above zero; use adjust: difference"
        )
    return new.open / old.close


def _moved(bar: Bar, shift: int, factor: float) -> Bar:
    if not shift and factor == 1.0:
        return bar
    prices = (bar.open, bar.high, bar.low, bar.close)
    opened, high, low, close = (price(round(_raw(points) * factor) + shift) for points in prices)
    return evolve(bar, open=opened, high=high, low=low, close=close)
