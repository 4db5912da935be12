"""The source of what scores: read before it is imported, so that it is what the process runs."""

import hashlib
import importlib.util
import sys
from pathlib import Path


def source_digest(module: str) -> bytes:
    """Return a hash over every Python file of a module, or of the package that holds it; empty if it has none.

    Nothing of it is imported. As for a strategy (docs/strategies.md), a helper beside the module is not covered.
    """
    digest = hashlib.sha256()
    files = [(folder, path) for folder, paths in _files(module.partition(".")[0]) for path in paths]
    for folder, path in files:
        for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest() if files else b""


def _files(top: str) -> list[tuple[Path, list[Path]]]:
    """Return the Python files of a top-level module, and the folder of each."""
    origin, folders = _place(top)
    if folders:
        return [(Path(folder), sorted(Path(folder).rglob("*.py"))) for folder in folders]
    return [(Path(origin).parent, [Path(origin)])] if origin else []


def _place(top: str) -> tuple[str | None, list[str]]:
    """Return the file of a top-level module, or the folders of a package."""
    loaded = sys.modules.get(top)
    if loaded is not None:
        return getattr(loaded, "__file__", None), list(getattr(loaded, "__path__", []))
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None, []
    return spec.origin if spec.has_location else None, list(spec.submodule_search_locations or [])
