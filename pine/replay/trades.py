"""Finished trades of a record: each exit with the entry that it closed."""

from typing import TYPE_CHECKING

from pine.orders.entries import Correction, Fill, Void, decode
from pine.orders.trades import Blotter
from pine.replay.record import Record
from pine.replay.tables import schema

if TYPE_CHECKING:
    import polars as pl


def blotter_of(record: Record) -> Blotter:
    """Return the trades of a run and what it held at its end; reasons are not known here."""
    return Blotter.of(entry for _, _, entry in sorted(_entries(record), key=lambda found: found[:2]))


def trades_of(record: Record) -> "pl.DataFrame":
    """Return the trades that a run finished, in order of their exits; profits in dollars after commissions."""
    import polars as pl

    reasons = dict(record.table("intents").select("id", "reason").iter_rows())
    steps = dict(record.table("fills").select("intent", "step").iter_rows())
    rows = [
        (
            steps.get(trade.exit, trade.left),
            trade.symbol,
            trade.side,
            trade.quantity,
            trade.entered,
            trade.entry_price,
            trade.left,
            trade.exit_price,
            trade.pnl,
            reasons.get(trade.exit, trade.exit_reason or None),
        )
        for trade in blotter_of(record).trades
    ]
    return pl.DataFrame(rows, schema=schema("trades"), orient="row")


def _entries(record: Record) -> list[tuple[int, int, Fill | Void | Correction]]:
    """Return what makes trades, with step and place: requests are booked after what a step led to."""
    fills = [(row.pop("step"), n, Fill(**row)) for n, row in enumerate(record.table("fills").iter_rows(named=True))]
    asked = [
        (step, len(fills) + n, decode(payload.encode()))
        for n, (step, payload) in enumerate(record.table("requests").select("step", "payload").iter_rows())
    ]
    return fills + [(step, n, entry) for step, n, entry in asked if isinstance(entry, Void | Correction)]
