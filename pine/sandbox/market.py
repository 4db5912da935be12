"""A seeded market: trades of any roots over any number of sessions, as an array or as a DBN file."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import zstandard
from attrs import frozen
from numpy.typing import NDArray

from pine.core.errors import SandboxError
from pine.core.instruments import GENERATED_IDS, InstrumentSpec, spec
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS
from pine.core.times import to_datetime
from pine.hub.dbn import encode_header
from pine.sandbox.market_activity import Minutes, open_minutes, trade_counts
from pine.sandbox.market_listing import Listing, list_contracts
from pine.sandbox.market_prices import CARRY, START_PRICES, log_path
from pine.sandbox.records import TradeArray, empty_trades

DATASET: Final = "GLBX.MDP3"
FIRST_DAY: Final = date(2024, 3, 4)

_MIN_LATENCY: Final = 150_000
_MAX_LATENCY: Final = 2 * NS_PER_MS
_SWEEP: Final = 0.15  # share of trades that belong to the same order as the one before
_NO_SIDE: Final = 0.02
_INSTRUMENTS_PER_ROOT: Final = 1000


@frozen(eq=False)
class GeneratedMarket:
    """Made-up trades and their instruments.

    Attributes
    ----------
    trades
        Structured array of `pine.sandbox.records.TRADE_DTYPE`, sorted by ``ts_recv``.
    symbols
        Raw symbol of each instrument id.
    roots
        The roots asked for.
    """

    trades: TradeArray
    symbols: Mapping[int, str]
    roots: tuple[str, ...]


def generate_market(
    symbols: Iterable[str], days: int, seed: int, start: date = FIRST_DAY, *, trades_per_day: int = 10_000
) -> GeneratedMarket:
    """Make up a market.

    Each root has its own stream of randomness, so its trades do not depend on which other roots are made.

    Parameters
    ----------
    symbols
        Roots, such as ``ES``.
    days
        Number of trading sessions; weekends and holidays of the exchange do not count.
    seed
        The same seed makes the same trades.
    start
        First trade date, or the next one if that is none.
    trades_per_day
        Trades per root in a usual session, all its instruments together.

    Raises
    ------
    ContractError
        If a root is not known.
    SandboxError
        If there are no roots, or days, trades or seed make no market.
    """
    roots = tuple(dict.fromkeys(symbols))
    if not roots or days < 1 or trades_per_day < 1 or seed < 0:
        raise SandboxError(
            f"market: found {len(roots)} symbols, days {days}, trades per day {trades_per_day}, seed {seed}; "
            "expected at least one symbol, day and trade and a seed of 0 or more"
        )
    made = [_make_root(spec(root), days, seed, start, trades_per_day) for root in roots]
    trades = np.concatenate([trades for trades, _ in made])
    names = {number: name for _, numbers in made for number, name in numbers.items()}
    return GeneratedMarket(trades[np.argsort(trades["ts_recv"], kind="stable")], names, roots)


def write_market(
    path: Path,
    symbols: Iterable[str],
    days: int,
    seed: int,
    start: date = FIRST_DAY,
    *,
    trades_per_day: int = 10_000,
) -> GeneratedMarket:
    """Make up a market, and write it as a zstd DBN file of schema ``trades``; see `generate_market`."""
    market = generate_market(symbols, days, seed, start, trades_per_day=trades_per_day)
    data = _metadata(market) + market.trades.tobytes()
    path.write_bytes(zstandard.ZstdCompressor(level=3).compress(data))
    return market


def _make_root(
    spec: InstrumentSpec, days: int, seed: int, start: date, trades_per_day: int
) -> tuple[TradeArray, dict[int, str]]:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int(spec.root, 36)])))
    minutes = open_minutes(spec.group, start, days)
    listing = list_contracts(spec, minutes.dates[0], minutes.dates[-1])
    counts, burst = trade_counts(minutes, trades_per_day, rng)
    minute = np.repeat(np.arange(len(minutes)), counts)
    trades = empty_trades(len(minute))
    same_order = _stamp(trades, minutes, minute, rng)
    which = _choose(listing, minutes, minute, rng)
    path = START_PRICES[spec.root] * np.exp(log_path(minutes, minute, burst, rng))
    trades["side"] = _sides(len(minute), rng)
    trades["price"] = _ticks(spec, listing, path, which, trades["side"]) * spec.tick_ns
    trades["size"] = np.clip(rng.lognormal(0.5, 0.9, len(minute)), 1, 400).astype(np.uint32)
    trades["sequence"] = 1 + np.cumsum(np.where(same_order, 0, rng.integers(1, 4, len(minute))))
    trades["ts_in_delta"] = rng.integers(9_000, 30_000, len(minute))
    base = GENERATED_IDS + int(spec.root, 36) * _INSTRUMENTS_PER_ROOT
    trades["instrument_id"] = base + which
    return trades, {base + at: name for at, name in enumerate(listing.symbols)}


def _stamp(
    trades: TradeArray, minutes: Minutes, minute: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Set both times; return which trades share them with the one before."""
    # Nothing may have happened before the market opened, not even what was received after.
    earliest = np.where(minutes.opens[minute], _MAX_LATENCY, 0)
    ts = np.sort(minutes.start[minute] + rng.integers(earliest, NS_PER_MINUTE))
    same_order = rng.random(len(ts)) < _SWEEP
    same_order[:1] = False
    same_order[1:] &= minute[1:] == minute[:-1]
    leader = np.maximum.accumulate(np.where(same_order, 0, np.arange(len(ts))))
    latency = np.minimum(_MIN_LATENCY + rng.exponential(150_000, len(ts)), _MAX_LATENCY).astype(np.int64)
    trades["ts_recv"] = ts[leader]
    trades["ts_event"] = np.maximum.accumulate((ts - latency)[leader])
    return same_order


def _choose(
    listing: Listing, minutes: Minutes, minute: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw each trade's instrument by its share of the session's trading."""
    below = np.cumsum(listing.shares(minutes.dates), axis=1)[:, :-1]
    drawn = rng.random(len(minute))
    which: NDArray[np.int64] = np.zeros(len(minute), np.int64)
    for column in below.T:
        which += drawn >= column[minutes.session[minute]]
    return which


def _sides(count: int, rng: np.random.Generator) -> NDArray[np.bytes_]:
    half = (1 - _NO_SIDE) / 2
    return np.array([b"A", b"B", b"N"])[rng.choice(3, count, p=(half, half, _NO_SIDE))]


def _ticks(
    spec: InstrumentSpec,
    listing: Listing,
    path: NDArray[np.float64],
    which: NDArray[np.int64],
    side: NDArray[np.bytes_],
) -> NDArray[np.int64]:
    """Return prices in ticks: buyers pay the tick above the market, sellers get the one below."""
    tick = float(spec.tick_size)
    front = listing.expiries[0].contract
    years = np.array(
        [((e.contract.year - front.year) * 12 + e.contract.month - front.month) / 12 for e in listing.expiries]
    )
    factor = np.exp(CARRY[spec.group] * years)
    outright = np.maximum(np.floor(path * factor[np.minimum(which, len(factor) - 1)] / tick), 1).astype(np.int64)
    # A calendar spread costs the nearer contract less the farther one.
    difference = np.concatenate((np.zeros(len(factor)), factor[:-1] - factor[1:]))
    spread = np.floor(path * difference[which] / tick).astype(np.int64)
    ticks: NDArray[np.int64] = np.where(which < len(factor), outright, spread) + (side == b"B")
    return ticks


def _metadata(market: GeneratedMarket) -> bytes:
    """Return a header that covers all sessions, which open and close at whole hours, as that of a request would."""
    first, last = int(market.trades["ts_recv"][0]), int(market.trades["ts_recv"][-1])
    days = to_datetime(first).date(), to_datetime(last).date() + timedelta(days=1)
    mappings = [(name, [(*days, str(number))]) for number, name in market.symbols.items()]
    parents = [f"{root}.FUT" for root in market.roots]
    opening, close = first - first % NS_PER_HOUR, last + NS_PER_HOUR - last % NS_PER_HOUR
    return encode_header(DATASET, "trades", opening, close, "parent", parents, mappings)
