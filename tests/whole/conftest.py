"""One undisturbed performance of the whole system, shared by the tests that look at it."""

import json
from pathlib import Path

import pytest
from stagecraft import Performance, run

from pine.core.config import load_config
from pine.sandbox.demo.perform import generate
from pine.strategies.catalog import PARAMS

DAYS, SEED = 2, 11


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated market."""
    return generate(tmp_path_factory.mktemp("tape"), DAYS, SEED)


@pytest.fixture(scope="session")
def performance(tape: Path, tmp_path_factory: pytest.TempPathFactory) -> Performance:
    """Run the command as a user would."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    done = run("demo", "--dbn", str(tape), "--json", "--keep", str(folder))
    assert done.returncode == 0, done.stderr
    return Performance(folder, json.loads(done.stdout), load_config(folder / "pine.yaml", PARAMS, {}))
