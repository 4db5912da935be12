"""Configuration: every mistake is told, all at once, with path and line; whatever else is in the file."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pine.core.config import load_config
from pine.core.errors import ConfigError
from pine.strategies.catalog import PARAMS

from .configs import PAIR, write

relaxed = settings(deadline=None)


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
    **{
        f"webhook that not everybody reads alike: {address}": (
            PAIR + f"    webhook: '{address}'\n",
            "7: strategies.a.webhook: found something else (not shown), expected a URL",
        )
        for address in (
            r"http://evil.example\@localhost/hook",
            "https://user@hooks.example/a",
            "http://127.0.0.1#@evil.example/",
            "http://[bad",
            "https:///a",
            "https://hooks.example/a b",
        )
    },
    "webhook as a number": (
        PAIR + "    webhook: 5\n",
        "7: strategies.a.webhook: found something else (not shown), expected a URL",
    ),
    "bad bus URL": ("bus:\n  url: http://h\n", "2: bus.url: expected embedded, or a URL that begins with redis://"),
    "Sentinels without a service": (
        "bus:\n  url: redis+sentinel://u:hidden@a:26379,b\n",
        "2: bus.url: expected the service's name after the hosts, as in redis+sentinel://",
    ),
    "Sentinel's port": (
        "bus:\n  url: redis+sentinel://u:hidden@a:26379,b:99999/pine\n",
        "2: bus.url: host 2: expected HOST or HOST:PORT; several are separated by commas",
    ),
    "password that is not written as it should": (
        "bus:\n  url: redis+sentinel://u:hidden#1,?@a/pine\n",
        "2: bus.url: expected the service's name after the hosts",
    ),
    "Sentinel's database": (
        "bus:\n  url: rediss+sentinel://a/pine/zero\n",
        "2: bus.url: after the service's name: expected nothing, or the number of a database such as /0",
    ),
    "Sentinel's option": (
        "bus:\n  url: redis+sentinel://a/pine?sentinel_password=hidden&ssl_ca_certs=ca.crt\n",
        "2: bus.url: option 2 after the ?: expected each once, with a value, of sentinel_username, sentinel_password",
    ),
    "Sentinel's user without password": (
        "bus:\n  url: redis+sentinel://a/pine?sentinel_username=hidden\n",
        "2: bus.url: sentinel_username: expected sentinel_password too",
    ),
    "replicas of an embedded server": (
        "bus:\n  replicas: 1\n",
        "2: bus.replicas: found 1, expected 0: the embedded server has no replicas; see url",
    ),
    "more replicas than anybody has": (
        "bus:\n  url: redis://h\n  replicas: 10\n",
        "3: bus.replicas: found 10, expected 0 to 9",
    ),
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
    "models of nobody": ("models: ~nosuchuser/x\n", "1: models: found '~nosuchuser/x', expected a folder: "),
    "models in no path": ('models: "a\\0b"\n', "1: models: found a path with a NUL in it, expected a folder"),
    "data_dir in no path": ('data_dir: "a\\0b"\n', "1: data_dir: found a path with a NUL in it, expected a folder"),
    "archive of nobody": (
        "archive: {location: ~nosuchuser/x}\n",
        "1: archive.location: expected a folder, or a URL such as s3://bucket/pine",
    ),
    "feature of a number that nobody writes": (
        f"{PAIR}    features: ['rsi({'1' * 5000})']\n",
        "7: strategies.a.features.0: feature 'rsi(1111",
    ),
    "filter of a number that no float holds": (
        f"{PAIR}    filters: [{{feature: 'bollinger_upper(20, {'1' * 99})', above: 1}}]\n",
        "7: strategies.a.filters.0: feature 'bollinger_upper(20, 1111",
    ),
    "feature of more days than any history": (
        PAIR + "    features: [ibs, 'sma(6000)@daily']\n",
        "7: strategies.a.features.1: sma(length=6000, source=close)@daily: found 6000 daily bars until there is a "
        "value, expected at most 5000",
    ),
    "feature of too many days and then some": (
        PAIR + "    features: ['sma(3000, sma(3000))@daily']\n    warm_up: off\n",
        "7: strategies.a.features.0: sma(length=3000, source=sma(length=3000, source=close))@daily: found 5999 daily",
    ),
    "stand-in for what has bars": (
        "instruments: {ES: {}}\nstand_ins:\n  ES: NQ\n",
        "3: stand_ins.ES: ES is among the configured instruments: it has bars, expected a symbol without",
    ),
    "stand-in of a stand-in": (
        "stand_ins:\n  TLT: ZB\n  ZB: ES\n",
        "2: stand_ins.TLT: found ZB, which is fed by another one's bars itself",
    ),
    **{
        f"filter that is {condition}": (
            f"{PAIR}    filters:\n      - {{feature: ibs, {condition}}}\n",
            f"8: strategies.a.filters.0.{condition.partition(':')[0]}: found {found}, expected {expected}",
        )
        for condition, found, expected in (
            ("above: .nan", "nan", "a finite number"),
            ("below: .inf", "inf", "a finite number"),
            ("equals: [.nan]", "[nan]", "a finite number, or a list"),
            ("equals: [1, -.inf]", "[1, -inf]", "a finite number, or a list"),
            ("between: [.nan, 1]", "[nan, 1]", "the lower and the upper bound, finite numbers"),
            ("between: [0, .inf]", "[0, inf]", "the lower and the upper bound, finite numbers"),
        )
    },
    "parameters as a list": (PAIR + "    params: [1]\n", "7: strategies.a.params: found another kind of value"),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_alone_with_line_and_path(mistakes: Callable[..., list[str]], text: str, expected: str) -> None:
    found = mistakes(text)
    assert len(found) == 1, found
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        "hub:\n  clock: " + "x" * 5000,
        "hub:\n  lateness_ms: " + "x" * 5000,
        "hub:\n  lateness_ms: [" + "1, " * 5000 + "1]",
        "hub:\n  lateness_ms: " + "9" * 5000,
        "hub:\n  lateness_ms: 0x" + "f" * 5000,
        "hub:\n  lateness_ms: [0x" + "f" * 5000 + "]",
        "instruments:\n  ES: {commission: 0x" + "f" * 5000 + "}",
        "hub:\n  " + "x" * 5000 + ": 1",
        f"{PAIR}    features: ['{'x' * 5000}']",
        f"{PAIR}    features: ['rsi({'x' * 5000}=1)']",
        f"{PAIR}    features: ['sma(2, {'sma(2, ' * 20}close']",
        f"{PAIR}    filters: ['{'x' * 5000}']",
        f"{PAIR}    scorer: '{'x' * 5000}'",
    ],
    ids=lambda text: text.splitlines()[-1].strip()[:24],
)
def test_a_mistake_of_any_length_is_told_in_a_line_or_two(mistakes: Callable[..., list[str]], text: str) -> None:
    found = mistakes(text + "\n")
    assert max(map(len, found)) < 800


def test_no_end_of_a_secret_is_shown_by_what_is_left_out(mistakes: Callable[..., list[str]]) -> None:
    password, key = "p" * 200, "db-" + "k" * 32
    found = mistakes(f"hub:\n  clock: redis://user:{password}@h\n  bar_clock: {'x' * 114}{key}\n")
    assert len(found) == 2
    assert not any("ppp" in line or "kkk" in line for line in found)


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
    path = write(tmp_path_factory.getbasetemp(), yaml.safe_dump(content))
    for problem in problems_of(path):
        assert re.match(rf"{re.escape(str(path))}:\d+: .", problem)


@relaxed
@given(text=st.text("ab:-[]{},'\"#&*!|>%@`\n ${}~0", max_size=30))
def test_any_text_is_a_configuration_or_a_listing_of_mistakes(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    assert all(problems_of(write(tmp_path_factory.getbasetemp(), text)))


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


@pytest.mark.parametrize("name", ["circle/data", "x" * 300])
def test_a_data_dir_that_cannot_be_is_a_mistake(mistakes: Callable[..., list[str]], tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (told,) = mistakes(f"data_dir: {name}")
    assert told.startswith("1: data_dir: found ")
