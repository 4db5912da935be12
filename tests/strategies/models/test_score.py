"""One row, one score: the same, bit for bit, wherever and however often it is asked for; or a reason."""

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pine.core.errors import ModelError
from pine.strategies.models.store import Model, load_model, save_model

from .conftest import Saved, make_card

ROWS = [[0.1 * n - 2.0, (7 * n) % 11 - 5.0, math.sin(n)] for n in range(40)]

SCRIPT = """
import sys
from pathlib import Path
from pine.strategies.models.store import load_model
model = load_model(Path(sys.argv[1]), "ibs_a", "ES")
print([model.score(row).hex() for row in eval(sys.argv[2])], "sklearn" in sys.modules, model.digest)
"""


def load(saved: Saved) -> Model:
    model = load_model(saved.folder, "ibs_a", "ES")
    assert model is not None
    return model


@pytest.fixture
def model(saved: Saved) -> Model:
    return load(saved)


def test_scores_are_what_xgboost_predicts_for_all_rows_at_once(model: Model, booster: Any) -> None:
    import numpy as np
    import xgboost

    matrix = xgboost.DMatrix(np.array(ROWS, dtype=np.float32), feature_names=list(model.card.features))
    expected = [float(score) for score in booster.predict(matrix)]
    assert [model.score(row) for row in ROWS] == expected
    assert len(set(expected)) > 3


def test_a_reloaded_model_and_another_process_score_the_same_bit_for_bit(saved: Saved, model: Model) -> None:
    scores = [model.score(row).hex() for row in ROWS]
    assert [load(saved).score(row).hex() for row in ROWS] == scores
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, saved.folder, repr(ROWS)], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == f"{scores} False {model.digest}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=3, max_size=3))
def test_every_row_of_numbers_has_a_probability(model: Model, row: list[float]) -> None:
    if max(map(abs, row)) < 3.4e38:
        assert 0 <= model.score(row) <= 1


@pytest.mark.parametrize("row", [[], [1.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
def test_a_row_of_another_length_has_no_score(model: Model, row: list[float]) -> None:
    with pytest.raises(ModelError, match=rf"found a row of {len(row)} values, expected 3 features"):
        model.score(row)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_row_that_lacks_a_value_has_no_score(model: Model, missing: float | None) -> None:
    with pytest.raises(ModelError, match=r"found no value of atr\(14\), expected one"):
        model.score([1.0, missing, 2.0])


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e39])
def test_a_row_that_a_32_bit_float_cannot_hold_has_no_score(model: Model, value: float) -> None:
    with pytest.raises(ModelError, match="as ibs, expected a number within 32-bit floats"):
        model.score([value, 1.0, 2.0])


@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_value_that_the_card_fills_in_may_be_missing(saved: Saved, booster: Any, missing: float | None) -> None:
    save_model(saved.folder, booster, make_card(fill={"ibs": 3.0}))
    filled = load(saved)
    assert filled.score([missing, 1.0, 2.0]) == filled.score([3.0, 1.0, 2.0]) != filled.score([-3.0, 1.0, 2.0])
    with pytest.raises(ModelError, match=r"found no value of percent_change@daily"):
        filled.score([missing, 1.0, missing])
