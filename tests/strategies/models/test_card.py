"""What a card may hold, and what is said of one that holds anything else."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from pine.core.errors import ModelError
from pine.strategies.models.card import Card, read_card, write_card

from .conftest import FEATURES, Saved, make_card
from .damage import edit


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = make_card(fill={"ibs": 0.5}, scorer="mine:forest", model_file="ES.pkl", model_hash="0" * 64)
    write_card(tmp_path / "a" / "ES.card.json", card)
    assert read_card(tmp_path / "a" / "ES.card.json") == card
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["ES.card.json"]


def test_a_card_is_text_that_people_can_read(saved: Saved) -> None:
    lines = saved.card_file.read_text().splitlines()
    assert '  "threshold": 0.55,' in lines
    assert lines[:3] == ["{", '  "strategy": "ibs_a",', '  "symbol": "ES",']


REQUIRED = sorted(set(Card.__annotations__) - {"fill", "scorer", "model_file"})


@pytest.mark.parametrize("name", REQUIRED)
def test_what_a_card_lacks_is_named(saved: Saved, name: str) -> None:
    edit(saved.card_file, lambda raw: raw.pop(name))
    with pytest.raises(ModelError, match=rf"ES\.card\.json: .*'{name}' is missing"):
        read_card(saved.card_file)


@pytest.mark.parametrize("name", ["fill", "scorer", "model_file"])
def test_what_has_a_default_may_be_left_out(saved: Saved, name: str) -> None:
    edit(saved.card_file, lambda raw: raw.pop(name))
    assert read_card(saved.card_file) == saved.card


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("threshhold", 0.5, "threshhold: unknown setting; did you mean threshold?"),
        ("threshold", 1.5, "threshold: must be <= 1: 1.5"),
        ("threshold", -0.1, "threshold: must be >= 0: -0.1"),
        ("threshold", "0.5", "threshold: found '0.5', expected a number"),
        ("threshold", True, "threshold: found True, expected a number"),
        ("threshold", None, "threshold: found None, expected a number"),
        ("features", ["ibs", "atr(14)", "ibs"], "features: found ibs more than once"),
        ("features", [], "features: found [], expected the addresses of one feature or more"),
        ("features", "ibs", "features: found 'ibs', expected a list of texts"),
        ("features", ["ibs", 3], "features: found ['ibs', 3], expected a list of texts"),
        ("symbol", 6, "symbol: found 6, expected text"),
        ("symbol", "", "symbol: found nothing, expected text"),
        ("seed", 1.5, "seed: found 1.5, expected a whole number"),
        ("data", "real", "data: found 'real', expected one of generated, recorded"),
        ("trained_from", "long ago", "trained_from: time: found 'long ago'"),
        ("trained_to", "2022-01-01", "trained_to: found '2022-01-01', expected a time that is not before trained_from"),
        ("model_hash", "abc", "model_hash: found 'abc', expected the sha256 of the model file"),
        ("fill", {"volume": 0.0}, "fill: found 'volume', expected features of this model only: ibs, atr(14)"),
        ("fill", {"ibs": "0"}, "fill.ibs: found '0', expected a number"),
        ("fill", {"ibs": 1e39}, "fill: found 1e+39 for ibs, expected a finite number within 32-bit floats"),
        ("fill", [], "fill: found another kind of value"),
        ("metrics", 3, "metrics: found another kind of value"),
        ("scorer", "forest", "scorer: found 'forest', expected module:callable"),
        ("scorer", 3, "scorer: found 3, expected text"),
        ("model_file", "../ES.pkl", "model_file: found '../ES.pkl', expected the name of a file beside the card"),
        ("model_file", "a\0b", "model_file: found 'a\\x00b', expected the name of a file beside the card"),
    ],
)
def test_what_a_card_may_not_hold_is_told_with_its_place(saved: Saved, name: str, value: Any, told: str) -> None:
    edit(saved.card_file, lambda raw: raw.update({name: value}))
    with pytest.raises(ModelError) as caught:
        read_card(saved.card_file)
    assert str(caught.value).startswith(f"{saved.card_file}: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"seed": "x", "data": "real", "more": 1}, {"threshold": 2, "features": ["a", "a"], "symbol": ""}]
)
def test_several_mistakes_are_told_at_once_and_each_once(saved: Saved, wrong: dict[str, Any]) -> None:
    edit(saved.card_file, lambda raw: raw.update(wrong))
    with pytest.raises(ModelError) as caught:
        read_card(saved.card_file)
    assert [str(caught.value).count(f" {name}: ") for name in wrong] == [1, 1, 1]


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b"\x80\x04pickle", b"{" * 100_000])
def test_what_is_no_card_at_all_is_told(saved: Saved, content: bytes) -> None:
    saved.card_file.write_bytes(content)
    with pytest.raises(ModelError, match=r"ES\.card\.json: found .* expected a card"):
        read_card(saved.card_file)


@pytest.mark.parametrize("name", ["params", "metrics", "more"])
@pytest.mark.parametrize("opening", ['{"a":', "["], ids=["settings", "list"])
def test_a_card_is_so_and_so_deep(saved: Saved, name: str, opening: str) -> None:
    closing = "}" if opening[0] == "{" else "]"

    def nested(levels: int) -> bytes:
        inner = f'{{"in": {opening * levels}1{closing * levels}}}'
        return saved.card_file.read_bytes().replace(b'"fill"', f'"{name}": {inner}, "fill"'.encode(), 1)

    shallow, deep = nested(30), nested(900)
    saved.card_file.write_bytes(deep)
    with pytest.raises(ModelError, match=r"ES\.card\.json: found values that are more than 32 deep in each other"):
        read_card(saved.card_file)
    saved.card_file.write_bytes(shallow)
    if name == "more":
        with pytest.raises(ModelError, match="more: unknown setting"):
            read_card(saved.card_file)
    else:
        assert read_card(saved.card_file).symbol == "ES"


def test_a_card_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ES\.card\.json: there is no such file"):
        read_card(tmp_path / "ES.card.json")


def test_what_has_no_place_in_json_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ES\.card\.json: the card cannot be written as JSON"):
        write_card(tmp_path / "ES.card.json", make_card(metrics={"auc": {1, 2}}))
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_features_is_kept(saved: Saved) -> None:
    assert orjson.loads(saved.card_file.read_bytes())["features"] == list(FEATURES)
