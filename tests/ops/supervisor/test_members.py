"""Which processes a configuration asks for, and which of them words mean."""

from pathlib import Path

import pytest

from pine.core.config import Config, load_config
from pine.core.errors import PineError
from pine.ops.supervisor.members import arguments_of, chosen, planned
from pine.strategies.catalog import PARAMS

CONFIG = """\
data_dir: data
instruments: {ES: {}}
strategies:
  ibs_a: {type: ibs, webhook: "https://hooks.example/a/b", instruments: [ES]}
  paper: {type: ibs, instruments: [ES]}
  asleep: {type: ibs, enabled: false, instruments: [ES]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "pine.yaml").write_text(CONFIG)
    return load_config(tmp_path / "pine.yaml", PARAMS, {})


def names(config: Config, *words: str) -> list[str]:
    return [member.name for member in chosen(planned(config, ["alerts", "dashboard"]), words, config)]


def test_everything_is_hub_archive_what_was_asked_for_and_the_enabled_strategies(config: Config) -> None:
    everything = ["hub", "archive", "alerts", "dashboard", "courier ibs_a", "worker ibs_a", "worker paper"]
    assert names(config) == everything


def test_a_word_is_a_command_a_strategy_or_one_of_its_processes(config: Config) -> None:
    assert names(config, "ibs_a", "hub") == ["hub", "courier ibs_a", "worker ibs_a"]
    assert names(config, "worker ibs_a") == ["worker ibs_a"]
    with pytest.raises(PineError, match="strategy asleep is disabled"):
        names(config, "hub", "asleep")
    with pytest.raises(PineError, match="did you mean paper"):
        names(config, "papr")


def test_a_worker_leaves_its_courier_to_us(config: Config) -> None:
    first, *_, last = planned(config)
    assert arguments_of(first, config) == ["-c", str(config.path), "hub"]
    assert arguments_of(last, config) == ["-c", str(config.path), "worker", "paper", "--no-courier"]
