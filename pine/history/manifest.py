"""What a table of the archive holds: its sessions, each with its file, hash, coverage and origin of rows."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from attrs import evolve, field, frozen

from pine.core.errors import ArchiveError
from pine.core.period import SessionRule, session, session_begin
from pine.core.timeframe import Timeframe
from pine.core.times import to_datetime

SCHEMA_VERSION: Final = 1

BARS: Final = ("bars", "vendor_bars")
"""Kinds of tables of bars: those that a root had, and those that Databento has of a contract, to compare with."""

Interval = tuple[int, int]
"""From, and up to but without, in ns since 1970."""


@frozen(order=True)
class Table:
    """One kind of content of one symbol or strategy.

    Attributes
    ----------
    kind
        ``bars``, ``volumes``, ``leads``, ``events``, ``clock``, ``ledgers``, ``flights``, ``warmups``,
        ``deliveries``, ``controls``; ``vendor_bars`` and ``vendor_volumes`` for what was bought to compare with.
    parts
        What its folder says besides, as ``(("symbol", "ES"), ("timeframe", "1min"))``.
    """

    kind: str
    parts: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        """Folder of its files: ``bars/symbol=ES/timeframe=1min``."""
        return "/".join([self.kind, *(f"{name}={value}" for name, value in self.parts)])

    @property
    def manifest(self) -> str:
        """Path of its manifest."""
        return f"manifest/{self.path}.json"

    @classmethod
    def of_manifest(cls, path: str) -> "Table":
        """Return the table whose manifest has this path."""
        kind, *parts = path.removeprefix("manifest/").removesuffix(".json").split("/")
        return cls(kind, tuple((name, value) for name, _, value in (part.partition("=") for part in parts)))


def bars_table(symbol: str, timeframe: Timeframe) -> Table:
    """Return the table of a root's bars of one length."""
    return Table("bars", (("symbol", symbol), ("timeframe", timeframe.value)))


def vendor_bars_table(symbol: str, contract: str) -> Table:
    """Return the table of the minutes that Databento has of a contract, to compare with; never a root's record."""
    return Table("vendor_bars", (("symbol", symbol), ("contract", contract), ("timeframe", "1min")))


def bars_of(table: Table) -> tuple[str, Timeframe]:
    """Return the root and the length of the bars that a table holds."""
    parts = dict(table.parts)
    return parts["symbol"], Timeframe(parts["timeframe"])


@frozen
class Slot:
    """One session of a table, ``begin <= t < end``, in ns, and the path of its file inside the archive."""

    begin: int
    end: int
    file: str


@frozen
class Content:
    """A session's file as the manifest describes it.

    Attributes
    ----------
    rows
        How many; a session without any has no file.
    first_id, last_id
        Stream ids of the first and last row.
    sha256
        Of the file, in hexadecimal.
    covered
        When all that happened is known to be here: rows, or that there were none.
    sealed_to
        Last stream entry that went in when the session was sealed from the streams; nothing if none did.
    sources
        Rows by where they came from; of bars only.
    """

    rows: int = 0
    first_id: str | None = None
    last_id: str | None = None
    sha256: str | None = None
    covered: tuple[Interval, ...] = ()
    sealed: bool = False
    sealed_to: str | None = None
    sources: Mapping[str, int] = field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {
            "rows": self.rows,
            "first_id": self.first_id,
            "last_id": self.last_id,
            "sha256": self.sha256,
            "covered": self.covered,
            "sealed": self.sealed,
            "sealed_to": self.sealed_to,
            "sources": dict(sorted(self.sources.items())),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Content":
        """Build the content from its fields; the counterpart of `to_dict`."""
        covered = tuple((int(begin), int(end)) for begin, end in raw["covered"])
        return cls(**{**raw, "covered": covered})


@frozen
class Part:
    """One session of a table in the manifest.

    Attributes
    ----------
    content
        What its file is.
    following
        What it is about to become: written down before a file is replaced, so that at any moment the file is
        one of the two.
    """

    slot: Slot
    content: Content
    following: Content | None = None
    schema: int = SCHEMA_VERSION


@frozen
class Manifest:
    """The sessions of one table, in order of time; they do not overlap."""

    table: Table
    parts: tuple[Part, ...] = ()

    @classmethod
    def read(cls, table: Table, payload: bytes | None) -> "Manifest":
        """Read a manifest; one that is not there is empty.

        Raises
        ------
        ArchiveError
            If it cannot be read, or is of another version.
        """
        if payload is None:
            return cls(table)
        try:
            raw = orjson.loads(payload)
            version = raw["version"]
            if version == SCHEMA_VERSION:
                return cls(table, tuple(_part(item) for item in raw["sessions"]))
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"archive {table.manifest}: cannot be read: {error!r}") from None
        raise ArchiveError(f"archive {table.manifest}: found version {version!r}, expected {SCHEMA_VERSION}")

    def encode(self) -> bytes:
        """Return the manifest as JSON; the same for the same content."""
        sessions = []
        for part in self.parts:
            slot = {"begin": part.slot.begin, "end": part.slot.end, "file": part.slot.file, "schema": part.schema}
            following = {} if part.following is None else {"following": part.following.to_dict()}
            sessions.append({**slot, **part.content.to_dict(), **following})
        document = {
            "version": SCHEMA_VERSION,
            "table": self.table.kind,
            **dict(self.table.parts),
            "sessions": sessions,
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def with_parts(self, parts: Iterable[Part]) -> "Manifest":
        """Return a manifest in which some sessions are put in or replaced."""
        known = {part.slot.begin: part for part in self.parts} | {part.slot.begin: part for part in parts}
        return evolve(self, parts=tuple(known[begin] for begin in sorted(known)))

    def part(self, slot: Slot) -> Part | None:
        """Return a session's entry, if it has one."""
        return next((part for part in self.parts if part.slot == slot), None)

    @property
    def sealed_until(self) -> int | None:
        """End in ns of the latest session that was sealed from the streams."""
        return max((part.slot.end for part in self.parts if part.content.sealed), default=None)

    @property
    def sealed_to(self) -> str | None:
        """Newest stream entry that is in the archive."""
        ids = (part.content.sealed_to for part in reversed(self.parts))
        return next((identifier for identifier in ids if identifier is not None), None)

    def slot_at(self, ts: int, rule: SessionRule) -> Slot:
        """Return the session that holds an instant, in ns: as it is in the archive already, or by the rule.

        Where the rule was changed in between, the first new session begins where the last old one ended.
        """
        begin, end = session_begin(ts, rule), session(ts, rule).end
        for part in self.parts:
            if part.slot.begin <= ts < part.slot.end:
                return part.slot
            if part.slot.end <= ts:
                begin = max(begin, part.slot.end)
            else:
                end = min(end, part.slot.begin)
        last = to_datetime(end - 1)
        name = f"{last:%Y-%m-%d}"
        if any(part.slot.file.endswith(f"/{name}.parquet") for part in self.parts):
            name += f"T{to_datetime(end):%H}"
        return Slot(begin, end, f"{self.table.path}/month={last:%Y-%m}/{name}.parquet")


def _part(raw: dict[str, Any]) -> Part:
    slot = Slot(raw.pop("begin"), raw.pop("end"), raw.pop("file"))
    schema = raw.pop("schema")
    following = raw.pop("following", None)
    return Part(slot, Content.from_dict(raw), None if following is None else Content.from_dict(following), schema)


def joined(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return intervals in order, those that touch or overlap made one."""
    result: list[Interval] = []
    for begin, end in sorted(intervals):
        if begin >= end:
            continue
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((begin, end))
    return tuple(result)


def without(intervals: Iterable[Interval], holes: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return intervals with holes cut out of them."""
    left = joined(intervals)
    for first, last in joined(holes):
        left = tuple(
            piece
            for begin, end in left
            for piece in ((begin, min(end, first)), (max(begin, last), end))
            if _some(piece)
        )
    return left


def clipped(intervals: Iterable[Interval], begin: int, end: int) -> tuple[Interval, ...]:
    """Return what of some intervals lies between two times."""
    return joined((max(a, begin), min(b, end)) for a, b in intervals)


def holds(intervals: Iterable[Interval], ts: int) -> bool:
    """Tell whether an instant, in ns, lies in one of some intervals."""
    return any(begin <= ts < end for begin, end in intervals)


def common(one: Iterable[Interval], other: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return what lies in some intervals and in others too."""
    known = joined(one)
    return joined(piece for begin, end in joined(other) for piece in clipped(known, begin, end))


def _some(interval: Interval) -> bool:
    return interval[0] < interval[1]
