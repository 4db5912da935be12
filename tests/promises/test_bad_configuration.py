"""A bad configuration: every mistake in one listing with path and line, exit 2, and nothing has started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MISTAKEN = """\
data_dir: data
hub:
  lateness_ms: soon
sessions:
  default: {close: noon}
instruments:
  QQ: {}
  ES: {siez: 2}
strategies:
  one: {type: ibs, instruments: [NQ], params: {ibs_entry_low: 7}}
"""
LISTING = {3: "soon", 5: "noon", 7: "QQ", 8: "siez", 10: "NQ"}
UNSET = """\
data_dir: data
databento: {api_key: "${PINE_TEST_UNSET_KEY}"}
instruments: {ES: {}}
strategies:
  one: {type: ibs, webhook: "${PINE_TEST_UNSET_WEBHOOK}", instruments: [ES]}
"""
COMMANDS = (["hub"], ["worker", "one"], ["courier", "one"])


def run(folder: Path, text: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command with a configuration."""
    (folder / "pine.yaml").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pine", *command], cwd=folder, env=os.environ, capture_output=True, text=True, timeout=90
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_mistake_is_told_at_once_with_its_line_and_nothing_starts(command: list[str], tmp_path: Path) -> None:
    done = run(tmp_path, MISTAKEN, command)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    told = {
        line: [text for text in lines if f"{tmp_path / 'pine.yaml'}:{line}: " in text and word in text]
        for line, word in LISTING.items()
    }
    assert {line for line, found in told.items() if not found} == set()
    assert "ibs_entry_low" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "pine.yaml"]


@pytest.mark.parametrize(
    ("command", "variable"),
    list(zip(COMMANDS, ("KEY", "WEBHOOK", "WEBHOOK"), strict=True)),
    ids=("hub", "worker", "courier"),
)
def test_a_variable_that_is_not_set_is_named_and_nothing_starts(
    command: list[str], variable: str, tmp_path: Path
) -> None:
    done = run(tmp_path, UNSET, command)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"environment variable PINE_TEST_UNSET_{variable} is not set" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "pine.yaml"]
