"""Which instruments trade by a model, which without one, and which are not entered at all."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pine.core.errors import PineError
from pine.strategies.models.fleet import Fleet, Policy, load_fleet
from pine.strategies.models.listing import list_models
from pine.strategies.models.store import save_model

from .conftest import FEATURES, Saved, make_card, train
from .damage import edit, rehash

SYMBOLS = ["ES", "GC", "NQ"]


@pytest.fixture
def fleets(saved: Saved, booster: Any) -> Saved:
    """ES has a model, NQ a damaged one, GC none."""
    save_model(saved.folder, booster, make_card(symbol="NQ", data="recorded"))
    path = saved.folder / "ibs_a" / "NQ.json"
    path.write_bytes(path.read_bytes()[:100])
    return saved


@pytest.mark.parametrize(
    ("policy", "scored", "refused"),
    [("none", [], []), ("optional", ["ES"], ["NQ"]), ("required", ["ES"], ["GC", "NQ"])],
)
def test_the_policy_says_who_trades_how(fleets: Saved, policy: Policy, scored: list[str], refused: list[str]) -> None:
    fleet = load_fleet(fleets.folder, "ibs_a", SYMBOLS, policy, None, known=None)
    assert sorted(fleet.models) == scored
    assert sorted(fleet.problems) == refused
    assert [symbol for symbol in SYMBOLS if fleet.refusal(symbol)] == refused


def test_a_refusal_says_what_is_wrong_and_where(fleets: Saved) -> None:
    fleet = load_fleet(fleets.folder, "ibs_a", SYMBOLS, "required")
    assert fleet.problems["GC"] == "missing"
    assert str(fleet.refusal("GC")).startswith(f"model missing: {fleets.folder / 'ibs_a' / 'GC.card.json'}; ")
    assert str(fleet.refusal("NQ")).startswith(f"model refused: {fleets.folder / 'ibs_a' / 'NQ.json'}: found a file")
    assert fleet.refusal("ES") is None


def test_features_are_those_of_the_model_in_its_order(fleets: Saved) -> None:
    fleet = load_fleet(fleets.folder, "ibs_a", SYMBOLS, "optional")
    assert [fleet.features(symbol) for symbol in SYMBOLS] == [FEATURES, (), ()]


def test_models_of_a_generated_market_are_named(fleets: Saved, booster: Any) -> None:
    save_model(fleets.folder, booster, make_card(symbol="GC", data="recorded"))
    assert load_fleet(fleets.folder, "ibs_a", SYMBOLS, "optional").generated() == ["ES"]


def test_a_feature_that_nobody_makes_is_a_problem(fleets: Saved) -> None:
    def known(address: str) -> object:
        raise PineError(f"unknown feature {address}")

    fleet = load_fleet(fleets.folder, "ibs_a", ["ES"], "optional", known=known)
    assert "found 'ibs', which is none: unknown feature ibs" in str(fleet.refusal("ES"))


def test_the_digest_tells_fleets_apart_that_decide_differently(fleets: Saved, booster: Any) -> None:
    def digest(policy: Policy, symbols: list[str] = SYMBOLS) -> str | None:
        return load_fleet(fleets.folder, "ibs_a", symbols, policy).digest()

    assert digest("none") is None
    assert digest("optional", ["GC"]) is None
    assert digest("required", ["GC"]) is not None
    assert digest("optional") == digest("optional", SYMBOLS[::-1])
    assert len({digest("optional"), digest("required"), digest("optional", ["ES"])}) == 3
    before = digest("optional")
    save_model(fleets.folder, booster, make_card(threshold=0.6))
    assert digest("optional") != before


def test_a_fleet_without_anything_refuses_nobody(tmp_path: Path) -> None:
    for fleet in (Fleet(), load_fleet(tmp_path / "nowhere", "ibs_a", SYMBOLS, "optional")):
        assert (fleet.refusal("ES"), fleet.features("ES"), fleet.generated(), fleet.digest()) == (None, (), [], None)


def test_whatever_one_symbols_check_raises_is_its_problem_alone(fleets: Saved) -> None:
    def known(_address: str) -> object:
        raise OverflowError("int too large to convert to float")

    def odd(address: str) -> object:
        return known(address) if asked.pop() == "GC" else address

    save_model(fleets.folder, train(), make_card(symbol="GC"))
    asked = ["GC"] * len(FEATURES) + ["ES"] * len(FEATURES)
    fleet = load_fleet(fleets.folder, "ibs_a", ["ES", "GC"], "optional", known=odd)
    assert sorted(fleet.models) == ["ES"]
    place = fleets.folder / "ibs_a" / "GC.card.json"
    assert fleet.problems == {"GC": f"{place}: cannot be used: OverflowError: int too large to convert to float"}
    (listed,) = list_models(fleets.folder, "ibs_a", ["ES"], known=known)
    assert (listed["state"], "OverflowError: int too large" in listed["problem"]) == ("refused", True)


def test_the_digest_tells_kinds_of_problems_apart_and_not_places(fleets: Saved, tmp_path: Path, booster: Any) -> None:
    def digest(folder: Path = fleets.folder) -> str | None:
        return load_fleet(folder, "ibs_a", ["NQ"], "required").digest()

    files, elsewhere = digest(), tmp_path / "elsewhere"
    shutil.copytree(fleets.folder, elsewhere)
    assert digest(elsewhere) == files
    card = fleets.folder / "ibs_a" / "NQ.card.json"
    save_model(fleets.folder, booster, make_card(symbol="NQ"))
    edit(fleets.folder / "ibs_a" / "NQ.json", lambda raw: raw.update(learner={}))
    rehash(card, fleets.folder / "ibs_a" / "NQ.json")
    model = digest()
    edit(card, lambda raw: raw.update(threshold=2))
    bad_card = digest()
    card.unlink()
    (fleets.folder / "ibs_a" / "NQ.json").unlink()
    assert len({files, model, bad_card, digest()}) == 4
