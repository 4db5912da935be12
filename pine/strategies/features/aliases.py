"""The old system's names of features, and the addresses that mean what it meant.

Where several names had one value, they have one address. A ``_daily`` name whose value was hourly with the old
system's defaults stays hourly here, because that is what the old models were trained on.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SYMBOLS: Final = (
    *("ES", "NQ", "RTY", "YM", "GC", "SI", "HG", "PL", "6A", "6B"),
    *("6C", "6E", "6J", "6M", "6N", "6S", "CL", "NG", "TLT", "VIX"),
)
"""Symbols that the old system compared with."""

_CROSS: Final = {
    "z_score": "z_score(20, 252)",
    "z_pipeline": "z_score(20, 252)",
    "return": "percent_change(1)",
    "return_pipeline": "percent_change(1)",
}
_OWN: Final = {
    "close": "price_usd",
    "ibs@daily": "daily_ibs",
    "lag(ibs, 1)": "prev_ibs",
    "lag(ibs, 1)@daily": "prev_daily_ibs",
    "percent_change(1)@daily": "prev_day_pct prev_day_pctxvalue",
    "percent_change(1)": "prev_bar_pct",
    "ibs@pair": "pair_ibs pair_ibs_daily",
    "pair_z(20)": "pair_z_score_daily",
    "rsi(14)@pair": "rsi2",
    "rsi(2)": "rsi_len2",
    "rsi(14)": "rsi_len14 rsi_len_14",
    "rsi(5)@daily": "daily_rsi secondary_rsi_entry_daily",
    "rsi(2)@daily": "daily_rsi2",
    "rsi(14)@daily": "daily_rsi14 daily_rsi_len_14",
    "atr_z(5, 252)": "atrz",
    "atr_z(5, 252)@daily": "datrz",
    "true_range_ratio(20)": "tratr",
    "percent_below(atr(14), 252)": "hourly_atr_percentile",
    "percent_below(atr(14), 252)@daily": "daily_atr_percentile",
    "range_compression(14)": "range_compression_atr",
    "range_compression(14)@daily": "daily_range_compression",
    "bollinger_width(20, 2)": "bollinger_bandwidth_daily",
    "volume_z(5, 252)": "volz",
    "volume_z(5, 252)@daily": "dvolz",
    "z_score(20, 20)": "price_z_score_daily",
    "distance_z(20)": "dist_z distance_z_entry_daily",
    "momentum_z(3, 20)": "mom3_z momentum_z_entry_daily",
    "bollinger_position(20, 2)": "bb",
    "bollinger_excess(20, 2)": "bb_high",
    "bollinger_excess(20, 2)@daily": "bb_high_d",
    "donchian(20)@daily": "donch",
    "donchian_proximity(20, 14)": "donchian_proximity_to_nearest_band donchian_proximity_daily_to_nearest_band",
    "slope(20, 5, 14)": "ma_slope_fast",
    "slope(20, 5, 14)@daily": "daily_slope_fast",
    "ribbon(20, 50)": "ma_spread_ribbon_tightness ma_spread_daily_ribbon_tightness",
    "adx(14)": "adx_value",
    "adx(14)@daily": "daily_adx_value",
    "psar_distance": "parabolic_sar_distance parabolic_sar_distance_daily",
    "drift(50)": "hourly_directional_draft hourly_directional_drift",
    "drift(20)@daily": "daily_directional_drift",
    "spiral_efficiency(5, 20, 60)": "spiral_efficiency_ratio spiral_efficiency_ratio_daily",
    "close@VIX.daily": "value",
    "median(close, 100)@VIX.daily": "vix_med",
    "product(ibs, atr_z(5, 252))": "ibsxatrz",
    "product(ibs, volume_z(5, 252))": "ibsxvolz",
    "product(rsi(5), atr_z(5, 252))": "rsixatrz",
    "product(rsi(5), volume_z(5, 252))": "rsixvolz",
}
"""Address to old names."""
_RANKED: Final = {
    "percentile(ibs, 252)": "ibs",
    "percentile(ibs, 252)@daily": "daily_ibs",
    "percentile(percent_change(1), 252)": "prev_bar_pct",
    "percentile(percent_change(1), 252)@daily": "prev_day_pct",
    "percentile(ibs, 252)@pair": "pair_ibs",
    "percentile(pair_z(20), 252)": "pair_z",
    "percentile(rsi(14), 252)@pair": "rsi2 secondary_rsi",
    "percentile(rsi(5), 252)": "rsi",
    "percentile(rsi(2), 252)": "rsi_len2 rsi_len_2",
    "percentile(rsi(5), 252)@daily": "daily_rsi",
    "percentile(atr_z(5, 252), 252)": "atrz atr_z",
    "percentile(atr_z(5, 252), 252)@daily": "datrz daily_atr_z",
    "percentile(true_range_ratio(20), 252)": "tratr tr_atr",
    "percentile(volume_z(5, 252), 252)": "volz volume_z",
    "percentile(volume_z(5, 252), 252)@daily": "dvolz daily_volume_z",
    "percentile(distance_z(20), 252)": "dist_z",
    "percentile(momentum_z(3, 20), 252)": "mom3_z momentum_z",
    "percentile(close, 252)@VIX.daily": "value",
}
"""Address to old names of which ``_pct`` and ``_percentile`` are it."""

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{
            f"{symbol.lower()}_{timeframe}_{ending}": f"{feature}@{symbol}.{timeframe}"
            for symbol in SYMBOLS
            for timeframe in ("hourly", "daily")
            for ending, feature in _CROSS.items()
        },
        **{name: address for address, names in _OWN.items() for name in names.split()},
        **{
            f"{name}_{ending}": address
            for address, names in _RANKED.items()
            for name in names.split()
            for ending in ("pct", "percentile")
        },
    }
)
"""Old name to address."""


def alias(text: str) -> str | None:
    """Return the address that an old name stands for, or nothing; names are compared as `normalized`."""
    return ALIASES.get(normalized(text))


def normalized(text: str) -> str:
    """Return a name as the old system wrote it: lower case, every run of anything else than letters and digits `_`."""
    return re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_") or "col"
