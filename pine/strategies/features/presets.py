"""The old system's optional filters: what each looks at, and the band in which it lets a trade through."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from pine.strategies.features.aliases import SYMBOLS


@frozen
class Between:
    """Lets values through from `low` to `high`, both included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"between {self.low:g} and {self.high:g}"

    def passes(self, value: float) -> bool:
        """Tell whether a value is let through."""
        return self.low <= value <= self.high


@frozen
class AboveLimit:
    """Lets values above `limit` through."""

    limit: float

    def __str__(self) -> str:
        return f"above {self.limit:g}"

    def passes(self, value: float) -> bool:
        """Tell whether a value is let through."""
        return value > self.limit


@frozen
class BelowLimit:
    """Lets values below `limit` through."""

    limit: float

    def __str__(self) -> str:
        return f"below {self.limit:g}"

    def passes(self, value: float) -> bool:
        """Tell whether a value is let through."""
        return value < self.limit


@frozen
class Equals:
    """Lets some values through and no other."""

    values: tuple[float, ...]

    def __str__(self) -> str:
        return "equals " + " or ".join(f"{value:g}" for value in self.values)

    def passes(self, value: float) -> bool:
        """Tell whether a value is let through."""
        return value in self.values


Condition = Between | AboveLimit | BelowLimit | Equals


@frozen
class Preset:
    """One filter.

    Attributes
    ----------
    address
        The feature it looks at.
    condition
        The values that it lets through.
    """

    address: str
    condition: Condition


_ON: Final = Equals((1.0,))
_WORKDAYS: Final = Equals((1.0, 2.0, 3.0, 4.0, 5.0))
_ANY_MONTH: Final = Equals(tuple(float(month) for month in range(1, 13)))


def _cross() -> dict[str, Preset]:
    """Return the filters on other instruments, by symbol and timeframe."""
    found: dict[str, Preset] = {}
    for symbol in SYMBOLS:
        for timeframe in ("hourly", "daily"):
            place = f"{symbol}.{timeframe}"
            name = f"{symbol.lower()}_{timeframe}"
            found[f"{name}_z_score"] = Preset(f"z_score(20, 252)@{place}", Between(-2, 2))
            found[f"{name}_return"] = Preset(f"percent_change(1)@{place}", Between(-1, 1))
    return found


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "weekday": Preset("weekday", _WORKDAYS),
        "month": Preset("month", _ANY_MONTH),
        "late_month": Preset("late_month", _ON),
        "early_week": Preset("early_week", _ON),
        "even_day": Preset("even_day", _ON),
        "odd_day": Preset("even_day", Equals((0.0,))),
        "day_part": Preset("day_part", Equals((1.0, 2.0, 3.0, 4.0))),
        "open_close": Preset("open_close", Equals((1.0, 2.0))),
        "previous_day_change": Preset("percent_change(1)@daily", Between(-2, 2)),
        "previous_bar_change": Preset("percent_change(1)", Between(-1, 1)),
        "four_bar_change": Preset("percent_change(4)", Between(-1, 1)),
        "daily_four_bar_change": Preset("percent_change(4)@daily", Between(-1, 1)),
        "daily_ibs": Preset("ibs@daily", Between(0, 0.2)),
        "previous_ibs": Preset("lag(ibs, 1)", Between(0.8, 1)),
        "previous_daily_ibs": Preset("lag(ibs, 1)@daily", Between(0.8, 1)),
        "pair_ibs": Preset("ibs@pair", Between(0, 0.2)),
        "pair_z": Preset("pair_z(20)", Between(-2, 2)),
        "rsi_5": Preset("rsi(5)", Between(40, 60)),
        "rsi_2": Preset("rsi(2)", Between(0, 40)),
        "rsi_14": Preset("rsi(14)", Between(40, 60)),
        "pair_rsi_14": Preset("rsi(14)@pair", Between(0, 40)),
        "daily_rsi_5": Preset("rsi(5)@daily", Between(0, 40)),
        "daily_rsi_2": Preset("rsi(2)@daily", Between(0, 40)),
        "daily_rsi_14": Preset("rsi(14)@daily", Between(40, 60)),
        "value": Preset("sma(20)@VIX.daily", Between(0, 15)),
        "vix_regime": Preset("above(close, median(close, 100))@VIX.daily", Equals((0.0,))),
        "atr_z": Preset("atr_z(5, 252)", Between(-2, 2)),
        "daily_atr_z": Preset("atr_z(5, 252)@daily", Between(-2, 2)),
        "volume_z": Preset("volume_z(5, 252)", Between(-2, 2)),
        "daily_volume_z": Preset("volume_z(5, 252)@daily", Between(-2, 2)),
        "true_range_ratio": Preset("true_range_ratio(20)", AboveLimit(1.2)),
        "atr_percentile": Preset("percent_below(atr(14), 252)", Between(0, 100)),
        "daily_atr_percentile": Preset("percent_below(atr(14), 252)@daily", Between(0, 100)),
        "range_compression": Preset("range_compression(14)", BelowLimit(0.5)),
        "daily_range_compression": Preset("range_compression(14)@daily", BelowLimit(0.5)),
        "contraction": Preset("contraction(10, 100, 0.7)", Between(0.5, 1)),
        "price_z": Preset("z_score(20, 20)", Between(-2, 2)),
        "distance_z": Preset("distance_z(20)", BelowLimit(-1.5)),
        "momentum_z": Preset("momentum_z(3, 20)", BelowLimit(-1.5)),
        "bear_count": Preset("bear_count(20)", AboveLimit(2)),
        "bull_count": Preset("bull_count(20)", AboveLimit(1)),
        "inside_bar": Preset("inside_bar", _ON),
        "narrow_bar": Preset("narrow_bar(7)", _ON),
        "above_open": Preset("above(close, close@daily)", _ON),
        "bollinger": Preset("bollinger_position(20, 2)", BelowLimit(0)),
        "bollinger_high": Preset("bollinger_excess(20, 2)", AboveLimit(0)),
        "daily_bollinger_high": Preset("bollinger_excess(20, 2)@daily", AboveLimit(0)),
        "bollinger_width": Preset("bollinger_width(20, 2)", Between(0, 1)),
        "donchian": Preset("donchian(20)@daily", _ON),
        "donchian_proximity": Preset("donchian_proximity(20, 14)", Between(0, 1)),
        "ema_8": Preset("above(close, ema(8))", _ON),
        "ema_20": Preset("above(close, ema(20))", _ON),
        "ema_50": Preset("above(close, ema(50))", _ON),
        "ema_200": Preset("above(close, ema(200))", _ON),
        "daily_ema_20": Preset("above(close, ema(20))@daily", _ON),
        "daily_ema_50": Preset("above(close, ema(50))@daily", _ON),
        "daily_ema_200": Preset("above(close, ema(200))@daily", _ON),
        "slope": Preset("slope(20, 5, 14)", Between(-1, 1)),
        "daily_slope": Preset("slope(20, 5, 14)@daily", Between(-1, 1)),
        "ribbon": Preset("ribbon(20, 50)", Between(0, 1)),
        "adx": Preset("adx(14)", Between(20, 40)),
        "daily_adx": Preset("adx(14)@daily", Between(20, 40)),
        "psar_distance": Preset("psar_distance", Between(-1, 1)),
        "drift": Preset("drift(50)", Between(-2, 2)),
        "daily_drift": Preset("drift(20)@daily", Between(-2, 2)),
        "spiral_efficiency": Preset("spiral_efficiency(5, 20, 60)", Between(0, 1)),
        **_cross(),
    }
)
"""The filters by name, with the bands that the old system began with; it had none of them switched on."""
