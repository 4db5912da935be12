"""Mistakes in a configuration, collected by place and told all together."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pine.core.config.document import Document
from pine.core.config.document import Path as Where
from pine.core.config.quoted import shortened
from pine.core.config.secret import masked
from pine.core.errors import ConfigError


class Problems:
    """Collects mistakes by place, so that they can be told in the order of the file."""

    def __init__(self, file: Path, document: Document) -> None:
        self._file = file
        self._document = document
        self._found: dict[tuple[Where, str], int] = {}
        self._unset: list[Where] = []

    def add(self, where: Where, message: str) -> None:
        """Note a mistake, unless it only follows from a variable that is not set."""
        if not any(where[: len(unset)] == unset for unset in self._unset):
            self._found[(where, message)] = self._document.line(where)

    def holders(self) -> set[Where]:
        """Return every place inside which a mistake was noted so far."""
        return {where[:n] for where, _ in self._found for n in range(len(where))}

    def unset(self, where: Where, variable: str) -> None:
        """Note a variable that is not set."""
        text = f"environment variable {variable} is not set; set it or write ${{{variable}:-default}}"
        self.add(where, text)
        self._unset.append(where)

    def raise_if_any(self) -> None:
        """Raise `ConfigError` with every mistake noted so far, in the order of the file."""
        if self._found:
            ordered = sorted(self._found.items(), key=lambda item: item[1])
            # A secret may have been pasted anywhere, also as the name of a setting.
            raise ConfigError(
                [f"{self._file}:{line}: {masked(dotted(where))}: {masked(text)}" for (where, text), line in ordered]
            )


def dotted(where: Where) -> str:
    """Return a path as people write it: ``strategies.ibs_a.webhook``."""
    return ".".join(shortened(str(step)) for step in where) or "(file)"


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the complaint about a name that is not among the known ones, with the nearest of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return (
        f"unknown {what}{hint} Allowed: {', '.join(known)}" if near else f"unknown {what}, allowed: {', '.join(known)}"
    )


def dig(raw: Any, where: Where) -> Any:
    """Return what stands at a path in nested settings, or nothing."""
    for step in where:
        if not isinstance(raw, dict):
            return None
        raw = raw.get(step)
    return raw


def names(raw: Any, where: Where) -> list[str]:
    """Return the names in a list or mapping at a path."""
    found = dig(raw, where)
    return [name for name in found if isinstance(name, str)] if isinstance(found, dict | list) else []
