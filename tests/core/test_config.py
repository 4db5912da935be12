"""Configuration: what a good file means, and every mistake told at once with path and line."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pine.core.config import Config, load_config
from pine.core.config.secret import masked
from pine.core.errors import ConfigError, SecretMissing
from pine.core.period import SessionClose, SessionRule
from pine.strategies.breakout_rules import BreakoutParams
from pine.strategies.catalog import PARAMS
from pine.strategies.ibs_rules import IbsParams

relaxed = settings(deadline=None)

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, dotenv: str | None = None, **environ: str) -> Config:
        (tmp_path / "pine.yaml").write_text(text, encoding="utf-8")
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv, encoding="utf-8")
        return load_config(tmp_path / "pine.yaml", PARAMS, environ)

    return load


@pytest.fixture
def mistakes(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """Load a file that cannot be used and return its problems as ``line: path: text``."""

    def mistakes(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        prefix = f"{tmp_path / 'pine.yaml'}:"
        assert all(problem.startswith(prefix) for problem in caught.value.problems)
        return [problem.removeprefix(prefix) for problem in caught.value.problems]

    return mistakes


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
        "  b: {type: breakout, params: {entry_hours: 30}, instruments: [ES]}\n"
    )
    assert config.traded["a"]["ES"].params == IbsParams()
    assert config.traded["b"]["ES"].params == BreakoutParams(entry_hours=30)


@pytest.mark.parametrize("text", ["off", "false", '"off"', "${TAPE}"])
def test_the_tape_can_be_switched_off(load, text: str) -> None:
    assert load(f"hub:\n  tape: {text}\n", TAPE="off").hub.tape is None


@pytest.mark.parametrize(("text", "keep"), [("", "30d"), ("  tape:\n", "30d"), ("  tape: {keep: 36h}\n", "36h")])
def test_the_tape_is_kept_for_a_month_or_as_long_as_said(load, text: str, keep: str) -> None:
    assert str(load(f"hub:\n  lateness_ms: 1\n{text}").hub.tape.keep) == keep


# ---- mistakes, one at a time: text, then line, path and part of the message

PAIR = "instruments:\n  ES:\nstrategies:\n  a:\n    type: ibs\n    instruments: [ES]\n"

MISTAKES = {
    "a tape that is kept too short": ("hub:\n  tape: {keep: 0d}\n", "2: hub.tape.keep: found 0d, expected at least 1h"),
    "a tape without its word": ("hub:\n  tape: 30d\n", "2: hub.tape: found '30d', expected off, or settings"),
    "a tape with another word": ("hub:\n  tape: {kep: 1d}\n", "2: hub.tape.kep: unknown setting; did you mean keep?"),
    "unknown section": ("hubs:\n  lateness_ms: 1\n", "1: hubs: unknown setting; did you mean hub?"),
    "unknown key": ("hub:\n  latenes_ms: 1\n", "2: hub.latenes_ms: unknown setting; did you mean lateness_ms?"),
    "unknown key, nothing near": ("hub:\n\n  zzz: 1\n", "3: hub.zzz: unknown setting, allowed: lateness_ms"),
    "unknown key of a strategy": (
        PAIR + "    webhok: https://h\n",
        "7: strategies.a.webhok: unknown setting; did you mean webhook?",
    ),
    "text for a number": ("hub:\n  lateness_ms: soon\n", "2: hub.lateness_ms: found 'soon', expected a whole number"),
    "fraction for a whole number": (
        "hub:\n  lateness_ms: 1.5\n",
        "2: hub.lateness_ms: found 1.5, expected a whole number",
    ),
    "true for a number": ("hub:\n  lateness_ms: true\n", "2: hub.lateness_ms: found True, expected a whole number"),
    "number for true": (
        "hub:\n  fill_quiet_minutes: 1\n",
        "2: hub.fill_quiet_minutes: found 1, expected true or false",
    ),
    "number for text": ("databento:\n  dataset: 5\n", "2: databento.dataset: found 5, expected text"),
    "list for a number": ("hub:\n  lateness_ms: [1]\n", "2: hub.lateness_ms: found [1], expected a whole number"),
    "null for a number": ("hub:\n  lateness_ms: null\n", "2: hub.lateness_ms: found None, expected a whole number"),
    "not one of": ("hub:\n  bar_clock: now\n", "2: hub.bar_clock: found 'now', expected one of ts_recv, ts_event"),
    "data_dir as a list": ("data_dir: [a]\n", "1: data_dir: found ['a'], expected text"),
    "unset variable": ("data_dir: ${NOWHERE}\n", "1: data_dir: environment variable NOWHERE is not set"),
    "unset variable in a number": (
        "instruments:\n  ES:\n    size: ${N}\n",
        "3: instruments.ES.size: environment variable N is not set",
    ),
    "unset variable in a choice": ("hub:\n  clock: ${C}\n", "2: hub.clock: environment variable C is not set"),
    "unset variable for a section": ("hub: ${HUB}\n", "1: hub: environment variable HUB is not set"),
    "unset variable for the file": ("${ALL}\n", "1: (file): environment variable ALL is not set"),
    "unset variable for a close": (
        "sessions:\n  default:\n    close: ${CLOSE}\n",
        "3: sessions.default.close: environment variable CLOSE is not set",
    ),
    "broken variable": ("data_dir: ${A B}\n", "1: data_dir: found '${A B}', expected ${NAME} or ${NAME:-default}"),
    "unknown instrument": ("instruments:\n  EZ:\n", "2: instruments.EZ: unknown instrument"),
    "strategy names unconfigured instrument, list": (
        "instruments:\n  ES:\nstrategies:\n  a:\n    type: ibs\n    instruments:\n      - ES\n      - NQ\n",
        "8: strategies.a.instruments.1: NQ is not among the configured instruments: ES",
    ),
    "strategy names unconfigured instrument, mapping": (
        "instruments:\n  ES:\nstrategies:\n  a:\n    type: ibs\n    instruments:\n      ES:\n      NQ:\n",
        "8: strategies.a.instruments.NQ: NQ is not among the configured instruments: ES",
    ),
    "number in the list of instruments": (
        "instruments:\n  ES:\nstrategies:\n  a:\n    type: ibs\n    instruments:\n      - ES\n      - 5\n",
        "8: strategies.a.instruments.1: found 5, expected the name of an instrument",
    ),
    "no instruments": (
        "strategies:\n  a:\n    type: ibs\n    instruments: []\n",
        "4: strategies.a.instruments: Length of 'instruments' must be >= 1",
    ),
    "instruments of a strategy as text": (
        "instruments:\n  ES:\nstrategies:\n  a:\n    type: ibs\n    instruments: ES\n",
        "6: strategies.a.instruments: found another kind of value",
    ),
    "duplicate key": ("hub:\n  clock: wall\n  clock: tape\n", "3: hub.clock: appears twice, first on line 2"),
    "duplicate instrument": (
        "instruments:\n  ES:\n  NQ:\n  ES:\n",
        "4: instruments.ES: appears twice, first on line 2",
    ),
    "bad session close": ("sessions:\n  default:\n    close: noon\n", "3: sessions.default.close: found 'noon'"),
    "session close off the hour": (
        'sessions:\n  default:\n    close: "16:30"\n',
        "3: sessions.default.close: found '16:30', expected a whole hour",
    ),
    "session close in no zone": (
        'sessions:\n  default:\n    close: "17:00 Chicago"\n',
        "3: sessions.default.close: time zone: found 'Chicago'",
    ),
    "unknown session group": (
        'sessions:\n  grain:\n    close: "23:00"\n',
        "2: sessions.grain: unknown group; did you mean grains?",
    ),
    "bad webhook": (
        PAIR + "    webhook: ftp://hooks.example\n",
        "7: strategies.a.webhook: found something else (not shown), expected a URL",
    ),
    "webhook as a number": (
        PAIR + "    webhook: 5\n",
        "7: strategies.a.webhook: found something else (not shown), expected a URL",
    ),
    "bad bus URL": ("bus:\n  url: http://h\n", "2: bus.url: expected embedded, or a URL that begins with redis://"),
    "historical gateway without TLS": (
        "databento:\n  historical_gateway: http://127.0.0.1:1\n",
        "2: databento.historical_gateway: found 'http://127.0.0.1:1', expected https://HOST:PORT",
    ),
    "cost below nothing": ("databento:\n  max_cost_usd: -1\n", "2: databento.max_cost_usd: must be >= 0: -1"),
    "bad gateway": ("databento:\n  gateway: nowhere\n", "2: databento.gateway: found 'nowhere', expected HOST:PORT"),
    "out of range": (
        "databento:\n  heartbeat_interval_s: 3\n",
        "2: databento.heartbeat_interval_s: must be >= 5: 3",
    ),
    "size of nothing": ("instruments:\n  ES:\n    size: 0\n", "3: instruments.ES.size: must be > 0: 0"),
    "negative commission": (
        "instruments:\n  ES:\n    commission: -1\n",
        "3: instruments.ES.commission: must be >= 0: -1.0",
    ),
    "size of nothing for the pair": (
        "instruments:\n  ES:\nstrategies:\n  a:\n    type: ibs\n    instruments:\n      ES:\n        size: 0\n",
        "8: strategies.a.instruments.ES.size: must be > 0: 0",
    ),
    "parameter out of range": (
        PAIR + "    params:\n      ibs_entry_low: -0.1\n",
        "8: strategies.a.params.ibs_entry_low: must be >= 0.0: -0.1",
    ),
    "unknown root to execute": (
        "instruments:\n  ES:\n    execution:\n      root: XX\n",
        "4: instruments.ES.execution.root: found 'XX', expected a known root",
    ),
    "parent of another root": (
        "instruments:\n  ES:\n    parent: NQ.FUT\n",
        "3: instruments.ES.parent: found 'NQ.FUT', expected ES.FUT",
    ),
    "parent of no kind": (
        "instruments:\n  ES:\n    parent: ES\n",
        "3: instruments.ES.parent: parent symbol: found 'ES', expected ROOT.FUT",
    ),
    "unknown strategy type": (
        "instruments:\n  ES:\nstrategies:\n  a:\n    type: ibss\n    instruments: [ES]\n",
        "5: strategies.a.type: unknown strategy type; did you mean ibs?",
    ),
    "strategy without type": (
        "instruments:\n  ES:\nstrategies:\n  a:\n    instruments: [ES]\n",
        "4: strategies.a.type: 'type' is missing",
    ),
    "strategy name in capitals": (
        "instruments:\n  ES:\nstrategies:\n  Ibs-A:\n    type: ibs\n    instruments: [ES]\n",
        "4: strategies.Ibs-A: found 'Ibs-A', expected lower-case letters",
    ),
    "unknown parameter": (
        PAIR + "    params:\n      ibs_entry_hi: 0.1\n",
        "8: strategies.a.params.ibs_entry_hi: unknown setting; did you mean ibs_entry_high?",
    ),
    "unknown parameter of an instrument": (
        "instruments:\n  ES:\n    params:\n      wat: 1\nstrategies:\n  a:\n    type: ibs\n    instruments: [ES]\n",
        "4: instruments.ES.params.wat: unknown setting",
    ),
    "parameter of the wrong type": (
        PAIR + "    params:\n      pivot_left: many\n",
        "8: strategies.a.params.pivot_left: found 'many', expected a whole number",
    ),
    "parameter that is none of the choices": (
        PAIR + "    params:\n      clock: GMT\n",
        "8: strategies.a.params.clock: found 'GMT', expected one of UTC, America/Chicago",
    ),
    "IBS low above high": (
        PAIR + "    params:\n      ibs_entry_low: 0.5\n",
        "7: strategies.a.params: found ibs_entry_low 0.5 above ibs_entry_high 0.2",
    ),
    "window that ends before it starts": (
        PAIR + '    params:\n      windows: ["15:00-09:00"]\n',
        "8: strategies.a.params.windows: found '15:00-09:00', expected a window",
    ),
    "not YAML": ("hub: {clock: wall\n", "2: (file): not readable as YAML"),
    "tab in YAML": ("hub:\n\tclock: wall\n", "2: (file): not readable as YAML"),
    "two documents": ("hub:\n---\nhub:\n", "2: (file): not readable as YAML"),
    "control character": ("hub: \x01\n", "1: (file): not readable as YAML"),
    "a list for the file": ("- hub\n", "1: (file): found list, expected sections data_dir, databento"),
    "a word for the file": ("pine\n", "1: (file): found str, expected sections data_dir, databento"),
    "strategies as a number": ("strategies: 5\n", "1: strategies: found another kind of value"),
    "instruments as a list": ("instruments: [ES]\n", "1: instruments: found another kind of value"),
    "strategy of nothing": ("strategies: {a: null}\n", "1: strategies.a: found another kind of value"),
    "section as text": ("hub: fast\n", "1: hub: found another kind of value"),
    "sessions as text": ("sessions: late\n", "1: sessions: found another kind of value"),
    "parameters as a list": (PAIR + "    params: [1]\n", "7: strategies.a.params: found another kind of value"),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_alone_with_line_and_path(mistakes: Callable[..., list[str]], text: str, expected: str) -> None:
    found = mistakes(text)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


EVERYTHING_WRONG = """\
data_dir: ${NOWHERE}
hub:
  latenes_ms: 250
  fill_quiet_minutes: maybe
  clock: wall
  clock: tape
sessions:
  default:
    close: "16:30"
orders:
  timeout_s: -1
  retries: -1
instruments:
  ES:
    size: 0
    params:
      nonsense: 1
  EZ:
strategies:
  a:
    type: ibs
    webhook: hooks.example/a
    instruments: [ES, NQ]
    params:
      ibs_entry_low: 0.9
  b:
    type: ibss
    instruments: [ES]
  c:
    type: ibs
    max_positions: 0
    daily_stop_loss: 0
    instruments: [ES]
    params:
      ibs_entry_hi: 0.1
      pivot_left: 0
      bar_stop_bars: 0
"""


def test_every_mistake_is_in_one_listing_in_the_order_of_the_file(mistakes: Callable[..., list[str]]) -> None:
    places = [":".join(problem.split(": ", 2)[:2]) for problem in mistakes(EVERYTHING_WRONG)]
    assert places == [
        "1:data_dir",
        "3:hub.latenes_ms",
        "4:hub.fill_quiet_minutes",
        "6:hub.clock",
        "9:sessions.default.close",
        "11:orders.timeout_s",
        "12:orders.retries",
        "15:instruments.ES.size",
        "17:instruments.ES.params.nonsense",
        "18:instruments.EZ",
        "22:strategies.a.webhook",
        "23:strategies.a.instruments.1",
        "24:strategies.a.params",
        "27:strategies.b.type",
        "31:strategies.c.max_positions",
        "32:strategies.c.daily_stop_loss",
        "35:strategies.c.params.ibs_entry_hi",
        "36:strategies.c.params.pivot_left",
        "37:strategies.c.params.bar_stop_bars",
    ]


def test_unquoted_time_is_answered_with_what_to_write(mistakes: Callable[..., list[str]]) -> None:
    # YAML reads 23:00 as the number 1380; nobody wrote 1380
    (found,) = mistakes("sessions:\n  default:\n    close: 23:00\n")
    assert found.startswith("3: sessions.default.close: ")
    assert "quot" in found


@pytest.mark.parametrize(
    ("params", "ibs", "breakout"),
    [
        ("{ibs_entry_high: 0.3}", IbsParams(ibs_entry_high=0.3), BreakoutParams()),
        ("{entry_hours: 30}", IbsParams(), BreakoutParams(entry_hours=30)),
        ("{stop_percent: 2}", IbsParams(stop_percent=2.0), BreakoutParams(stop_percent=2.0)),
        ("{ibs_entry_high: 0.3, entry_hours: 30}", IbsParams(ibs_entry_high=0.3), BreakoutParams(entry_hours=30)),
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


def test_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read.*--config or PINE_CONFIG"):
        load_config(tmp_path / "absent.yaml", PARAMS, {})


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, PARAMS, {})


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pine.yaml").write_bytes(b"data_dir: \xff\xfe\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "pine.yaml", PARAMS, {})


def test_env_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pine.yaml").write_text("hub:\n")
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"\.env"):
        load_config(tmp_path / "pine.yaml", PARAMS, {})


# ---- variables


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("data_dir: ${V}", {"V": "/a"}, "/a"),
        ("data_dir: /x/${V}/${W}", {"V": "a", "W": "b"}, "/x/a/b"),
        ("data_dir: ${V:-/b}", {}, "/b"),
        ("data_dir: ${V:-/b}", {"V": ""}, "/b"),
        ("data_dir: ${V:-/b}", {"V": "/a"}, "/a"),
        ("data_dir: '${V}'", {"V": "/a"}, "/a"),
        ("data_dir: ${V}", {"V": "/${W}", "W": "b"}, "/${W}"),  # put in once, not again
        ("data_dir: /a # ${V}", {}, "/a"),  # not in a comment
    ],
)
def test_variables_are_put_into_values(load: Load, text: str, environ: Mapping[str, str], expected: str) -> None:
    assert load(text, **environ).data_dir == Path(expected)


@pytest.mark.parametrize(("value", "expected"), [("500", 500), ("0", 0)])
def test_variable_may_hold_a_number(load: Load, value: str, expected: int) -> None:
    assert load("hub: \n  lateness_ms: ${MS}\n", MS=value).hub.lateness_ms == expected
    assert load("hub: \n  lateness_ms: ${MS:-7}\n").hub.lateness_ms == 7


def test_quoted_variable_stays_text(mistakes: Callable[..., list[str]]) -> None:
    assert mistakes('hub: {lateness_ms: "${MS}"}', MS="5") == ["1: hub.lateness_ms: found '5', expected a whole number"]


def test_env_file_beside_the_configuration_fills_what_the_environment_lacks(load: Load) -> None:
    text = "databento:\n  api_key: ${KEY}\n  dataset: ${SET}\n"
    config = load(text, dotenv="KEY=from-file\nSET=FROM.FILE\n", SET="FROM.ENVIRONMENT")
    assert config.databento.api_key.reveal() == "from-file"
    assert config.databento.dataset == "FROM.ENVIRONMENT"


def test_process_environment_is_used_when_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINE_TEST_SET", "A.B")
    (tmp_path / "pine.yaml").write_text("databento: {dataset: '${PINE_TEST_SET}'}")
    assert load_config(tmp_path / "pine.yaml", PARAMS).databento.dataset == "A.B"


# ---- secrets

SECRETS = PAIR + "    webhook: ${HOOK}\ndatabento:\n  api_key: ${KEY}\n"


def test_unset_secret_is_no_mistake_until_it_is_needed(load: Load) -> None:
    config = load(SECRETS)
    with pytest.raises(SecretMissing, match=r"databento\.api_key: environment variable KEY is not set"):
        config.databento.api_key.reveal()
    with pytest.raises(SecretMissing, match=r"strategies\.a\.webhook: environment variable HOOK is not set"):
        config.strategies["a"].webhook.reveal()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PAIR + "    webhook:\ndatabento:\n  api_key:\n", id="empty"),
        pytest.param(PAIR + "    webhook: ''\ndatabento:\n  api_key: ''\n", id="empty text"),
        pytest.param(PAIR + "databento:\n", id="left out"),
    ],
)
def test_secret_that_is_not_there_is_named_when_it_is_needed(load: Load, text: str) -> None:
    config = load(text)
    assert not config.databento.api_key
    assert not config.strategies["a"].webhook
    with pytest.raises(SecretMissing, match=r"^databento\.api_key: "):
        config.databento.api_key.reveal()
    with pytest.raises(SecretMissing, match=r"^strategies\.a\.webhook: "):
        config.strategies["a"].webhook.reveal()


secret_texts = st.text("abcXYZ0123456789-_.:~", min_size=12, max_size=24)


def _write(folder: Path, text: str) -> Path:
    (folder / "pine.yaml").write_text(text, encoding="utf-8")
    return folder / "pine.yaml"


@settings(deadline=None, max_examples=40)
@given(secret=secret_texts)
@example(secret="123456789012")
@example(secret="1234567890.5")
@example(secret="2024-01-02 12:00:00")
@example(secret="0x1234567890")
def test_secret_from_a_variable_comes_out_of_reveal_and_nowhere_else(
    tmp_path_factory: pytest.TempPathFactory, secret: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    environ = {"KEY": secret, "HOOK": f"https://hooks.example/{secret}"}
    config = load_config(_write(folder, SECRETS), PARAMS, environ)
    assert config.databento.api_key.reveal() == secret
    assert config.strategies["a"].webhook.reveal() == f"https://hooks.example/{secret}"
    shown = [repr(config), str(config), f"{config.databento.api_key} {config.strategies['a'].webhook!r}"]
    assert not any(secret in text for text in shown)


@settings(deadline=None, max_examples=50)
@given(
    secret=secret_texts,
    wrong=st.sampled_from(
        [
            "databento: {{api_key: '{}', dataset: 5}}",
            "databento: {{api_key: ['{}']}}",
            "databento: {{api_key: {{value: '{}'}}}}",
            "databento: {{api_kei: '{}'}}",
            "databento: '{}'",
            "bus: {{url: 'ftp://:{}@host'}}",
            "bus: {{url: ['redis://:{}@host']}}",
            "bus: 'redis://:{}@host'",
            "instruments: {{ES: }}\nstrategies: {{a: {{type: ibs, instruments: [ES], webhook: 'x://h/{}'}}}}",
            "instruments: {{ES: }}\nstrategies: {{a: {{type: ibs, instruments: [ES], webhook: ['https://h/{}']}}}}",
            "instruments: {{ES: }}\nstrategies: {{a: {{type: ibs, instruments: [ES], webhok: 'https://h/{}'}}}}",
            "instruments: {{ES: }}\nstrategies: {{a: {{type: ibs, instruments: [NQ], webhook: 'https://h/{}'}}}}",
            "strategies: {{a: 'https://h/{}'}}",
        ]
    ),
)
def test_secret_is_in_no_listing_of_mistakes(tmp_path_factory: pytest.TempPathFactory, secret: str, wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(_write(tmp_path_factory.getbasetemp(), wrong.format(secret)), PARAMS, {})
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value)


KEY = "db-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wX"
HOOK = "https://webhooks.traderspost.io/trading/webhook/5f3c-uuid/9d2e-password"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"databento: {{dataset: {KEY}}}", ["1: databento.dataset: found 'db-********', expected the code of a"]),
        (f"databento: {{gateway: {KEY}}}", ["1: databento.gateway: found 'db-********', expected HOST:PORT"]),
        (f"databento: {{{KEY}: }}", ["1: databento.db-********: unknown setting, allowed: api_key"]),
        (f"data_dir: [{KEY}]", ["1: data_dir: found ['db-********'], expected text"]),
        (f"instruments: {{ES: {{parent: {KEY}}}}}", ["1: instruments.ES.parent: "]),
        (f"hub: {{clock: '{HOOK}'}}", ["1: hub.clock: found 'https://webhooks.traderspost.io/********', expected one"]),
        (
            f"instruments: {{ES: }}\nstrategies: {{'{HOOK}': {{type: ibs, instruments: [ES]}}}}",
            [
                "2: strategies.https://webhooks.traderspost.io/********: found 'https://webhooks.traderspost.io/********'"
            ],
        ),
        ("bus: {fsync: 'redis://u:9d2e-password@host:1/0'}", ["1: bus.fsync: found 'redis://********@host:1/0'"]),
    ],
    ids=["dataset", "gateway", "name", "list", "parent", "webhook", "strategy", "password"],
)
def test_a_secret_that_was_pasted_into_another_setting_is_not_shown(
    mistakes: Callable[..., list[str]], text: str, shown: list[str]
) -> None:
    told = mistakes(text)
    assert [line[: len(start)] for line, start in zip(told, shown, strict=True)] == shown
    assert not any(part in line for line in told for part in (KEY[3:], "5f3c", "9d2e"))


@pytest.mark.parametrize("text", ["'db-sandbox'", "https://127.0.0.1:13443", "s3://bucket/pine", "strategies.a-b.c"])
def test_what_holds_no_secret_is_shown_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_password_of_the_bus_is_not_shown(load: Load) -> None:
    config = load("bus: {url: 'redis://:pa55word@host:6379'}")
    assert "pa55word" not in repr(config)
    assert "pa55word" not in str(config)


# ---- anything at all

_WORDS = """
data_dir databento bus hub sessions orders instruments strategies api_key dataset gateway url lateness_ms bar_clock
historical_gateway max_cost_usd
clock default equity close short_session size commission execution root params parent type enabled webhook
starting_cash max_positions windows auto_close_time ibs_entry_low ES NQ a b entry_max_age_s retention
retention_max
"""
_NAMES = st.sampled_from(_WORDS.split())
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.text(max_size=6)
    | _NAMES
    | st.sampled_from(["ibs", "breakout", "23:00", "17:00 UTC", "${X}", "${X:-5}", "${", "merge", "MES", "~", "tape"])
)
_STRUCTURES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
_SECTIONS = ("databento", "bus", "hub", "sessions", "orders", "instruments", "strategies", "data_dir", "retention")


def problems_of(path: Path) -> Sequence[str]:
    """Return what a listing says, nothing if the file can be used; whatever else is raised gets through."""
    try:
        load_config(path, PARAMS, {})
    except ConfigError as error:
        return error.problems or [""]
    return []


@settings(deadline=None, max_examples=120)
@given(
    content=_STRUCTURES
    | st.dictionaries(st.sampled_from(_SECTIONS), _STRUCTURES | st.dictionaries(_NAMES, _STRUCTURES, max_size=3))
    | st.fixed_dictionaries(
        {
            "instruments": st.just({"ES": {}}),
            "strategies": st.fixed_dictionaries(
                {
                    "a": st.fixed_dictionaries(
                        {"type": st.just("ibs"), "instruments": st.just(["ES"]), "params": _STRUCTURES}
                    )
                }
            ),
        }
    )
)
def test_any_structure_is_a_configuration_or_a_listing_of_mistakes(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    path = _write(tmp_path_factory.getbasetemp(), yaml.safe_dump(content))
    for problem in problems_of(path):
        assert re.match(rf"{re.escape(str(path))}:\d+: .", problem)


@relaxed
@given(text=st.text("ab:-[]{},'\"#&*!|>%@`\n ${}~0", max_size=30))
def test_any_text_is_a_configuration_or_a_listing_of_mistakes(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    assert all(problems_of(_write(tmp_path_factory.getbasetemp(), text)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("hub: &a\n  clock: *a\n", id="value that contains itself"),
        pytest.param("hub: " + "[" * 3000 + "]" * 3000, id="nested without end"),
        pytest.param("hub: {fill_quiet_minutes: !!bool perhaps}", id="tagged boolean"),
        pytest.param("hub: {lateness_ms: !!int ''}", id="tagged number"),
        pytest.param("databento: {dataset: !!timestamp soon}", id="tagged time"),
        pytest.param("data_dir: ~nobody_of_that_name/pine", id="home of nobody"),
        pytest.param("? [a, b]\n: 1\n", id="list as a key"),
        pytest.param("orders: {timeout_s: .inf}", id="timeout without end"),
        pytest.param("instruments: {ES: {commission: .inf}}", id="commission without end"),
        pytest.param("instruments: {ES: {commission: .nan}}", id="commission that is no number"),
    ],
)
def test_odd_yaml_is_a_listing_of_mistakes_and_no_traceback(mistakes: Callable[..., list[str]], text: str) -> None:
    assert mistakes(text)


# ---- what is kept


@pytest.mark.parametrize(("text", "hours"), [("30d", 720), ("36h", 36), ("'24h'", 24)])
def test_retention_is_whole_days_or_hours(load: Load, text: str, hours: int) -> None:
    assert load(f"retention: {text}").retention.ns == hours * 3600 * 10**9


def test_a_month_is_kept_and_after_a_quarter_a_disabled_strategy_is_given_up_unless_set(load: Load) -> None:
    config = load("")
    assert (str(config.retention), str(config.retention_max)) == ("30d", "90d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("retention: 30", "1: retention: found '30', expected whole days or hours such as 30d or 36h"),
        ("retention: soon", "1: retention: found 'soon', expected whole days or hours such as 30d or 36h"),
        ("retention: -5d", "1: retention: found '-5d', expected whole days or hours such as 30d or 36h"),
        ("retention: 23h", "1: retention: found 23h, expected at least 1d"),
        (
            "retention: 40d\nretention_max: 30d",
            "2: retention_max: found 30d, expected at least retention, which is 40d",
        ),
        ("retention: 100d", "1: retention_max: found 90d, expected at least retention, which is 100d"),
    ],
)
def test_a_retention_that_cannot_be_is_told(mistakes: Callable[..., list[str]], text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_a_retention_from_a_variable_that_is_not_set_is_told_once(mistakes: Callable[..., list[str]]) -> None:
    (told,) = mistakes("retention: ${KEEP}")
    assert "KEEP" in told


def test_no_strategy_takes_the_name_of_the_archives_group(mistakes: Callable[..., list[str]]) -> None:
    from pine.bus import keys

    text = f"instruments: {{ES: }}\nstrategies: {{{keys.ARCHIVE}: {{type: ibs, instruments: [ES]}}}}"
    assert mistakes(text) == ["2: strategies.archive: found 'archive', which pine uses itself; expected another name"]


@pytest.mark.parametrize(
    ("setting", "location"),
    [
        ("", "{folder}/data/archive"),
        ("archive: {location: cold}", "{folder}/data/cold"),
        ("archive: {location: /srv/pine}", "/srv/pine"),
        ("archive: {location: 's3://bucket/pine'}", "s3://bucket/pine"),
        ("archive: {location: '${WHERE}'}", "memory://x"),
    ],
)
def test_the_archive_is_a_folder_in_data_dir_or_any_url(
    load: Load, tmp_path: Path, setting: str, location: str
) -> None:
    config = load(f"data_dir: data\n{setting}\n", WHERE="memory://x")
    assert config.archive_location == location.format(folder=tmp_path)


def test_an_unknown_protocol_of_the_archive_is_told_and_its_password_is_not(
    mistakes: Callable[..., list[str]],
) -> None:
    (told,) = mistakes("archive:\n  location: s4://user:SECRET@bucket/pine\n")
    assert told.startswith("2: archive.location: ")
    assert "s4://" in told
    assert "SECRET" not in told
