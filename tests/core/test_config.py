"""Configuration: what a good file means."""

from pathlib import Path

import pytest

from pine.core.period import SessionClose, SessionRule
from pine.strategies.breakout_rules import BreakoutParams
from pine.strategies.ibs_rules import IbsParams

from .configs import Load

GOOD = """\
data_dir: data
databento:
  api_key: ${DATABENTO_API_KEY}
  dataset: GLBX.MDP3
  gateway: 127.0.0.1:13000
  heartbeat_interval_s: 10
  historical_gateway: https://127.0.0.1:13443
  max_cost_usd: 2.5
bus:
  url: redis://127.0.0.1:6379/0
hub:
  lateness_ms: 500
  bar_clock: ts_event
  fill_quiet_minutes: true
  clock: tape
sessions:
  default:
    close: "23:00"
  grains:
    close: "17:00 America/Chicago"
    short_session: separate
orders:
  entry_max_age_s: 60
  timeout_s: 5
  retries: 3
instruments:
  ES:
    params:
      ibs_exit_low: 0.75
  6E:
    parent: 6E.FUT
    size: 2
    commission: 2
  ZC:
strategies:
  ibs_a:
    type: ibs
    webhook: ${HOOK_A}
    starting_cash: 50000
    max_positions: 3
    daily_stop_loss: 1000
    params:
      ibs_entry_high: 0.15
    instruments: [ES, 6E]
  slow_ibs:
    type: ibs
    enabled: false
    instruments:
      ZC:
"""


def test_good_file_means_what_it_says(load: Load, tmp_path: Path) -> None:
    config = load(GOOD, DATABENTO_API_KEY="db-123", HOOK_A="https://hooks.example/a")
    assert config.path == tmp_path / "pine.yaml"
    assert config.data_dir == tmp_path / "data"
    assert config.databento.api_key.reveal() == "db-123"
    assert config.databento.gateway == "127.0.0.1:13000"
    assert config.databento.heartbeat_interval_s == 10
    assert config.databento.historical_gateway == "https://127.0.0.1:13443"
    assert config.databento.max_cost_usd == 2.5
    assert config.bus.url == "redis://127.0.0.1:6379/0"
    assert (config.hub.lateness_ms, config.hub.bar_clock) == (500, "ts_event")
    assert (config.hub.fill_quiet_minutes, config.hub.clock) == (True, "tape")
    assert (config.orders.entry_max_age_s, config.orders.timeout_s, config.orders.retries) == (60, 5.0, 3)
    assert list(config.instruments) == ["ES", "6E", "ZC"]
    assert (config.parent("ES"), config.parent("6E")) == ("ES.FUT", "6E.FUT")
    a = config.strategies["ibs_a"]
    assert (a.type, a.enabled, a.starting_cash, a.max_positions, a.daily_stop_loss) == ("ibs", True, 50000.0, 3, 1000.0)
    assert a.webhook.reveal() == "https://hooks.example/a"
    assert list(config.traded["ibs_a"]) == ["ES", "6E"]
    assert config.traded["ibs_a"]["ES"].params == IbsParams(ibs_exit_low=0.75, ibs_entry_high=0.15)
    assert not config.strategies["slow_ibs"].enabled
    assert config.traded["slow_ibs"]["ZC"].params == IbsParams()


def test_sessions_follow_group_then_default(load: Load) -> None:
    config = load(GOOD, DATABENTO_API_KEY="k", HOOK_A="https://h")
    assert config.session_rule("ES") == SessionRule(SessionClose(23), "equity", merge_short=True)
    assert config.session_rule("6E") == SessionRule(SessionClose(23), "fx", merge_short=True)
    assert config.session_rule("ZC") == SessionRule(SessionClose(17, "America/Chicago"), "grains", merge_short=False)
    assert config.desk_session == SessionRule(SessionClose(23), "equity", merge_short=True)


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n", "{}", "hub:\nstrategies:\ninstruments:\n"])
def test_empty_file_is_all_defaults(load: Load, tmp_path: Path, text: str) -> None:
    config = load(text)
    assert config.data_dir == tmp_path / "pine-data"
    assert config.bus.url == "embedded"
    assert config.databento.dataset == "GLBX.MDP3"
    assert (config.hub.lateness_ms, config.hub.bar_clock, config.hub.clock) == (250, "ts_recv", "wall")
    assert config.orders.entry_max_age_s == 120
    assert config.session_rule("ES") == SessionRule(SessionClose(23), "equity")
    assert (config.instruments, config.strategies, config.traded) == ({}, {}, {})


def test_null_section_is_its_default(load: Load) -> None:
    assert load("hub: null\norders: ~\n") == load("")


def test_entry_age_can_be_unlimited(load: Load) -> None:
    assert load("orders: {entry_max_age_s: null}").orders.entry_max_age_s is None


def test_absolute_data_dir_stays(load: Load) -> None:
    assert load("data_dir: /var/lib/pine").data_dir == Path("/var/lib/pine")


# ---- layers


LAYERS = """\
instruments:
  ES:
    size: 2
    commission: 0.5
    params: {ibs_entry_high: 0.11, ibs_exit_low: 0.71, bar_stop_bars: 4}
  NQ:
strategies:
  x:
    type: ibs
    params: {ibs_exit_low: 0.72, bar_stop_bars: 5}
    instruments:
      ES:
        size: 3
        commission: 0.75
        params: {bar_stop_bars: 6}
      NQ:
  y:
    type: ibs
    params: {ibs_exit_low: 0.73}
    instruments: [ES, NQ]
"""


def test_parameters_are_layered_from_default_to_the_pair(load: Load) -> None:
    traded = load(LAYERS).traded
    assert traded["x"]["ES"].params == IbsParams(ibs_entry_high=0.11, ibs_exit_low=0.72, bar_stop_bars=6)
    assert traded["x"]["NQ"].params == IbsParams(ibs_exit_low=0.72, bar_stop_bars=5)
    assert traded["y"]["ES"].params == IbsParams(ibs_entry_high=0.11, ibs_exit_low=0.73, bar_stop_bars=4)
    assert traded["y"]["NQ"].params == IbsParams(ibs_exit_low=0.73)


def test_size_and_commission_are_layered(load: Load) -> None:
    traded = load(LAYERS).traded
    assert [(t.size, t.commission) for t in traded["x"].values()] == [(3, 0.75), (1, 1.25)]
    assert [(t.size, t.commission) for t in traded["y"].values()] == [(2, 0.5), (1, 1.25)]


@pytest.mark.parametrize("instruments", ["[ES, NQ]", "{ES: , NQ: }", "{ES: {}, NQ: {params: {}}}"])
def test_instruments_of_a_strategy_as_list_and_as_mapping_mean_the_same(load: Load, instruments: str) -> None:
    frame = "instruments: {{ES: , NQ: }}\nstrategies: {{x: {{type: ibs, instruments: {} }}}}\n"
    assert load(frame.format(instruments)).traded == load(frame.format("[ES, NQ]")).traded


def test_execution_uses_size_and_point_value_of_what_is_traded(load: Load) -> None:
    config = load(
        """\
instruments:
  ES:
    size: 7
    execution: {root: MES, size: 2}
  GC:
strategies:
  x:
    type: ibs
    instruments:
      ES:
      GC:
        execution: {root: MGC}
  y: {type: ibs, instruments: {ES: {execution: {root: ES, size: 4}}}}
"""
    )
    es, gc = config.traded["x"]["ES"], config.traded["x"]["GC"]
    assert (es.symbol, es.root, es.size, es.point_value) == ("ES", "MES", 2, 5.0)
    assert (gc.symbol, gc.root, gc.size, gc.point_value) == ("GC", "MGC", 1, 10.0)
    own = config.traded["y"]["ES"]
    assert (own.root, own.size, own.point_value) == ("ES", 4, 50.0)


def test_own_size_does_not_turn_micros_into_full_contracts(load: Load) -> None:
    config = load(
        """\
instruments:
  ES:
    execution: {root: MES, size: 2}
strategies:
  x: {type: ibs, instruments: {ES: {size: 3}}}
"""
    )
    # "left out means as in instruments": execution is left out, so micros it is
    assert config.traded["x"]["ES"].root == "MES"


def test_each_strategy_type_takes_its_own_parameters(load: Load) -> None:
    config = load(
        "instruments: {ES: }\nstrategies:\n"
        "  a: {type: ibs, instruments: [ES]}\n"
        "  b: {type: breakout, params: {lookback: 30}, instruments: [ES]}\n"
    )
    assert config.traded["a"]["ES"].params == IbsParams()
    assert config.traded["b"]["ES"].params == BreakoutParams(lookback=30)


@pytest.mark.parametrize("text", ["off", "false", '"off"', "${TAPE}"])
def test_the_tape_can_be_switched_off(load, text: str) -> None:
    assert load(f"hub:\n  tape: {text}\n", TAPE="off").hub.tape is None


@pytest.mark.parametrize(("text", "keep"), [("", "30d"), ("  tape:\n", "30d"), ("  tape: {keep: 36h}\n", "36h")])
def test_the_tape_is_kept_for_a_month_or_as_long_as_said(load, text: str, keep: str) -> None:
    assert str(load(f"hub:\n  lateness_ms: 1\n{text}").hub.tape.keep) == keep


@pytest.mark.parametrize(
    ("params", "ibs", "breakout"),
    [
        ("{ibs_entry_high: 0.3}", IbsParams(ibs_entry_high=0.3), BreakoutParams()),
        ("{lookback: 30}", IbsParams(), BreakoutParams(lookback=30)),
        ("{atr_multiple: 3}", IbsParams(), BreakoutParams(atr_multiple=3.0)),
        ("{ibs_entry_high: 0.3, lookback: 30}", IbsParams(ibs_entry_high=0.3), BreakoutParams(lookback=30)),
    ],
)
def test_parameters_of_an_instrument_reach_the_strategies_that_know_them(
    load: Load, params: str, ibs: IbsParams, breakout: BreakoutParams
) -> None:
    config = load(
        f"instruments:\n  ES: {{params: {params}}}\nstrategies:\n"
        "  a: {type: ibs, instruments: [ES]}\n"
        "  b: {type: breakout, instruments: [ES]}\n"
    )
    assert config.traded["a"]["ES"].params == ibs
    assert config.traded["b"]["ES"].params == breakout
