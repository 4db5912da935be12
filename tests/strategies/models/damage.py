"""Ways to damage a model's files that keep everything else as it was."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Change what a JSON file holds, in place."""
    raw = orjson.loads(path.read_bytes())
    change(raw)
    path.write_bytes(orjson.dumps(raw))


def rehash(card_file: Path, model_file: Path) -> None:
    """Let the card say the hash that the model file has now."""
    found = hashlib.sha256(model_file.read_bytes()).hexdigest()
    edit(card_file, lambda raw: raw.update(model_hash=found))
