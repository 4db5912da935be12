"""A worker's entries are judged by filters and models, and it says what it does not enter, and why."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from market import begin, closed_bars, configure, publish
from processes import started_in
from trained import put_model

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.errors import ConfigError, ModelError
from pine.ops.status import Observer
from pine.orders.entries import Intent
from pine.orders.ledger import read_ledger
from pine.strategies.judge import Judge
from pine.worker.run import make_standards, run_worker

TEXT = """
data_dir: data
warm_up: off
instruments: {{ES: {{}}, GC: {{}}, 6E: {{}}}}
strategies:
  one:
    type: ibs
    instruments: [ES, GC]
    params: {{entry_setting: none, ibs_entry_high: 0.6, bar_stop_bars: 2, windows: ["00:00-24:00"]}}
    {more}
"""


def made(folder: Path, more: str) -> Config:
    return configure(folder, TEXT.format(more=more))


def models(folder: Path, **other: object) -> None:
    for symbol in ("ES", "GC"):
        put_model(folder / "models", "one", symbol, ("ibs", "rsi(2)"), 0.5, **other)


def asked(client: Client) -> list[dict]:
    flights = streams.read_range(client, keys.flight("one"))
    return [one for _, fields in flights for one in orjson.loads(fields[b"flight"])["decisions"]]


@pytest.fixture
def traded(client: Client, tmp_path: Path):
    """Return what a worker asked for under some settings."""

    def run(more: str) -> list[dict]:
        config = made(tmp_path, more)
        worker = begin(client, config, "one")
        publish(client, config, closed_bars())
        worker.until_caught_up()
        return asked(client)

    return run


def test_a_filter_that_blocks_is_named_in_flight_record_and_status(client: Client, tmp_path: Path, traded) -> None:
    found = traded("filters: [{feature: ibs, above: 0.3}]")
    refused = [one for one in found if str(one["refused"]).startswith("filter ibs: found 0.")]
    assert refused
    assert any(one["refused"] is None for one in found)
    newest = next(one for one in reversed(found) if one["refused"] is not None)
    status = Observer(made(tmp_path, ""), client).look(0)["strategies"]["one"]["refused"]
    assert (status["symbol"], status["why"]) == (newest["symbol"], newest["refused"])


def test_what_has_no_value_yet_lets_nothing_through(traded) -> None:
    found = traded("filters: [{feature: 'z_score(20, 252)', between: [-9, 9]}]")
    assert {one["refused"] for one in found if one["ask"] == "buy"} == {
        "filter z_score(length=20, window=252): found no value yet, expected between -9 and 9"
    }


def test_score_and_threshold_are_in_every_intent(client: Client, tmp_path: Path, traded) -> None:
    models(tmp_path)
    found = traded("model: optional")
    assert any(str(one["refused"]).startswith("model: score 0.") for one in found)
    entries = [e for _, e in read_ledger(client, "one") if isinstance(e, Intent) and e.is_entry]
    assert entries
    assert all(0.5 == entry.facts["model"]["threshold"] <= entry.facts["model"]["score"] for entry in entries)
    judged = {entry.id: entry.facts["model"] for entry in entries}
    exits = [e for _, e in read_ledger(client, "one") if isinstance(e, Intent) and not e.is_entry]
    assert exits
    assert all(left.facts["model"] == judged[left.entry or ""] for left in exits)
    (flight,) = {orjson.loads(f[b"flight"])["origin"] for _, f in streams.read_range(client, keys.flight("one"))}
    assert flight == 0


@pytest.mark.long
def test_an_optional_model_that_is_damaged_lets_nothing_through_its_instrument(tmp_path: Path, traded) -> None:
    put_model(tmp_path / "models", "one", "ES", ("ibs",), 0.0)
    file = tmp_path / "models" / "one" / "ES.json"
    file.write_bytes(file.read_bytes()[:200])
    found = traded("model: optional")
    assert {one["refused"] for one in found if one["symbol"] == "ES"} == {"model: cannot be used"}
    assert any(one["refused"] is None for one in found if one["symbol"] == "GC")


@pytest.mark.long
def test_a_model_that_reads_what_the_strategy_does_not_is_never_scored(tmp_path: Path, traded) -> None:
    put_model(tmp_path / "models", "one", "ES", ("ibs@6E",), 0.0)
    (problem,) = make_standards(made(tmp_path, "model: optional"), "one").fleet.problems.values()
    assert problem.startswith("its feature ibs@6E can have no value (6E is not configured); add what it reads to")
    found = traded("model: optional")
    assert {one["refused"] for one in found if one["symbol"] == "ES"} == {"model: cannot be used"}


def test_a_model_of_a_generated_market_posts_nowhere_but_to_this_machine(tmp_path: Path) -> None:
    models(tmp_path)
    config = made(tmp_path, "model: optional\n    webhook: https://broker.example/trading/webhook/u/p")
    with pytest.raises(ModelError, match=r"strategy one: its models of ES, GC were trained on a generated market") as e:
        run_worker(config, "one")
    assert "broker.example" not in str(e.value)
    models(tmp_path, data="recorded")
    assert make_standards(config, "one").fleet.generated() == []


def test_a_worker_says_at_its_start_what_it_will_not_enter(client: Client, tmp_path: Path) -> None:
    put_model(tmp_path / "models", "one", "GC", ("ibs",), 0.5)
    config = made(tmp_path, "model: required")
    publish(client, config, closed_bars()[:10])
    with started_in(tmp_path) as start:
        worker = start(config)
        observer = Observer(config, client)
        worker.until(lambda: observer.look(0)["strategies"]["one"]["no_entries"], "no entries are told")
        (note,) = [note for note in observer.look(0)["notes"] if "enters nothing" in note]
    assert note == "one enters nothing in ES: missing"
    assert "no entries" in worker.said()


def test_filters_that_mean_nothing_are_told_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        made(
            tmp_path,
            "filters: [{feature: rsj(2), below: 3}, {feature: rsi(2)}, {feature: ibs, above: 1, below: 0}, nonsense,\n"
            "      {feature: ibs@6E, below: 1}, {feature: ibs, between: [3, 1]}]\n"
            "    features: [close@VIX.daily, 'rsi(0)']\n    references: [QQ]\n    model: perhaps\n    scorer: 3",
        )
    text = str(error.value)
    for expected in (
        "filters.0: feature 'rsj(2)': found 'rsj'",
        "filters.1: filter rsi(2): found no condition",
        "filters.2: filter ibs: found above and below, expected one of",
        "filters.3: feature 'nonsense'",
        "filters.4: ibs@6E reads 6E, which this strategy does not; add it to references",
        "features.0: close@VIX.daily reads VIX",
        "features.1: feature 'rsi(0)'",
        "QQ is not among the configured instruments",
        "model: found 'perhaps', expected one of none, optional, required",
        "scorer: found 3, expected text",
    ):
        assert expected in text, text


def without_a_feature(card: dict) -> None:
    card["features"].pop()


def in_another_order(card: dict) -> None:
    card["features"].reverse()


def of_another_version(card: dict) -> None:
    card["built_with"] = "xgboost 1.7.6"


def of_an_unknown_feature(card: dict) -> None:
    card["features"][0] = "vix_of_tomorrow"


@pytest.mark.parametrize("defect", [without_a_feature, in_another_order, of_another_version, of_an_unknown_feature])
@pytest.mark.parametrize("policy", ["optional", "required"])
def test_a_model_that_does_not_fit_its_card_lets_nothing_through(
    tmp_path: Path, defect: Callable[[dict], None], policy: str
) -> None:
    models(tmp_path)
    card = tmp_path / "models" / "one" / "ES.card.json"
    raw = orjson.loads(card.read_bytes())
    defect(raw)
    card.write_bytes(orjson.dumps(raw))
    judge = Judge(make_standards(made(tmp_path, f"model: {policy}"), "one"))
    assert judge.verdict("ES").refused == "model: cannot be used"
    assert list(judge.standards.fleet.problems) == ["ES"]
    assert judge.verdict("GC").refused.startswith("model: no value yet of ibs, rsi")


@pytest.mark.parametrize("made_folder", [True, False])
def test_a_folder_of_no_models_and_no_folder_let_nothing_through_where_one_is_required(
    tmp_path: Path, made_folder: bool
) -> None:
    if made_folder:
        (tmp_path / "models" / "one").mkdir(parents=True)
    required = Judge(make_standards(made(tmp_path, "model: required"), "one"))
    assert {required.verdict(symbol).refused for symbol in ("ES", "GC")} == {"model: missing"}
    optional = Judge(make_standards(made(tmp_path, "model: optional"), "one"))
    assert {optional.verdict(symbol).refused for symbol in ("ES", "GC")} == {None}
