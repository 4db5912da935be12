"""One undisturbed performance of the whole system, shared by the tests that look at it."""

from pathlib import Path

import pytest
from once import once
from stagecraft import Performance, performed

from pine.sandbox.demo.perform import generate

DAYS, SEED = 2, 11


@pytest.fixture(scope="session")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated market."""
    return generate(tmp_path_factory.mktemp("tape"), DAYS, SEED)


@pytest.fixture(scope="session")
def performance(tape: Path, tmp_path_factory: pytest.TempPathFactory) -> Performance:
    """Run the command as a user would."""
    return once(tmp_path_factory, "whole", lambda: performed(tmp_path_factory.mktemp("demo") / "kept", tape))
