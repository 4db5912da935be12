"""Everything that must agree between two systems, given to a recorder as it happens."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import orjson
from attrs import define, field, frozen

from pine.core.bar import Bar
from pine.core.errors import PineError
from pine.core.times import isoformat
from pine.orders.entries import Fill, Intent, encode

Facts = Mapping[str, Any]


@frozen
class Decision:
    """What the strategy saw and asked at a step at which one of its bars closed.

    Attributes
    ----------
    step
        The boundary, ns.
    live
        Whether orders were possible.
    observed
        Values looked at, as in a flight record.
    features
        Values of the indicators behind them, by symbol; nothing where there are not enough bars yet.
    asked
        What was asked, and what the risk rules said, as ``decisions`` in a flight record.
    """

    step: int
    live: bool
    observed: tuple[Facts, ...]
    features: Mapping[str, Facts]
    asked: tuple[Facts, ...]


class Recorder(Protocol):
    """Takes what happens, in order. `step` is the boundary in ns at which it did."""

    def bar(self, step: int, bar: Bar) -> None:
        """Take a bar of any timeframe."""
        ...

    def event(self, step: int, kind: str, symbol: str, facts: Facts) -> None:
        """Take a ``roll`` or a ``reset``."""
        ...

    def entry(self, step: int, entry: Intent | Fill) -> None:
        """Take an intent or a fill; the profit or loss is in the fill that closes a position."""
        ...

    def decision(self, decision: Decision) -> None:
        """Take a decision step; what it led to was handed over before."""
        ...


@define
class MemoryRecorder:
    """Keeps everything; two of them are equal if everything happened alike."""

    bars: list[tuple[int, Bar]] = field(factory=list)
    events: list[tuple[int, str, str, Facts]] = field(factory=list)
    entries: list[tuple[int, Intent | Fill]] = field(factory=list)
    decisions: list[Decision] = field(factory=list)

    @property
    def intents(self) -> list[Intent]:
        """Intents in order."""
        return [entry for _, entry in self.entries if isinstance(entry, Intent)]

    @property
    def fills(self) -> list[Fill]:
        """Fills in order."""
        return [entry for _, entry in self.entries if isinstance(entry, Fill)]

    def bar(self, step: int, bar: Bar) -> None:
        """Keep a bar."""
        self.bars.append((step, bar))

    def event(self, step: int, kind: str, symbol: str, facts: Facts) -> None:
        """Keep an event."""
        self.events.append((step, kind, symbol, dict(facts)))

    def entry(self, step: int, entry: Intent | Fill) -> None:
        """Keep an intent or fill."""
        self.entries.append((step, entry))

    def decision(self, decision: Decision) -> None:
        """Keep a decision."""
        self.decisions.append(decision)


class JsonRecorder:
    """Writes one JSON object a line: ``kind``, ``step`` (ISO 8601), and what it is of.

    Parameters
    ----------
    path
        A new file; lines are complete after each decision and at the end.
    facts
        What the run is, for the first line.
    """

    def __init__(self, path: Path, facts: Facts) -> None:
        try:
            self._file: BinaryIO = path.open("xb")
        except OSError as error:
            raise PineError(f"record {path}: expected a file that can be made anew: {error.strerror}") from None
        self._file.write(orjson.dumps({"kind": "run", **facts}, option=orjson.OPT_APPEND_NEWLINE))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def bar(self, step: int, bar: Bar) -> None:
        """Write a bar."""
        self._write("bar", step, {"bar": bar.to_dict()})

    def event(self, step: int, kind: str, symbol: str, facts: Facts) -> None:
        """Write an event."""
        self._write(kind, step, {"symbol": symbol, **facts})

    def entry(self, step: int, entry: Intent | Fill) -> None:
        """Write an intent or a fill, as a ledger would have it."""
        self._write("entry", step, {"entry": orjson.Fragment(encode(entry))})
        self._file.flush()

    def decision(self, decision: Decision) -> None:
        """Write a decision."""
        facts = {name: getattr(decision, name) for name in ("live", "observed", "features", "asked")}
        self._write("decision", decision.step, facts)
        self._file.flush()

    def _write(self, kind: str, step: int, facts: Facts) -> None:
        self._file.write(
            orjson.dumps({"kind": kind, "step": isoformat(step), **facts}, option=orjson.OPT_APPEND_NEWLINE)
        )


@frozen
class Recorders:
    """Hands everything to several recorders."""

    parts: tuple[Recorder, ...]

    def bar(self, step: int, bar: Bar) -> None:
        """Hand on a bar."""
        for part in self.parts:
            part.bar(step, bar)

    def event(self, step: int, kind: str, symbol: str, facts: Facts) -> None:
        """Hand on an event."""
        for part in self.parts:
            part.event(step, kind, symbol, facts)

    def entry(self, step: int, entry: Intent | Fill) -> None:
        """Hand on an intent or fill."""
        for part in self.parts:
            part.entry(step, entry)

    def decision(self, decision: Decision) -> None:
        """Hand on a decision."""
        for part in self.parts:
            part.decision(decision)
