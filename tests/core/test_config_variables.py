"""Configuration: variables in its values, from the environment or from a file beside it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pine.core.config import load_config
from pine.strategies.catalog import PARAMS

from .configs import Load


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
