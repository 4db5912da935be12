"""The record of a run: what it saw and thought, as columns, with the settings it ran with; kept as a folder."""

import hashlib
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cattrs
import orjson
from attrs import asdict, evolve, field, frozen

from pine.bus.durable import put, sync
from pine.core.errors import DataError, PineError
from pine.core.times import isoformat
from pine.replay.tables import SHAPES, empty, schema

if TYPE_CHECKING:
    import polars as pl

VERSION: Final = 1
FACTS: Final = "run.json"


@frozen
class Facts:
    """What a record is of.

    Attributes
    ----------
    name
        What to call it: a run folder's name, a strategy's, a file.
    strategy
        Name of the strategy; empty where nobody knows.
    symbols
        Roots in the strategy's order.
    begin, end
        Steps ``begin < t <= end`` (ns) could decide, and every table holds all that there was of them.
    fed_from
        Bars and events are held from this step on (ns): warm-up comes before `begin`.
    settings
        Everything that can reach a decision, by name; nested. Empty where nobody knows.
    """

    name: str
    strategy: str
    symbols: tuple[str, ...]
    begin: int
    end: int
    fed_from: int
    settings: dict[str, Any] = field(factory=dict)


@frozen(eq=False)
class Record:
    """What one run saw and thought.

    Attributes
    ----------
    tables
        Some of `pine.replay.tables.SHAPES`, in order of time; what is not among them is not known.
    """

    facts: Facts
    tables: Mapping[str, "pl.DataFrame"]

    def table(self, name: str) -> "pl.DataFrame":
        """Return a table; one without rows where nothing is known."""
        found = self.tables.get(name)
        return empty(name) if found is None else found

    def equals(self, other: "Record") -> bool:
        """Tell whether both hold the same rows, bit for bit, and the same settings."""
        return (
            asdict(self.facts) == asdict(other.facts)
            and self.tables.keys() == other.tables.keys()
            and all(_bytes(frame) == _bytes(other.tables[name]) for name, frame in self.tables.items())
        )


def write(record: Record, folder: Path) -> Path:
    """Keep a record as a folder, whole or not at all; return it.

    Raises
    ------
    PineError
        If it cannot be written, or is there already.
    """
    half = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        if folder.exists():
            raise PineError(f"{folder}: is there already, expected a new folder")
        half.mkdir(parents=True)
        listed = {}
        for name, frame in record.tables.items():
            payload = _bytes(frame)
            put(half / f"{name}.parquet", payload)
            listed[name] = {"rows": frame.height, "sha256": hashlib.sha256(payload).hexdigest()}
        put(half / FACTS, _facts_json(record.facts, listed))
        half.rename(folder)
        sync(folder.parent)
    except OSError as error:
        raise PineError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return folder


def read(folder: Path) -> Record:
    """Read a record back; the counterpart of `write`, bit for bit.

    Raises
    ------
    PineError
        If there is none.
    DataError
        If a file is not what was written.
    """
    import polars as pl

    try:
        raw = orjson.loads((folder / FACTS).read_bytes())
        if raw["version"] != VERSION:
            raise DataError(f"{folder / FACTS}: found version {raw['version']!r}, expected {VERSION}")
        facts = cattrs.structure(raw["facts"], Facts)
        tables = {}
        for name, said in raw["tables"].items():
            payload = (folder / f"{name}.parquet").read_bytes()
            found = hashlib.sha256(payload).hexdigest()
            if found != said["sha256"]:
                raise DataError(f"{folder / name}.parquet: found sha256 {found}, expected {said['sha256']}")
            tables[name] = pl.read_parquet(io.BytesIO(payload))
            if name not in SHAPES or tables[name].schema != schema(name):
                raise DataError(f"{folder / name}.parquet: found columns that no record has")
    except OSError as error:
        raise PineError(f"{folder}: found no run folder ({error.strerror}: {error.filename})") from None
    except (KeyError, TypeError, AttributeError, ValueError, cattrs.BaseValidationError) as error:
        raise DataError(f"{folder / FACTS}: cannot be read: {type(error).__name__}: {error}") from None
    return Record(facts, tables)


def read_named(folder: Path) -> Record:
    """Read a record back under its folder's name, to tell it from others of its strategy."""
    record = read(folder)
    return evolve(record, facts=evolve(record.facts, name=folder.absolute().name))


def is_run(path: Path) -> bool:
    """Tell whether a path is a run folder."""
    return (path / FACTS).is_file()


def _facts_json(facts: Facts, listed: Mapping[str, object]) -> bytes:
    document = {
        "version": VERSION,
        "from": isoformat(facts.begin),
        "to": isoformat(facts.end),
        "facts": asdict(facts),
        "tables": listed,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _bytes(frame: "pl.DataFrame") -> bytes:
    sink = io.BytesIO()
    frame.rechunk().write_parquet(sink)
    return sink.getvalue()
