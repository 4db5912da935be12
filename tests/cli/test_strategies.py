"""pine strategies as a person runs it."""

import json
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def desk(pine, monkeypatch):
    """The files of the example in a folder."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    for name in ("my_strategies.py", "pine.yaml"):
        shutil.copy(EXAMPLES / name, pine.folder)
    yield pine
    sys.modules.pop("my_strategies", None)


def test_types_and_configured_strategies_are_listed(desk) -> None:
    shown = desk.quick("strategies")
    assert shown.code == 0
    assert "crossing  my_strategies:Crossing  yes      ES, GC" in shown.out
    assert "  lookback: whole number, >= 2; default 20\n" in shown.out
    assert "  slow: whole number; default 20\n" in shown.out
    facts = json.loads(desk.quick("strategies", "--json").out)
    assert [kind["type"] for kind in facts["types"]] == [
        "ibs",
        "breakout",
        "my_strategies:Crossing",
        "my_strategies:Bounce",
    ]
    assert facts["strategies"][1] == {
        "name": "bounce",
        "type": "my_strategies:Bounce",
        "enabled": True,
        "instruments": ["ES"],
    }


def test_one_is_shown_with_its_merged_parameters(desk) -> None:
    shown = desk.quick("strategies", "crossing")
    assert shown.out.splitlines()[3:6] == ["ES: trades 1 ES, commission 1.25", "  fast: 4", "  slow: 20"]
    facts = json.loads(desk.quick("strategies", "crossing", "--json").out)
    assert facts["instruments"]["GC"]["params"] == {"fast": 4, "slow": 12}
    unknown = desk.quick("strategies", "crosing")
    assert (unknown.code, "did you mean crossing?" in unknown.err) == (2, True)


def test_the_reference_refuses_a_type_of_ones_own_and_says_which_it_has(desk) -> None:
    ran = desk.quick("legacy", "crossing", "--check")
    assert ran.code == 2
    assert "strategy type 'my_strategies:Crossing': the reference has ibs, breakout" in ran.err
