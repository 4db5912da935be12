"""docs/configuration.md says what the classes say, and its examples are what pine reads."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pine.core.config import load_config
from pine.strategies.catalog import PARAMS

ROOT = Path(__file__).parents[2]
EXAMPLES = ("gateway", "historical_gateway", "token")
"""Settings that are shown with a value of their own; by default there is none."""


def test_the_committed_reference_and_configuration_are_what_make_docs_writes() -> None:
    """Run make docs, and look at what changed."""
    command = [sys.executable, str(ROOT / "tools" / "config_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_examples_together_are_a_configuration(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(examples) > 12
    (tmp_path / "pine.yaml").write_text("".join(examples))
    config = load_config(tmp_path / "pine.yaml", PARAMS, {"DATABENTO_API_KEY": "x"})
    assert config.traded["morning"]["ES"].root == "MES"


@pytest.mark.parametrize("section", ["databento", "bus", "hub", "orders", "archive", "alerts", "metrics", "dashboard"])
def test_what_is_commented_out_in_the_configuration_is_the_default(section: str, tmp_path: Path) -> None:
    """Every line such as ``# lateness_ms: 250`` put in force changes nothing."""
    path = tmp_path / "pine.yaml"
    path.write_text("")
    bare = getattr(load_config(path, PARAMS, {}), section)
    settings = []
    for line in _block((ROOT / "pine.yaml").read_text(), section):
        found = re.match(r"  # (?P<setting>(?P<name>[a-z_]+): .*?)(?:  +# .*)?$", line)
        if found and found["name"] not in EXAMPLES:
            settings.append(found["name"])
            path.write_text(f"{section}:\n  {found['setting']}\n")
            assert getattr(load_config(path, PARAMS, {}), section) == bare, line
    assert settings


def _block(text: str, section: str) -> list[str]:
    body = re.search(rf"^{section}:\n((?:  .*\n|\n)*)", text, re.MULTILINE)
    assert body is not None
    return body[1].splitlines()


@pytest.mark.parametrize("setting", ["urls", "on", "daily_summary", "token"])
def test_every_setting_of_what_the_desk_sees_is_shown(setting: str) -> None:
    assert f"{setting}:" in (ROOT / "pine.yaml").read_text()
