"""What ``pine models`` shows, and when it says that something is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pine.cli.main import cli
from pine.strategies.models.store import save_model

from .conftest import FEATURES, Saved, make_card

CONFIG = """
data_dir: data
instruments: {ES: {}, GC: {}}
strategies:
  ibs_a: {type: ibs, instruments: [ES, GC]}
  ibs_b: {type: ibs, instruments: [ES]}
"""

Pine = Callable[..., Result]


@pytest.fixture
def pine(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> Pine:
    """Run the command in the folder that holds configuration and models."""
    home = saved.folder.parent
    (home / "pine.yaml").write_text(CONFIG)
    monkeypatch.chdir(home)
    monkeypatch.delenv("PINE_CONFIG", raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["models", *arguments], catch_exceptions=False)

    return run


def test_models_are_listed_with_what_their_cards_say(pine: Pine) -> None:
    shown = pine()
    assert shown.exit_code == 0
    header, es, gc, other = (line.split() for line in shown.output.splitlines())
    assert header[:4] == ["strategy", "symbol", "state", "threshold"]
    assert es[:8] == ["ibs_a", "ES", "ok", "0.55", "3", "2023-01-02", "to", "2024-03-01"]
    assert "generated" in es
    assert "auc 0.61, trades 400" in shown.output
    assert (gc, other) == (["ibs_a", "GC", "missing"], ["ibs_b", "ES", "missing"])


def test_one_strategy_can_be_named(pine: Pine) -> None:
    assert len(pine("ibs_b").output.splitlines()) == 2
    wrong = pine("ibs_c")
    assert wrong.exit_code == 2
    assert "'ibs_c' is not configured" in wrong.output


def test_a_document_holds_it_all(pine: Pine, saved: Saved) -> None:
    shown = pine("ibs_a", "--json")
    document = json.loads(shown.output)
    es, gc = document["models"]
    assert document["folder"] == str(saved.folder)
    assert (es["state"], es["features"], es["metrics"]["auc"]) == ("ok", list(FEATURES), 0.61)
    assert (gc["state"], gc["threshold"], gc["problem"]) == ("missing", None, None)


def test_a_model_that_does_not_fit_is_exit_code_1_with_the_reason(pine: Pine, saved: Saved) -> None:
    saved.model_file.write_bytes(b"{}")
    shown = pine()
    assert shown.exit_code == 1
    assert shown.output.splitlines()[-1].startswith(f"ibs_a ES: {saved.model_file}: found a file of 2 bytes")
    assert json.loads(pine("--json").output)["models"][0]["state"] == "refused"


def test_another_folder_can_be_named(pine: Pine, tmp_path: Path, booster: Any) -> None:
    save_model(tmp_path / "elsewhere", booster, make_card(symbol="GC"))
    shown = pine("ibs_a", "--folder", str(tmp_path / "elsewhere"))
    assert [line.split()[1:3] for line in shown.output.splitlines()[1:]] == [["ES", "missing"], ["GC", "ok"]]
