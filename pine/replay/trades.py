"""Finished trades of a record: each exit with the entry that it closed."""

from typing import TYPE_CHECKING, Any

from pine.replay.record import Record
from pine.replay.tables import schema

if TYPE_CHECKING:
    import polars as pl


def trades_of(record: Record) -> "pl.DataFrame":
    """Return the trades that a run finished, in order of their exits; profits in dollars after commissions."""
    import polars as pl

    reasons = dict(record.table("intents").select("id", "reason").iter_rows())
    voided = _voided(record)
    opened: dict[str, dict[str, Any]] = {}
    rows: list[tuple[Any, ...]] = []
    for fill in record.table("fills").iter_rows(named=True):
        if fill["pnl"] is None:
            opened[fill["symbol"]] = fill
            continue
        entry = opened.pop(fill["symbol"], None)
        if entry is None or entry["intent"] in voided:
            continue
        rows.append(
            (
                fill["step"],
                fill["symbol"],
                entry["side"],
                fill["quantity"],
                entry["time"],
                entry["price"],
                fill["time"],
                fill["price"],
                fill["pnl"],
                reasons.get(fill["intent"]),
            )
        )
    return pl.DataFrame(rows, schema=schema("trades"), orient="row")


def _voided(record: Record) -> set[str]:
    """Return the entries that were taken back, whose trades never were."""
    from pine.orders.entries import Void, decode

    found = (decode(payload.encode()) for payload in record.table("requests")["payload"])
    return {entry.intent for entry in found if isinstance(entry, Void)}
