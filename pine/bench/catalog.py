"""The rows, by name; each is imported when it is asked for."""

import difflib
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from pine.bench.row import BenchError, Row

PLACES: Final = {
    "live": "live:ROW",
    "bulk": "bulk:ROW",
    "decision": "decision:ROW",
    "steps": "steps:ROW",
    "replay": "replay:HOURLY",
    "replay-minutely": "replay:MINUTELY",
    "cores": "cores:ROW",
    "restart": "restart:ROW",
    "archive": "archive:ROW",
    "memory": "memory:ROW",
    "help": "startup:HELP",
    "status": "startup:STATUS",
}
SCALES: Final = ("scale-symbols", "scale-strategies")
"""Tables of how cost grows; run only if they are named."""


def rows(names: Sequence[str] = ()) -> list[Row]:
    """Return the rows of some names, in the order of the catalog, or all.

    Raises
    ------
    BenchError
        If a name is not known.
    """
    known = (*PLACES, *SCALES)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise BenchError(f"bench {name!r}: not known; {hint}there are {', '.join(known)}")
    return [_row(place) for name, place in PLACES.items() if not names or name in names]


def _row(place: str) -> Row:
    module, _, name = place.partition(":")
    found: Row = getattr(import_module(f"pine.bench.rows.{module}"), name)
    return found
