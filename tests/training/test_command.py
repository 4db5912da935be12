"""``pine train`` as a person runs it: files of trades in, models, cards and reports out."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pine.cli.main import cli
from pine.core.config import load_config
from pine.sandbox.market import write_market
from pine.strategies.catalog import PARAMS
from pine.strategies.features.address import parse_address
from pine.strategies.models.fleet import load_fleet

CONFIG = """
data_dir: data
warm_up: off
instruments: {ES: {}, GC: {}}
strategies:
  one:
    type: ibs
    enabled: false
    max_positions: 1
    daily_stop_loss: 100
    model: required
    params: {entry_setting: none, ibs_entry_high: 0.9, ibs_exit_low: 1.0, bar_stop_bars: 1, enable_auto_close: false}
    instruments: {ES: {params: {windows: ["00:00-24:00"]}}, GC: {params: {windows: ["03:00-05:00"]}}}
    features: [ibs, rsi(2), "standardized(close, 6)"]
  bare: {type: ibs, instruments: [ES], scorer: "mine:score"}
"""


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["-c", str(folder / "pine.yaml"), *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "pine.yaml").write_text(CONFIG)
    write_market(folder / "trades.dbn.zst", ["ES", "GC"], 8, 3, date(2024, 4, 8), trades_per_day=400)
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    """What the command says of two instruments, one of which hardly trades."""
    code, out, err = run(folder, "train", "one", "--source", str(folder / "trades.dbn.zst"), "--json")
    assert (code, err) == (0, "")
    document: dict[str, Any] = json.loads(out)
    return document


def test_an_instrument_with_rows_gets_a_model_and_one_without_goes_without(made: dict[str, Any]) -> None:
    es, gc = made["models"]
    assert (es["symbol"], es["problem"], es["rows"] >= 50) == ("ES", None, True)
    assert es["card"]["data"] == made["data"] == "generated"
    assert es["card"]["features"] == ["ibs", "rsi(length=2)", "standardized(source=close, window=6)"]
    assert es["card"]["data_hash"]
    assert es["incomplete"] > 0
    assert set(es["missing"]) <= set(es["card"]["features"])
    assert gc["card"] is None
    assert gc["problem"] == f"found {gc['rows']} rows, expected at least 50"


def test_limits_of_positions_and_loss_hold_no_candidate_back(made: dict[str, Any]) -> None:
    import polars as pl

    refused = pl.read_parquet(Path(made["record"]) / "decisions.parquet")["refused"].drop_nulls().unique().to_list()
    assert refused in ([], ["already open or on its way"])


def test_the_models_are_where_a_worker_looks_for_them(folder: Path, made: dict[str, Any]) -> None:
    config = load_config(folder / "pine.yaml", PARAMS, {})
    fleet = load_fleet(config.models_folder, "one", ["ES", "GC"], "required", known=parse_address)
    assert list(fleet.models) == ["ES"]
    assert fleet.problems == {"GC": "missing"}
    assert fleet.generated() == ["ES"]
    beside = (config.models_folder / "one" / "report.md").read_text()
    assert "GENERATED MARKET" in beside
    assert Path(made["report"]).parent == Path(made["record"])
    assert "GENERATED MARKET" in Path(made["report"]).read_text()


def test_trained_again_the_files_are_the_same_and_only_replaced_when_asked(folder: Path, made: dict[str, Any]) -> None:
    before = {path.name: path.read_bytes() for path in (folder / "models" / "one").glob("ES*")}
    asked = ("train", "one", "--symbols", "es", "--source", str(folder / "trades.dbn.zst"))
    code, _, err = run(folder, *asked)
    assert code == 2
    assert "is there already, expected none; --replace" in err
    code, out, err = run(folder, *asked, "--replace")
    assert (code, err) == (0, "")
    assert "GENERATED MARKET" in out
    assert {path.name: path.read_bytes() for path in (folder / "models" / "one").glob("ES*")} == before


def test_an_old_model_that_cannot_be_replaced_stays_and_is_told(folder: Path, made: dict[str, Any]) -> None:
    place = folder / "models" / "one" / "ES.card.json"
    before = place.read_bytes()
    until = json.loads(before)["trained_to"]
    asked = ("--symbols", "ES", "--source", str(folder / "trades.dbn.zst"), "--to", "2024-04-09", "--replace")
    code, out, _ = run(folder, "train", "one", *asked)
    assert code == 1
    assert f"expected at least 50; the model that is there (trained to {until}) stays as it was" in out
    assert place.read_bytes() == before


def test_without_any_model_the_exit_code_is_1(folder: Path, tmp_path: Path) -> None:
    asked = ("--symbols", "GC", "--source", str(folder / "trades.dbn.zst"), "--to", "2024-04-10", "--features", "ibs")
    code, out, err = run(folder, "train", "one", *asked, "--out", str(tmp_path / "elsewhere"))
    assert (code, err) == (1, "")
    assert "GC: no model: found " in out
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none",), "strategy 'none' is not configured"),
        (("one", "--symbols", "ES,NQ", "--replace"), "--symbols: found NQ, expected instruments of one: ES, GC"),
        (
            ("one", "--features", "rsj(2)", "--replace"),
            "found 'rsj', expected the name of a feature; near names are rsi",
        ),
        (("one", "--features", "close@NQ", "--replace"), "close@NQ reads NQ, which this strategy does not"),
        (("bare",), "scorer: found mine:score, expected none: models are xgboost's"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_runs(
    arguments: tuple[str, ...], said: str, folder: Path
) -> None:
    code, _, err = run(folder, "train", *arguments)
    assert code == 2
    assert said in err
