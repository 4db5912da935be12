"""What is read of a configuration that has mistakes."""

from pathlib import Path

import pytest

from pine.core.config.parts import load_parts
from pine.core.errors import ConfigError

from .configs import write

MISTAKEN = "data_dir: ${WHERE}\nbus: {url: 'redis://:pw@h:1', replicas: many}\nhub: {no: such}\nstrategies:\n"


def test_where_everything_is_and_what_strategies_are_called_is_read_whatever_else_is_wrong(tmp_path: Path) -> None:
    text = MISTAKEN + "  a: {type: 'no_such_module:Class', webhook: '${HOOK}'}\n  b: {enabled: false}\n  'B!': {}\n"
    parts = load_parts(write(tmp_path, text), {"WHERE": "there"})
    assert (parts.data_dir, parts.bus.url) == (tmp_path / "there", "redis://:pw@h:1")
    assert {name: (s.enabled, bool(s.webhook)) for name, s in parts.strategies.items()} == {
        "a": (True, True),
        "b": (False, False),
    }


def test_sections_that_are_no_yaml_are_left_out(tmp_path: Path) -> None:
    text = "data_dir: there\ninstruments: {ES: \nstrategies:\n  a: {}\n# end\nhub: ]\n"
    parts = load_parts(write(tmp_path, text), {})
    assert (parts.data_dir, list(parts.strategies), parts.bus.url) == (tmp_path / "there", ["a"], "embedded")


@pytest.mark.parametrize("text", ["data_dir: [x]", "data_dir: ${UNSET}", "bus: {url: 'redis://['}", "bus: 5", "]"])
def test_where_everything_is_is_never_guessed(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        load_parts(write(tmp_path, text), {})
