"""A configuration read from a text, and the mistakes in one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pine.core.config import Config, load_config
from pine.core.errors import ConfigError
from pine.strategies.catalog import PARAMS

from .configs import Load


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, dotenv: str | None = None, **environ: str) -> Config:
        (tmp_path / "pine.yaml").write_text(text, encoding="utf-8")
        if dotenv is not None:
            (tmp_path / ".env").write_text(dotenv, encoding="utf-8")
        return load_config(tmp_path / "pine.yaml", PARAMS, environ)

    return load


@pytest.fixture
def mistakes(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """Load a file that cannot be used and return its problems as ``line: path: text``."""

    def mistakes(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        prefix = f"{tmp_path / 'pine.yaml'}:"
        assert all(problem.startswith(prefix) for problem in caught.value.problems)
        return [problem.removeprefix(prefix) for problem in caught.value.problems]

    return mistakes
