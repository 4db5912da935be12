"""Every feature a second time, from whole arrays, by Backtrader's indicators where it has them, else numpy and polars.

Nothing here shares a formula with `pine.strategies.features`; only addresses are read by it. As a program it compares
both over real bars, as ``pine bars SYMBOL --timeframe 1min --parquet SYMBOL.parquet`` writes them:

    python -m tests.strategies.features.oracle SYMBOL.parquet...
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pine.core.bar import Bar, fold
from pine.core.period import period
from pine.core.timeframe import Timeframe
from pine.strategies.features.address import Address, parse_address
from pine.strategies.features.graph import FeatureSet
from pine.strategies.features.places import Places
from pine.strategies.features.registry import FEATURES
from tests.strategies.features.world import RULE, instants

Values = NDArray[np.float64]
Place = tuple[str, Timeframe]
EXAMPLES: Final = {
    "run": ["run(above(close, open), 5)", "run(above(close, ema(3)), 2)"],
    "percentile": ["percentile(rsi(5), 252)", "percentile(close, 9)", "percentile(ibs, 20)@daily"],
    "percent_below": ["percent_below(atr(14), 252)", "percent_below(close, 8)@daily"],
    "median": ["median(close, 100)", "median(volume, 7)@daily"],
    "standardized": ["standardized(atr(5), 252)", "standardized(volume, 10)@daily"],
    "lag": ["lag(ibs, 1)@daily", "lag(close@daily, 3)", "lag(close@pair, 2)"],
    "product": ["product(ibs, atr_z(5, 252))", "product(close, close@NQ)"],
    "ratio": ["ratio(close, close@NQ.daily)", "ratio(volume, sma(20, volume))"],
    "difference": ["difference(close, close@pair)", "difference(ema(8), ema(20))@daily"],
    "above": ["above(close, close@daily)", "above(close, ema(20))"],
    "rsi": ["rsi(5)", "rsi(2)", "rsi(14)@daily", "rsi(14)@pair"],
    "psar": ["psar", "psar(0.03, 0.1)@daily"],
    "fractal": ["fractal", "fractal(2, 3)"],
    "momentum": ["momentum(1, high)", "momentum(3)", "momentum(5, volume)@daily"],
    "atr_z": ["atr_z", "atr_z@daily"],
    "adx": ["adx", "adx(7)@daily"],
    "slope": ["slope", "slope(8, 3, 5)@daily"],
    "drift": ["drift", "drift(20)@daily"],
    "donchian": ["donchian", "donchian(5)@daily"],
    "weekday": ["weekday", "weekday(exchange)@daily"],
    "day_part": ["day_part", "day_part(exchange)", "day_part@daily"],
    "open_close": ["open_close", "open_close(exchange)"],
    "z_score": ["z_score(20, 252)@NQ.daily", "z_score(20, 20)", "z_score(20, 252)"],
}
"""Addresses that a definition is tried with besides its name alone."""


@frozen
class Series:
    """Bars of one symbol and timeframe as arrays; `closed` in ns."""

    closed: NDArray[np.int64]
    columns: Mapping[str, Values]

    @classmethod
    def of(cls, bars: Sequence[Bar]) -> "Series":
        names = ("open", "high", "low", "close", "volume")
        closed = np.array([period(bar.timeframe, bar.start, RULE).end for bar in bars], dtype=np.int64)
        return cls(closed, {name: np.array([float(getattr(bar, name)) for bar in bars]) for name in names})


class Oracle:
    """The expected values of any address over some bars."""

    def __init__(self, bars: Iterable[Bar], places: Places) -> None:
        found: dict[Place, list[Bar]] = {}
        for bar in bars:
            found.setdefault((bar.symbol, bar.timeframe), []).append(bar)
        self.series = {place: Series.of(of_place) for place, of_place in found.items()}
        self._places = places
        self._known: dict[tuple[Address, Place], Values] = {}

    def values(self, address: Address, within: Place) -> tuple[Place, Values]:
        """Return the place of an address and its value after each bar there; NaN is none."""
        symbol = self._places.pairs[within[0]] if address.symbol == "pair" else address.symbol or within[0]
        place = (symbol, address.timeframe or within[1])
        if (address, place) not in self._known:
            with np.errstate(all="ignore"):
                self._known[address, place] = self._compute(address, place)
        return place, self._known[address, place]

    def read(self, text: str, place: Place) -> Values:
        """Return an address's values as known when the bars of a place close."""
        return self._aligned(parse_address(text), place)

    def _aligned(self, address: Address, place: Place) -> Values:
        own, values = self.values(address, place)
        if own == place:
            return values
        at = np.searchsorted(self.series[own].closed, self.series[place].closed, side="right") - 1
        return np.where(at >= 0, values[at], np.nan)

    def _compute(self, address: Address, place: Place) -> Values:
        given = {
            name: self._aligned(value, place) if isinstance(value, Address) else value
            for name, value in address.arguments
        }
        return np.asarray(FORMULAS[address.name](self.series[place], self, place, **given), dtype=float)


def on_values(function: Callable[[Values], Values]) -> Callable[[Values], Values]:
    """Return the function applied to those values that are any, its results put back where they stood."""

    def applied(values: Values) -> Values:
        there = np.isfinite(values)
        result = np.full(len(values), np.nan)
        result[there] = function(values[there])
        return result

    return applied


def rolled(values: Values, n: int, function: Callable[[Values], Values]) -> Values:
    """Return a function of each window of n values, given as rows; NaN before the first is full."""

    def roll(present: Values) -> Values:
        if len(present) < n:
            return np.full(len(present), np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(present, n)
        parts = [function(windows[at : at + 2000]) for at in range(0, len(windows), 2000)]
        return np.concatenate([np.full(n - 1, np.nan), *parts])

    return on_values(roll)(values)


def divided(numerator: Values, denominator: Values) -> Values:
    """Return a ratio, 0 where the denominator is next to nothing."""
    small = np.abs(denominator) < 1e-12
    return np.where(small & np.isfinite(numerator), 0.0, numerator / np.where(small, np.nan, denominator))


def backtrader(columns: Mapping[str, Values], make: Callable[[Any, Any], Any]) -> Values:
    """Return a line of a Backtrader indicator over bars; `make` gets its indicators and the data."""
    import backtrader as bt

    names = ("open", "high", "low", "close", "volume")

    class Feed(bt.feed.DataBase):  # type: ignore[misc]
        def start(self) -> None:
            super().start()
            self.at = 0

        def _load(self) -> bool:
            if self.at == len(columns["close"]):
                return False
            self.lines.datetime[0] = 730000.0 + self.at
            for name in names:
                getattr(self.lines, name)[0] = columns[name][self.at]
            self.at += 1
            return True

    class Reading(bt.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            self.indicator = make(bt.indicators, self.data)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(Feed())
    cerebro.addstrategy(Reading)
    try:
        indicator = cerebro.run()[0].indicator
    except IndexError:  # Backtrader's answer to fewer bars than an indicator takes
        return np.full(len(columns["close"]), np.nan)
    line = indicator.lines[0] if hasattr(indicator, "lines") else indicator
    return np.array(line.array[: len(columns["close"])], dtype=float)


def of_one(values: Values, make: Callable[[Any, Any], Any]) -> Values:
    """Return a Backtrader indicator of one series of values."""
    return on_values(lambda x: backtrader(dict.fromkeys(("open", "high", "low", "close", "volume"), x), make))(values)


def column(name: str) -> Callable[..., Values]:
    return lambda series, oracle, place: series.columns[name]


def changes(values: Values, n: int = 1) -> Values:
    return on_values(lambda x: np.concatenate([np.full(min(n, len(x)), np.nan), x[n:] - x[:-n]]))(values)


def ibs(series: Series, oracle: Oracle, place: Place) -> Values:
    high, low, close = (series.columns[name] for name in ("high", "low", "close"))
    return np.where(high > low, (close - low) / np.where(high > low, high - low, 1.0), 0.5)


def streak(flags: NDArray[np.bool_], window: int) -> Values:
    """Return the trues in a row up to each row, at most a window's; NaN before it is full."""
    at = np.arange(len(flags))
    last = np.maximum.accumulate(np.where(flags, -1, at))
    found = np.minimum(at - last, window).astype(float)
    found[: window - 1] = np.nan
    return found


def run(series: Series, oracle: Oracle, place: Place, source: Values, window: int) -> Values:
    return on_values(lambda x: streak(x == 1.0, window))(source)


def count(sign: int) -> Callable[..., Values]:
    def formula(series: Series, oracle: Oracle, place: Place, window: int) -> Values:
        return streak(np.sign(series.columns["close"] - series.columns["open"]) == sign, window)

    return formula


def inside_bar(series: Series, oracle: Oracle, place: Place) -> Values:
    high, low = series.columns["high"], series.columns["low"]
    inside = (high[1:] <= high[:-1]) & (low[1:] >= low[:-1])
    return np.concatenate([[np.nan], inside])


def narrow_bar(series: Series, oracle: Oracle, place: Place, length: int) -> Values:
    spread = series.columns["high"] - series.columns["low"]
    return rolled(spread, length, lambda w: (w[:, -1:] < w[:, :-1]).all(axis=1).astype(float))


def fractal(series: Series, oracle: Oracle, place: Place, left: int, right: int) -> Values:
    high, low, close = (series.columns[name] for name in ("high", "low", "close"))
    upper = lower = np.nan
    found = np.full(len(close), np.nan)
    for now in range(left + right, len(close)):
        at = now - right
        if (high[at] > high[at - left : at]).all() and (high[at] >= high[at + 1 : now + 1]).all():
            upper = high[at]
        if (low[at] < low[at - left : at]).all() and (low[at] <= low[at + 1 : now + 1]).all():
            lower = low[at]
        if np.isfinite(upper + lower):
            found[now] = 1.0 if close[now] > upper else -1.0 if close[now] < lower else 0.0
    return found


def contraction(fast: Values, slow: Values, limit: float, **_: Any) -> Values:
    ratio = divided(fast, slow)
    rows, found = 0, []
    for each in ratio:
        rows = rows + 1 if each < limit else 0
        found.append(np.clip((limit - each) / limit, 0, 1) * (1 - np.exp(-rows / 10)))
    return np.array(found)


def drift(series: Series, oracle: Oracle, place: Place, length: int) -> Values:
    def of(windows: Values) -> Values:
        steps = windows[:, 1:] / windows[:, :-1] - 1
        return divided(windows[:, -1] / windows[:, 0] - 1, steps.std(axis=1, ddof=1))

    return rolled(series.columns["close"], length + 1, of)


def efficiency(close: Values, length: int) -> Values:
    return rolled(
        close, length + 1, lambda w: divided(np.abs(w[:, -1] - w[:, 0]), np.abs(np.diff(w, axis=1)).sum(axis=1))
    )


def spiral(series: Series, oracle: Oracle, place: Place, short: int, middle: int, long: int) -> Values:
    parts = [efficiency(series.columns["close"], n) for n in (short, middle, long)]
    return np.average(np.stack(parts), axis=0, weights=[4, 2, 1])


def clock(function: Callable[[Any], Any]) -> Callable[..., Values]:
    """Return a formula of the close's time, as polars reads it off a zone's clocks."""

    def formula(series: Series, oracle: Oracle, place: Place, clock: str) -> Values:
        import polars as pl

        zone = {"utc": "UTC", "exchange": "America/Chicago"}[clock]
        times = pl.Series(series.closed).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone(zone)
        return np.asarray(function(times.dt).cast(pl.Float64).to_numpy())

    return formula


def day_part(dt: Any) -> Any:
    hour = dt.hour()
    return 1 + (hour >= 8).cast(int) + 2 * (hour >= 15).cast(int) - (hour >= 17).cast(int)


def up_move(series: Series, oracle: Oracle, place: Place) -> Values:
    up, down = changes(series.columns["high"]), -changes(series.columns["low"])
    return np.where(np.isnan(up), np.nan, np.where((up > down) & (up > 0), up, 0.0))


def down_move(series: Series, oracle: Oracle, place: Place) -> Values:
    up, down = changes(series.columns["high"]), -changes(series.columns["low"])
    return np.where(np.isnan(up), np.nan, np.where((down > up) & (down > 0), down, 0.0))


def dx(series: Series, oracle: Oracle, place: Place, length: int) -> Values:
    plus = FORMULAS["plus_di"](series, oracle, place, length=length)
    minus = FORMULAS["minus_di"](series, oracle, place, length=length)
    return divided(np.abs(plus - minus), plus + minus)


def bars_line(make: Callable[..., Any]) -> Callable[..., Values]:
    """Return a formula by a Backtrader indicator of bars."""
    return lambda series, oracle, place, **given: backtrader(series.columns, lambda b, data: make(b, data, **given))


def source_line(make: Callable[..., Any]) -> Callable[..., Values]:
    """Return a formula by a Backtrader indicator of another feature."""
    return lambda series, oracle, place, source, **given: of_one(source, lambda b, data: make(b, data, **given))


def window(n: str, function: Callable[[Values], Values]) -> Callable[..., Values]:
    """Return a formula over windows of another feature."""
    return lambda series, oracle, place, source, **given: rolled(source, given[n], function)


def standardized(w: Values) -> Values:
    return divided(w[:, -1] - w.mean(axis=1), w.std(axis=1))


def close_only(n: str, function: Callable[..., Values]) -> Callable[..., Values]:
    return lambda series, oracle, place, **given: function(series.columns["close"], **given)


def std(values: Values, n: int) -> Values:
    return rolled(values, n, lambda w: w.std(axis=1))


def sma(values: Values, n: int) -> Values:
    return rolled(values, n, lambda w: w.mean(axis=1))


def before(values: Values) -> Values:
    return np.concatenate([[np.nan], values[:-1]])


def bands(series: Series, length: int) -> tuple[Values, Values]:
    high = rolled(series.columns["high"], length, lambda w: w.max(axis=1))
    low = rolled(series.columns["low"], length, lambda w: w.min(axis=1))
    return before(high), before(low)


def donchian(series: Series, oracle: Oracle, place: Place, length: int) -> Values:
    upper, lower = bands(series, length)
    close = series.columns["close"]
    return np.where(np.isnan(upper), np.nan, np.where(close > upper, 1.0, np.where(close < lower, -1.0, 0.0)))


def proximity(series: Series, oracle: Oracle, place: Place, length: int, atr_length: int) -> Values:
    upper, lower = bands(series, length)
    close = series.columns["close"]
    atr = before(FORMULAS["atr"](series, oracle, place, length=atr_length))
    return divided(np.minimum(np.abs(close - lower), np.abs(upper - close)), atr)


def ema_of(series: Series, length: int) -> Values:
    return of_one(series.columns["close"], lambda b, data: b.EMA(data, period=length))


def slope(series: Series, oracle: Oracle, place: Place, length: int, bars: int, atr_length: int) -> Values:
    return divided(changes(ema_of(series, length), bars), FORMULAS["atr"](series, oracle, place, length=atr_length))


def pair_z(series: Series, oracle: Oracle, place: Place, length: int) -> Values:
    other = oracle.read(f"close@pair.{place[1].value}", place)
    return rolled(series.columns["close"] - other, length, standardized)


def atr(series: Series, length: int) -> Values:
    return backtrader(series.columns, lambda b, data: b.ATR(data, period=length))


FORMULAS: Final[dict[str, Callable[..., Values]]] = {
    **{name: column(name) for name in ("open", "high", "low", "close", "volume")},
    "ibs": ibs,
    "run": run,
    "bear_count": count(-1),
    "bull_count": count(1),
    "inside_bar": inside_bar,
    "narrow_bar": narrow_bar,
    "fractal": fractal,
    "percent_change": bars_line(lambda b, data, length: 100.0 * b.PercentChange(data, period=length)),
    "momentum": source_line(lambda b, data, length: b.Momentum(data, period=length)),
    "momentum_z": lambda s, o, p, length, window: rolled(changes(s.columns["close"], length), window, standardized),
    "rsi": bars_line(lambda b, data, length: b.RSI_Safe(data, period=length)),
    "sma": source_line(lambda b, data, length: b.SMA(data, period=length)),
    "deviation": window("length", lambda w: w.std(axis=1)),
    "standardized": window("window", standardized),
    "z_score": lambda s, o, p, length, window: divided(
        s.columns["close"] - sma(s.columns["close"], length), std(s.columns["close"], window)
    ),
    "percentile": window(
        "window", lambda w: ((w < w[:, -1:]).mean(axis=1) + (w <= w[:, -1:]).mean(axis=1) + 1 / w.shape[1]) / 2
    ),
    "percent_below": source_line(lambda b, data, window: 100.0 * b.PercentRank(data, period=window)),
    "median": window("window", lambda w: np.median(w, axis=1)),
    "highest": source_line(lambda b, data, length: b.Highest(data, period=length)),
    "lowest": source_line(lambda b, data, length: b.Lowest(data, period=length)),
    "lag": lambda s, o, p, source, bars: rolled(source, bars + 1, lambda w: w[:, 0]),
    "ema": source_line(lambda b, data, length: b.EMA(data, period=length)),
    "wilder": source_line(lambda b, data, length: b.SMMA(data, period=length)),
    "true_range": bars_line(lambda b, data: b.TrueRange(data)),
    "atr": bars_line(lambda b, data, length: b.ATR(data, period=length)),
    "atr_z": lambda s, o, p, length, window: rolled(atr(s, length), window, standardized),
    "true_range_ratio": bars_line(lambda b, data, length: b.TrueRange(data) / b.ATR(data, period=length)),
    "range_compression": bars_line(lambda b, data, length: (data.high - data.low) / b.ATR(data, period=length)),
    "contraction": lambda s, o, p, fast, slow, limit: contraction(atr(s, fast), atr(s, slow), limit),
    "bollinger_upper": bars_line(lambda b, d, length, width: b.BollingerBands(d, period=length, devfactor=width).top),
    "bollinger_lower": bars_line(lambda b, d, length, width: b.BollingerBands(d, period=length, devfactor=width).bot),
    "bollinger_position": close_only("length", lambda c, length, width: bollinger(c, length, width, "lower")),
    "bollinger_excess": close_only("length", lambda c, length, width: bollinger(c, length, width, "upper")),
    "bollinger_width": close_only(
        "length", lambda c, length, width: divided(2 * width * std(c, length), sma(c, length))
    ),
    "donchian": donchian,
    "donchian_proximity": proximity,
    "distance_z": close_only("length", lambda c, length: divided(c - sma(c, length), std(changes(c), length))),
    "slope": slope,
    "ribbon": lambda s, o, p, fast, slow: np.abs(ema_of(s, fast) - ema_of(s, slow)),
    "up_move": up_move,
    "down_move": down_move,
    "plus_di": bars_line(lambda b, data, length: b.PlusDI(data, period=length)),
    "minus_di": bars_line(lambda b, data, length: b.MinusDI(data, period=length)),
    "directional_index": dx,
    "adx": bars_line(lambda b, data, length: b.ADX(data, period=length)),
    "psar": bars_line(lambda b, data, af, af_max: b.PSAR(data, af=af, afmax=af_max)),
    "psar_distance": bars_line(lambda b, data, af, af_max: data.close - b.PSAR(data, af=af, afmax=af_max)),
    "drift": drift,
    "efficiency": close_only("length", efficiency),
    "spiral_efficiency": spiral,
    "volume_z": lambda s, o, p, length, window: rolled(sma(s.columns["volume"], length), window, standardized),
    "product": lambda s, o, p, left, right: left * right,
    "ratio": lambda s, o, p, left, right: divided(left, right),
    "difference": lambda s, o, p, left, right: left - right,
    "above": lambda s, o, p, left, right: np.where(np.isnan(left + right), np.nan, left > right),
    "pair_z": pair_z,
    "weekday": clock(lambda dt: dt.weekday()),
    "month": clock(lambda dt: dt.month()),
    "monthday": clock(lambda dt: dt.day()),
    "late_month": clock(lambda dt: dt.day() > 25),
    "early_week": clock(lambda dt: dt.weekday() < 3),
    "even_day": clock(lambda dt: dt.day() % 2 == 0),
    "day_part": clock(day_part),
    "open_close": clock(lambda dt: (dt.hour() == 8).cast(int) + 2 * (dt.hour() == 14).cast(int)),
}
"""Name of a definition to its formula over arrays."""


def bollinger(close: Values, length: int, width: float, band: str) -> Values:
    middle, half = sma(close, length), width * std(close, length)
    return divided(close - (middle - half if band == "lower" else middle + half), 2 * half)


@frozen
class Comparison:
    """How far a feature is from its oracle.

    Attributes
    ----------
    values
        How many were compared.
    mismatched
        Rows where one has a value and the other none.
    difference
        The largest, absolute.
    scale
        The largest expected value, absolute.
    """

    values: int
    mismatched: int
    difference: float
    scale: float


def examples() -> list[str]:
    """Return the addresses that every definition is tried with."""
    found = []
    for name in FEATURES:
        found += EXAMPLES.get(name, [name])
    return found


def compare(addresses: Sequence[str], symbol: str, bars: Sequence[Bar], places: Places) -> dict[str, Comparison]:
    """Return how far features are from their oracles over some bars, by address."""
    features = FeatureSet({symbol: addresses}, {bar.symbol: RULE for bar in bars}, places)
    oracle = Oracle(bars, places)
    expected = {text: oracle.values(parse_address(text), (symbol, Timeframe.HOUR)) for text in addresses}
    found: dict[str, list[float]] = {text: [] for text in addresses}
    for group in instants(bars):
        features.update(group)
        advanced = {(bar.symbol, bar.timeframe) for bar in group}
        for text, (place, _) in expected.items():
            if place in advanced:
                value = features.value(symbol, text)
                found[text].append(np.nan if value is None else value)
    return {text: _compared(np.array(found[text]), values) for text, (_, values) in expected.items()}


def _compared(found: Values, expected: Values) -> Comparison:
    both = np.isfinite(found) & np.isfinite(expected)
    mismatched = int((np.isfinite(found) != np.isfinite(expected)).sum())
    if not both.any():
        return Comparison(0, mismatched, 0.0, 0.0)
    return Comparison(
        int(both.sum()), mismatched, float(np.abs(found - expected)[both].max()), float(np.abs(expected[both]).max())
    )


def minutes(path: str) -> list[Bar]:
    """Return the minutes of a file that ``pine bars --timeframe 1min --parquet`` wrote."""
    import polars as pl

    rows = pl.read_parquet(path).with_columns(start=pl.col("timestamp").cast(pl.Int64)).drop("timestamp")
    return [Bar(symbol=Path(path).stem, timeframe=Timeframe.MINUTE, **row) for row in rows.iter_rows(named=True)]


def whole_world(found: Sequence[Bar]) -> list[Bar]:
    """Return minutes of one symbol with the hours and days that they fold to, the last ones left out."""
    bars = list(found)
    for timeframe in (Timeframe.HOUR, Timeframe.DAY):
        groups: dict[tuple[int, int], list[Bar]] = {}
        for bar in found:
            groups.setdefault(period(timeframe, bar.start, RULE), []).append(bar)
        bars += [fold(inside, timeframe, start) for (start, end), inside in groups.items()][:-1]
    return bars


def main(paths: Sequence[str]) -> None:
    """Compare every feature with its oracle over real minutes, hours and days; print a line for each."""
    bars = [bar for path in paths for bar in whole_world(minutes(path))]
    symbols = list(dict.fromkeys(bar.symbol for bar in bars))
    pairs = dict(zip(symbols, [*symbols[1:], symbols[0]], strict=True))
    texts = [text.replace("NQ", pairs[symbols[0]]) for text in examples()]
    wanted = [text for text in texts if "@" not in text]
    compared = compare([*texts, *(f"{text}@1min" for text in wanted)], symbols[0], bars, Places(pairs=pairs))
    lines = [f"{'feature':48} {'values':>7} {'one-sided':>9} {'difference':>10} {'largest value':>13}"]
    for text, found in compared.items():
        lines.append(f"{text:48} {found.values:7} {found.mismatched:9} {found.difference:10.1e} {found.scale:13.6g}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
