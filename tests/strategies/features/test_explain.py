"""What is said of features: on the command line and in the documentation."""

import json
from pathlib import Path

from click.testing import CliRunner

from pine.cli.main import cli
from pine.strategies.features.explain import table
from pine.strategies.features.registry import FEATURES

DOCS = Path(__file__).parents[3] / "docs/features.md"


def run(*arguments: str) -> tuple[int, str]:
    shown = CliRunner().invoke(cli, ["features", *arguments])
    return shown.exit_code, shown.output


def test_the_documentation_holds_the_table_of_all_definitions() -> None:
    assert table() in DOCS.read_text(), "docs/features.md: put in what pine.strategies.features.explain.table() returns"


def test_the_list_names_every_definition_with_its_formula() -> None:
    code, text = run()
    assert code == 0
    names = [line.split("(")[0].split()[0] for line in text.splitlines()[1:-1]]
    assert names == list(FEATURES)
    document = json.loads(run("--json")[1])
    assert document["count"] == len(FEATURES)
    assert [each["name"] for each in document["features"] if not each["formula"]] == []
    rsi = next(each for each in document["features"] if each["name"] == "rsi")
    assert rsi["parameters"] == [
        {"name": "length", "default": 5, "allowed": "a whole number from 2 to 10000", "low": 2, "high": 10000}
    ]
    assert (rsi["bars"], rsi["memory"]) == (6, "since the first bar")


def test_an_address_is_explained() -> None:
    code, text = run("lag(difference(close, close@daily), 3)@NQ", "--json")
    assert code == 0
    assert json.loads(text) == {
        "address": "lag(source=difference(left=close, right=close@daily), bars=3)@NQ",
        "formula": "x as it was bars bars before.",
        "arguments": {"source": "difference(left=close, right=close@daily)", "bars": 3},
        "symbol": "NQ",
        "timeframe": "hourly",
        "reads": ["difference(left=close, right=close@daily)@NQ"],
        "memory": "window",
        "bars": {"hourly": 4, "daily": 1},
        "old_names": [],
    }


def test_an_old_name_is_explained_with_the_others_that_mean_the_same() -> None:
    code, text = run("Dvolz-Pct")
    assert code == 0
    assert "percentile(source=volume_z(length=5, window=252), window=252)@daily" in text
    assert "507 daily" in text
    assert "dvolz_pct, dvolz_percentile, daily_volume_z_pct, daily_volume_z_percentile" in text


def test_a_mistake_is_exit_code_2() -> None:
    code, text = run("rsi(1)")
    assert (code, "found 1, expected a whole number from 2 to 10000" in text) == (2, True)
