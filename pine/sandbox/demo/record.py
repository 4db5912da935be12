"""What must be the same in every run of one tape, whatever happened on the way."""

from collections.abc import Mapping
from typing import Final

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.core.config import Config
from pine.core.errors import SandboxError
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import to_ms
from pine.history.archive import Archive
from pine.history.manifest import Table

PER_STRATEGY: Final = (keys.ledger, keys.flight)
FENCE: Final = b"fence"
PER_RUN: Final = ("deliveries", "controls")
"""Tables whose entries are dated by the wall clock: each run has its own."""

Record = dict[str, list[tuple[str, dict[bytes, bytes]]]]
"""Entries by key, in order, without the writers' tokens; a hash has its fields as ids."""


def read_record(client: Client, config: Config, until: int) -> Record:
    """Return bars, volumes, clock, events, leads, ledgers and flights of a run, as far as its tape has them.

    After the tape time goes on with heartbeats for as long as the processes happen to live.

    Parameters
    ----------
    client, config
        The server that holds the run, and what it ran with.
    until
        Time in ns; the minute that holds it is left out.

    Raises
    ------
    SandboxError
        If the server holds a key that pine's key module does not declare.
    """
    undeclared = [key.decode() for key in client.scan_iter(count=1000) if not keys.is_declared(key.decode())]
    if undeclared:
        raise SandboxError(f"found keys that no module declares: {', '.join(sorted(undeclared))}")
    last = str((until // NS_PER_MINUTE - 1) * NS_PER_MINUTE // NS_PER_MS)
    names = [keys.CLOCK, keys.EVENTS]
    for symbol in config.instruments:
        names += [*(keys.bars(symbol, timeframe) for timeframe in Timeframe), keys.volume(symbol)]
    names += [kind(strategy) for strategy in config.strategies for kind in PER_STRATEGY]
    record: Record = {name: _entries(client, name, last) for name in names}
    for symbol in config.instruments:
        leads = sorted(client.hgetall(keys.lead(symbol)).items())
        record[keys.lead(symbol)] = [(start.decode(), {b"contract": contract}) for start, contract in leads]
    return record


def read_archive(archive: Archive, until: int) -> Record:
    """Return what the archive has of the sessions that ended before a time (ns), but for what each run has its own of.

    Raises
    ------
    SandboxError
        If a file is not what its manifest says.
    """
    wrong = archive.verify()
    if wrong:
        raise SandboxError(f"the archive is damaged: {wrong[0].path}: {wrong[0].what}, {len(wrong)} in all")
    record: Record = {}
    for table in archive.tables():
        slots = [part.slot for part in archive.manifest(table).parts if part.slot.end < until]
        if slots and table.kind not in PER_RUN:
            record[f"archive:{table.path}"] = _rows(archive, table, slots[0].begin, slots[-1].end)
    return record


def _rows(archive: Archive, table: Table, begin: int, end: int) -> list[tuple[str, dict[bytes, bytes]]]:
    if table.kind != "bars":
        return [(identifier, _unfenced(fields)) for identifier, fields in archive.entries(table, begin, end)]
    parts = dict(table.parts)
    bars = archive.bars(parts["symbol"], Timeframe(parts["timeframe"]), begin, end)
    return [(streams.entry_id(to_ms(bar.start)), {b"bar": bar.to_json()}) for bar in bars]


def _entries(client: Client, name: str, last: str) -> list[tuple[str, dict[bytes, bytes]]]:
    return [(identifier, _unfenced(fields)) for identifier, fields in streams.read_range(client, name, last=last)]


def _unfenced(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: value for key, value in fields.items() if key != FENCE}


def differences(left: Record, right: Record) -> list[str]:
    """Return, per key that differs, one line with the first entry that does; none if the records are equal."""
    found = []
    for name in sorted(left.keys() | right.keys()):
        ours, theirs = left.get(name, []), right.get(name, [])
        if ours != theirs:
            n = next(
                (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
            )
            found.append(
                f"{name}: {len(ours)} against {len(theirs)} entries, the first difference is number {n}: "
                f"{_shown(ours, n)} against {_shown(theirs, n)}"
            )
    return found


def _shown(entries: list[tuple[str, dict[bytes, bytes]]], n: int) -> str:
    if n >= len(entries):
        return "nothing"
    identifier, fields = entries[n]
    return f"{identifier} {b' '.join(fields.values()).decode(errors='replace')[:300]}"
