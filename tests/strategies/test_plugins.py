"""Strategies of a user's own: found beside the configuration, checked like pine's, covered by the hash of the code."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from pine.bus.ending import ENDING, interrupt_on_end
from pine.core.config import Config, load_config
from pine.core.errors import ConfigError
from pine.strategies.catalog import PARAMS, strategy_class
from pine.worker.provenance import code_hash, config_hash

MODULE = """\
from attrs import field, frozen, validators
from pine.strategies.base import BaseStrategy

class Mine(BaseStrategy):
    @frozen
    class Params:
        length: int = field(default=3, validator=validators.ge(2))
        word: str = "a"
    def on_bar(self, bar):
        pass

class Bare(BaseStrategy):
    def on_bar(self, bar):
        pass

class Lazy(BaseStrategy):
    pass

class Strange(Bare):
    timeframes = "hourly"

class Demanding(Bare):
    @frozen
    class Params:
        length: int

class Foreign:
    pass

class Wild(Bare):
    @frozen
    class Params:
        words: object = frozenset({1})
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with strategies in it; the import path is left as it was."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "desk_rules.py").write_text(MODULE)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("desk_")]:
        del sys.modules[name]


def load(folder: Path, kind: str, params: str = "{}", more: str = "") -> Config:
    path = folder / "pine.yaml"
    path.write_text(
        "data_dir: data\ninstruments: {ES: {}, GC: {}}\nstrategies:\n"
        f"  own: {{type: '{kind}', instruments: [ES], params: {params}}}\n{more}"
    )
    return load_config(path, PARAMS, {})


def problems(folder: Path, kind: str, params: str = "{}") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, kind, params)
    prefix = f"{folder / 'pine.yaml'}:4: strategies.own."
    assert all(problem.startswith(prefix) for problem in caught.value.problems)
    return [problem.removeprefix(prefix) for problem in caught.value.problems]


def test_parameters_are_those_of_the_class(desk: Path) -> None:
    config = load(desk, "desk_rules:Mine", "{length: 5}")
    assert attrs.asdict(config.traded["own"]["ES"].params) == {"length": 5, "word": "a"}
    found = strategy_class("desk_rules:Mine")
    assert isinstance(config.traded["own"]["ES"].params, found.Params)
    assert attrs.asdict(load(desk, "desk_rules:Bare").traded["own"]["ES"].params) == {}


def test_every_mistake_in_parameters_is_told_as_for_pines_own(desk: Path) -> None:
    assert sorted(problems(desk, "desk_rules:Mine", "{length: 1, wird: b}")) == [
        "params.length: must be >= 2: 1",
        "params.wird: unknown setting; did you mean word? Allowed: length, word",
    ]
    assert problems(desk, "desk_rules:Bare", "{length: 1}")[0].startswith("params.length: unknown setting")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("desk_rule:Mine", "found no module desk_rule in {desk} or among installed packages; did you mean desk_rules?"),
        ("desk_rules:Min", "found no class Min in {desk}/desk_rules.py; did you mean Mine?"),
        ("desk_rules.inner:Mine", "found no module desk_rules.inner"),
        ("desk_rules:Foreign", "Foreign in {desk}/desk_rules.py is no strategy of pine; derive it from BaseStrategy"),
        ("desk_rules:Lazy", "desk_rules:Lazy does not implement on_bar; see docs/strategies.md"),
        ("desk_rules:Strange", "desk_rules:Strange: timeframes: found 'hourly', expected a tuple such as"),
        ("desk_rules:Demanding", "desk_rules:Demanding: Params: expected a default for each, found none for length"),
        ("desk_rules:Wild", "desk_rules:Wild: Params: expected numbers, texts, true or false, and lists of them"),
        ("desk-rules:Mine", "found 'desk-rules:Mine', expected module:Class, such as my_strategies:MyStrategy"),
        ("mine", "unknown strategy type, allowed: breakout, ibs, or module:Class"),
    ],
)
def test_a_type_that_cannot_be_used_is_a_mistake_with_its_line(desk: Path, kind: str, expected: str) -> None:
    (found,) = problems(desk, kind)
    assert found.startswith("type: " + expected.format(desk=desk))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\ny = x / 0\n", "{file}:2: ZeroDivisionError: division by zero"),
        ("import no_such_library\n", "{file}:1: ModuleNotFoundError: No module named 'no_such_library'"),
        ("x = 1\ndef (\n", "{file}:2: SyntaxError"),
        ("raise SystemExit(3)\n", "{file}:1: SystemExit: 3"),
        ("raise GeneratorExit\n", "{file}:1: GeneratorExit"),
        ("raise KeyboardInterrupt\n", "{file}:1: KeyboardInterrupt"),
    ],
)
def test_a_module_that_raises_is_told_with_its_own_line(desk: Path, source: str, expected: str) -> None:
    file = desk / "desk_broken.py"
    file.write_text(source)
    (found,) = problems(desk, "desk_broken:Mine")
    assert found.startswith("type: module desk_broken cannot be imported: " + expected.format(file=file))


BODY = "from attrs import field, frozen\nfrom pine.strategies.base import BaseStrategy\n"
CLASS = "class Mine(BaseStrategy):\n    def on_bar(self, bar):\n        pass\n"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("features = 5", "desk_odd:Mine: features: found 5, expected a tuple of texts such as ('rsi(2)',)"),
        ("features = None", "desk_odd:Mine: features: found None, expected a tuple of texts"),
        ("features = (3,)", "desk_odd:Mine: features: found (3,), expected a tuple of texts"),
        ("features = 'atr(14)'", "desk_odd:Mine: features: found 'atr(14)', expected a tuple of texts"),
        ("features = ('nope',)", "features of desk_odd:Mine: feature 'nope': found neither a feature nor an old name"),
        ("features = ('close@NQ',)", "features of desk_odd:Mine: close@NQ reads NQ, which this strategy does not"),
        ("features = ('sma(6000)@daily',)", "features of desk_odd:Mine: sma(length=6000, source=close)@daily: found"),
        (
            "@frozen\n    class Params:\n        x: int = field(factory=lambda: {}['z'])",
            "desk_odd:Mine: Params: its defaults are refused: {file}:8: KeyError: 'z'",
        ),
    ],
)
def test_a_class_that_declares_what_cannot_be_is_a_mistake_with_its_line(desk: Path, more: str, expected: str) -> None:
    file = desk / "desk_odd.py"
    file.write_text(f"{BODY}{CLASS}    {more}\n")
    (found,) = problems(desk, "desk_odd:Mine")
    assert found.startswith("type: " + expected.replace("{file}", str(file)))


@pytest.mark.parametrize(
    "source",
    [
        "def __getattr__(name):\n    raise RuntimeError('looked at')\n",
        f"{BODY}class Meta(type(BaseStrategy)):\n    @property\n    def timeframes(cls):\n"
        "        raise RuntimeError('looked at')\n" + CLASS.replace("(BaseStrategy)", "(BaseStrategy, metaclass=Meta)"),
    ],
    ids=["module", "metaclass"],
)
def test_what_raises_when_it_is_looked_at_is_a_mistake_with_its_line(desk: Path, source: str) -> None:
    (desk / "desk_odd.py").write_text(source)
    (found,) = problems(desk, "desk_odd:Mine")
    assert found.startswith(f"type: desk_odd:Mine cannot be looked at: {desk / 'desk_odd.py'}:")
    assert found.endswith("RuntimeError: looked at")


@pytest.mark.parametrize(
    "source",
    [
        "def __getattr__(name): raise SystemExit(0)\n",
        MODULE.replace('word: str = "a"', "word: str = field(factory=exit)"),
    ],
    ids=["module", "default"],
)
def test_what_is_raised_while_a_type_is_looked_at_is_a_mistake_too(desk: Path, source: str) -> None:
    (desk / "desk_broken.py").write_text(source)
    (found,) = problems(desk, "desk_broken:Mine")
    told = f"looked at: {desk / 'desk_broken.py'}:1: SystemExit: 0" if "getattr" in source else "used: SystemExit: None"
    assert found == f"type: desk_broken:Mine cannot be {told}"


@pytest.mark.parametrize("number", ENDING)
def test_a_request_to_end_while_a_module_is_imported_ends_the_process(desk: Path, number: signal.Signals) -> None:
    (desk / "desk_slow.py").write_text(f"import os\nos.kill(os.getpid(), {int(number)})\nfor _ in range(9): pass\n")
    before = {number: signal.getsignal(number) for number in ENDING}
    interrupt_on_end()
    ours = signal.getsignal(number)
    try:
        with pytest.raises(KeyboardInterrupt):
            load(desk, "desk_slow:Mine")
        assert signal.getsignal(number) is ours
    finally:
        for other, handler in before.items():
            signal.signal(other, handler)


def test_a_module_that_another_hides_is_told_and_not_taken(desk: Path) -> None:
    (desk / "queue.py").write_text(MODULE)
    (found,) = problems(desk, "queue:Mine")
    assert found.startswith(f"type: {desk / 'queue.py'} has the name of a module that Python finds first")


def test_what_a_module_prints_stays_off_standard_output(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (desk / "desk_loud.py").write_text(f"print('hello')\n{MODULE}")
    load(desk, "desk_loud:Mine")
    assert capsys.readouterr().out == ""


def test_the_folder_can_be_another_and_each_configuration_has_its_own(desk: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "desk_rules.py").write_text(MODULE.replace("default=3", "default=7"))
    assert load(desk, "desk_rules:Mine").traded["own"]["ES"].params.length == 3
    config = load(desk, "desk_rules:Mine", more="strategy_folder: other\n")
    assert (config.strategy_folder, config.traded["own"]["ES"].params.length) == (other, 7)
    assert load(desk, "desk_rules:Mine").traded["own"]["ES"].params.length == 3


def test_the_hash_of_the_code_covers_a_module_and_nothing_beside_it(desk: Path) -> None:
    before = load(desk, "desk_rules:Mine")
    first, settings = code_hash("desk_rules:Mine"), config_hash(before, "own")
    assert first != code_hash("ibs") == code_hash("breakout")
    (desk / "desk_neighbour.py").write_text("x = 1\n")
    assert code_hash("desk_rules:Mine") == first
    (desk / "desk_rules.py").write_text(MODULE + "\n# a word\n")
    assert code_hash("desk_rules:Mine") != first
    assert config_hash(load(desk, "desk_rules:Bare"), "own") != settings


def test_the_hash_of_the_code_covers_every_file_of_a_package(desk: Path) -> None:
    package = desk / "desk_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "rules.py").write_text(MODULE)
    (package / "numbers.py").write_text("x = 1\n")
    load(desk, "desk_package.rules:Mine")
    first = code_hash("desk_package.rules:Mine")
    (package / "numbers.py").write_text("x = 2\n")
    assert code_hash("desk_package.rules:Mine") != first


@pytest.mark.parametrize("kind", ["ibs", "breakout"])
def test_classes_of_pines_own_types_name_the_parameters_of_the_catalog(kind: str) -> None:
    assert strategy_class(kind).Params is PARAMS.find(kind, Path())
