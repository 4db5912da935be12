"""The example of docs/models.md does what the page says."""

import pickle
import re
import sys
import types
from pathlib import Path
from typing import Any

import orjson
import pytest

import pine
from pine.strategies.features.address import parse_address
from pine.strategies.models.store import load_model

from .forests import Forest

PAGE = Path(pine.__file__).parents[1] / "docs" / "models.md"

OLD = ("ibs_pct", "ibs_percentile", "vix_daily_return")
"""Names of features as the bundles have them: two of one feature, and one of what has no feed."""


class ManyThreads(Forest):
    """As a forest comes: on as many threads as there are."""

    n_jobs: int | None = None


@pytest.fixture
def old_forests(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the page; joblib, which nothing else here needs, is stood in for by pickle."""
    stand_in = types.SimpleNamespace(load=lambda path: pickle.loads(path.read_bytes()))  # noqa: S301  # our own
    monkeypatch.setitem(sys.modules, "joblib", stand_in)
    blocks = [text for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "def " in text]
    module = types.ModuleType("old_forests")
    exec("\n".join(blocks), module.__dict__)  # noqa: S102  # the page's own example
    monkeypatch.setitem(sys.modules, "old_forests", module)
    return module


def test_a_bundle_of_the_old_system_scores_as_the_page_says(old_forests: Any, tmp_path: Path) -> None:
    folder = tmp_path / "ibs_a"
    folder.mkdir()
    best = {"Symbol": "ES", "Sharpe": 1.2, "Profit_Factor": 1.4, "Trades": 300, "Prod_Threshold": 0.5}
    best |= {
        "Params": {"n_estimators": 200, "random_state": 42},
        "Features": ["ibs_pct", "ibs_percentile", "vix_daily_return"],
    }
    (folder / "ES_best.json").write_bytes(orjson.dumps(best))
    (folder / "ES_rf_model.pkl").write_bytes(pickle.dumps({"model": ManyThreads(), "features": best["Features"]}))
    old_forests.make_card(tmp_path, "ibs_a", "ES", "2010-01-01", "2025-10-30")
    model = load_model(tmp_path, "ibs_a", "ES", "old_forests:forest", known=parse_address)
    assert model is not None
    assert (model.card.features, model.card.threshold, model.card.seed) == (
        ("ibs_pct", "ibs_percentile", "vix_daily_return"),
        0.5,
        42,
    )
    assert [model.score([0.25, 0.25, None]), model.score([None, 1.0, None])] == [0.25, 0.0]
