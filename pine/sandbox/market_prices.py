"""A made-up market's price: one random walk per root, with calm and wild hours, trends and reversals."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR
from pine.sandbox.market_activity import Minutes

START_PRICES: Final = {
    "ES": 5130.0,
    "NQ": 18300.0,
    "RTY": 2070.0,
    "YM": 39050.0,
    "GC": 2092.0,
    "SI": 23.3,
    "HG": 3.86,
    "PL": 892.0,
    "CL": 79.6,
    "NG": 1.86,
    "6A": 0.6525,
    "6B": 1.2680,
    "6C": 0.7375,
    "6E": 1.0865,
    "6J": 0.006675,
    "6M": 0.05870,
    "6N": 0.6105,
    "6S": 1.1350,
    "ZB": 119.5,
    "ZC": 424.0,
    "ZS": 1151.0,
    "ZW": 558.0,
    "MES": 5130.0,
    "MNQ": 18300.0,
    "M2K": 2070.0,
    "MYM": 39050.0,
    "MGC": 2092.0,
    "SIL": 23.3,
    "MHG": 3.86,
    "MCL": 79.6,
    "M6A": 0.6525,
    "M6B": 1.2680,
    "M6E": 1.0865,
}
"""Price of the first trade, near that of early March 2024."""

CARRY: Final = {"equity": 0.045, "metals": 0.05, "energy": -0.03, "fx": 0.012, "rates": -0.01, "grains": 0.06}
"""By how much a contract one year further out is dearer, as a fraction."""

_DAILY_VOLATILITY: Final = 0.0080
_FULL_DAY_MINUTES: Final = 1380
_TREND: Final = 1.5
_REVERSION: Final = 0.9
_JUMP: Final = 0.0022
_NIGHT_GAP: Final = 0.0006
_WEEKEND_GAP: Final = 0.0025


def log_path(
    minutes: Minutes, minute: NDArray[np.int64], burst: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Walk from trade to trade.

    Each hour is a trend, a return to where it began, or neither; hours and sessions differ in volatility, bursts
    begin with a jump, sessions with a gap.

    Parameters
    ----------
    minutes
        The open minutes.
    minute
        For each trade its minute, as a position in `minutes`, not decreasing.
    burst
        For each minute whether it is a burst.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        Logarithm of the price relative to the first one, one element per trade.
    """
    trades_in = np.bincount(minute, minlength=len(minutes))
    _, hour_of_minute = np.unique(minutes.start // NS_PER_HOUR, return_inverse=True)
    volatility = _minute_volatility(minutes, hour_of_minute, rng)
    step = rng.standard_normal(len(minute)) * (volatility / np.sqrt(np.maximum(trades_in, 1)))[minute]
    hourly_variance = np.bincount(hour_of_minute, volatility**2).astype(np.float64)
    step += _hourly_drift(step, hour_of_minute[minute], hourly_variance, rng)
    _, first_of_minute = np.unique(minute, return_index=True)
    jumping = first_of_minute[burst[minute[first_of_minute]]]
    step[jumping] += rng.choice((-1.0, 1.0), len(jumping)) * rng.uniform(0.5, 1.5, len(jumping)) * _JUMP
    _, opening = np.unique(minutes.session[minute], return_index=True)
    idle = np.diff(minutes.start[minute[opening]], prepend=minutes.start[0])
    step[opening] += rng.standard_normal(len(opening)) * np.where(idle > 2 * NS_PER_DAY, _WEEKEND_GAP, _NIGHT_GAP)
    step[0] = 0.0
    return np.cumsum(step)


def _minute_volatility(minutes: Minutes, hour: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float64]:
    shape = minutes.activity**0.25
    shape /= np.sqrt(np.mean(shape**2))
    wild = rng.lognormal(-0.02, 0.18, len(minutes.dates))[minutes.session]
    wild *= rng.lognormal(-0.03, 0.25, int(hour.max()) + 1)[hour]
    volatility: NDArray[np.float64] = _DAILY_VOLATILITY / np.sqrt(_FULL_DAY_MINUTES) * shape * wild
    return volatility


def _hourly_drift(
    step: NDArray[np.float64], hour: NDArray[np.intp], variance: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return what each step has to move in addition for its hour to trend or to return to its start."""
    hours = len(variance)
    kind = rng.random(hours)
    trend = np.where(kind < 0.25, rng.choice((-_TREND, _TREND), hours) * np.sqrt(variance), 0.0)
    back = np.where(kind > 0.70, -_REVERSION * np.bincount(hour, step, minlength=hours), 0.0)
    per_trade: NDArray[np.float64] = (trend + back) / np.maximum(np.bincount(hour, minlength=hours), 1)
    return per_trade[hour]
