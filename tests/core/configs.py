"""What the tests of the configuration share."""

from collections.abc import Callable
from pathlib import Path

from pine.core.config import Config

Load = Callable[..., Config]

PAIR = "instruments:\n  ES:\nstrategies:\n  a:\n    type: ibs\n    instruments: [ES]\n"


def write(folder: Path, text: str) -> Path:
    """Write a configuration into a folder and return its path."""
    (folder / "pine.yaml").write_text(text, encoding="utf-8")
    return folder / "pine.yaml"
