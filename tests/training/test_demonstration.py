"""The models in the repository are those of the demonstration, and its configuration asks for them."""

from pathlib import Path

import pytest
from attrs import evolve

from pine.core.config import Secret, load_config
from pine.core.errors import ModelError
from pine.sandbox.demo.plan import GENERATED, MODELS, models_of_clone, write_config
from pine.strategies.catalog import PARAMS
from pine.strategies.judge import standards_of
from pine.strategies.models.origin import refuse_generated
from pine.training.boosting import params_of
from pine.training.candidates import unlimited

LARGEST = 60_000


def configured(folder: Path, models: Path | None):
    where = "http://127.0.0.1:9/never"
    return load_config(write_config(folder, GENERATED, 13000, where, near=0.3, fsync="everysec", models=models), PARAMS)


@pytest.mark.parametrize("strategy", GENERATED)
def test_every_instrument_of_the_demonstration_has_a_model_that_can_be_used(strategy: str, tmp_path: Path) -> None:
    assert models_of_clone() == MODELS
    standards = standards_of(configured(tmp_path, MODELS), strategy)
    assert dict(standards.fleet.problems) == {}
    assert list(standards.fleet.models) == GENERATED[strategy]
    assert standards.fleet.generated() == sorted(GENERATED[strategy])
    for symbol, model in standards.fleet.models.items():
        assert model.card.params == params_of(model.card.seed), "train them anew: make models"
        assert (MODELS / strategy / f"{symbol}.json").stat().st_size < LARGEST
        assert max(standards.needs.bars.values()) <= 12


def test_a_real_webhook_is_refused_and_a_stand_in_is_not(tmp_path: Path) -> None:
    config = configured(tmp_path, MODELS)
    fleet = standards_of(config, "ibs_a").fleet
    refuse_generated("ibs_a", fleet, config.strategies["ibs_a"].webhook)
    with pytest.raises(ModelError, match="6E, ES, GC were trained on a generated market"):
        refuse_generated("ibs_a", fleet, Secret("https://hooks.example/x", where="here"))


def test_without_the_repository_nothing_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pine.sandbox.demo.plan.MODELS", tmp_path)
    assert models_of_clone() is None
    config = configured(tmp_path, None)
    assert [setting.model for setting in config.strategies.values()] == ["none", "none"]


def test_for_training_limits_and_models_are_lifted_and_nothing_else_changes(tmp_path: Path) -> None:
    config = configured(tmp_path, MODELS)
    loose = unlimited(config, "ibs_a", ["ibs"])
    ours, theirs = config.strategies["ibs_a"], loose.strategies["ibs_a"]
    assert (theirs.model, theirs.max_positions, theirs.features) == ("none", 3, ["ibs"])
    kept = {"model": ours.model, "max_positions": ours.max_positions, "features": ours.features}
    assert evolve(theirs, **kept, daily_stop_loss=ours.daily_stop_loss) == ours
    assert loose.strategies["ibs_b"] == config.strategies["ibs_b"]
