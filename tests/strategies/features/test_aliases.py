"""The old system's 137 names, as its committed models ask for them."""

import pytest

from pine.strategies.features.address import parse_address
from pine.strategies.features.aliases import ALIASES
from pine.strategies.features.needs import needs
from pine.strategies.features.places import Places
from pine.strategies.features.presets import PRESETS, AboveLimit, BelowLimit, Between, Equals
from pine.strategies.features.registry import FEATURES
from pine.strategies.features.resolve import resolve

CROSS = {
    "daily_return": "6a 6b 6c 6e 6j 6m 6n 6s cl gc hg nq rty si tlt vix ym",
    "hourly_return": "6a 6b 6c 6e 6j 6m 6n 6s cl es gc hg nq rty vix ym",
    "daily_return_pipeline": "cl hg pl si",
    "hourly_return_pipeline": "cl hg ng",
    "daily_z_score": "6b 6c 6j 6m 6n 6s ng nq si tlt",
    "hourly_z_score": "6a 6b 6c 6e 6j 6m 6n 6s cl es gc hg ng nq pl rty si tlt vix ym",
    "daily_z_pipeline": "ng si",
    "hourly_z_pipeline": "cl ng pl si",
}
OWN = """
adx_value atr_z_percentile atrz_pct bollinger_bandwidth_daily daily_adx_value daily_atr_percentile
daily_atr_z_percentile daily_directional_drift daily_ibs_pct daily_ibs_percentile daily_range_compression
daily_rsi_len_14 daily_slope_fast daily_volume_z_percentile dist_z_pct distance_z_entry_daily
donchian_proximity_daily_to_nearest_band donchian_proximity_to_nearest_band dvolz_pct hourly_atr_percentile
hourly_directional_draft ibs_pct ibs_percentile ibsxatrz ibsxvolz ma_slope_fast ma_spread_daily_ribbon_tightness
ma_spread_ribbon_tightness mom3_z_pct momentum_z_entry_daily momentum_z_percentile open_close pair_ibs_daily
pair_ibs_pct pair_ibs_percentile pair_z_pct pair_z_score_daily parabolic_sar_distance parabolic_sar_distance_daily
prev_bar_pct prev_bar_pct_pct prev_day_pctxvalue price_usd price_z_score_daily range_compression_atr rsi2_pct
rsi_len2_pct rsi_len_14 rsi_len_2_percentile rsi_pct rsixatrz rsixvolz secondary_rsi_entry_daily
secondary_rsi_percentile spiral_efficiency_ratio spiral_efficiency_ratio_daily tr_atr_percentile tratr_pct value_pct
volume_z_percentile volz_pct
"""
NAMES = [f"{symbol}_{ending}" for ending, symbols in CROSS.items() for symbol in symbols.split()] + OWN.split()


def test_there_are_137_of_them() -> None:
    assert len(NAMES) == len(set(NAMES)) == 137


@pytest.mark.parametrize("name", NAMES)
def test_an_old_name_is_an_address_that_can_have_a_value(name: str) -> None:
    address = parse_address(name)
    assert resolve(address, "ES", Places()).bars()
    assert str(parse_address(str(address))) == str(address)


def test_no_old_name_hides_a_definition() -> None:
    assert ALIASES.keys() & FEATURES.keys() == set()


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("6e_daily_return", "percent_change(1)@6E.daily"),
        ("ng_daily_z_pipeline", "z_score(20, 252)@NG.daily"),
        ("NG Daily Z-Pipeline", "z_score(20, 252)@NG.daily"),
        ("vix_hourly_z_score", "z_score(20, 252)@VIX"),
        ("prev-day-pctxValue", "percent_change(1)@daily"),
        ("daily_adx_value", "adx(14)@daily"),
        ("price_z_score_daily", "z_score(20, 20)"),
        ("bollinger_bandwidth_daily", "bollinger_width(20, 2)"),
        ("rsi2_pct", "percentile(rsi(14), 252)@pair"),
        ("value_pct", "percentile(close, 252)@VIX.daily"),
    ],
)
def test_names_are_compared_as_the_old_system_normalized_them(name: str, address: str) -> None:
    assert parse_address(name) == parse_address(address)


def test_a_treasury_bond_future_stands_in_for_the_fund() -> None:
    found = needs({"ES": ["tlt_daily_return", "close"]}, Places())
    assert found.symbols == ("ES", "ZB")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_looks_at_a_feature_and_lets_some_values_through(name: str) -> None:
    preset = PRESETS[name]
    assert resolve(parse_address(preset.address), "ES", Places()).bars()
    assert any(preset.condition.passes(value / 20) for value in range(-60, 1300))


def test_conditions_at_their_edges() -> None:
    band, above, below, equal = Between(0, 0.2), AboveLimit(1.2), BelowLimit(-1.5), Equals((1.0, 2.0))
    assert [band.passes(value) for value in (-0.01, 0, 0.2, 0.21)] == [False, True, True, False]
    assert [above.passes(value) for value in (1.2, 1.3)] == [False, True]
    assert [below.passes(value) for value in (-1.5, -1.6)] == [False, True]
    assert [equal.passes(value) for value in (1.0, 1.5, 2.0)] == [True, False, True]
    assert list(map(str, (band, above, below, equal))) == [
        "between 0 and 0.2",
        "above 1.2",
        "below -1.5",
        "equals 1 or 2",
    ]
