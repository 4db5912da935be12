"""What somebody should know who reads the figures of a run."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pine.core.instruments import is_generated
from pine.core.times import parse_time

if TYPE_CHECKING:
    from pine.replay.record import Record
    from pine.strategies.judge import Standards


def notes_of(standards: "Standards", record: "Record") -> tuple[str, ...]:
    """Return what was not entered for want of a model, and what the figures do not show, a line each."""
    return tuple(_notes(standards, record))


def _notes(standards: "Standards", record: "Record") -> Iterator[str]:
    fleet = standards.fleet
    for symbol in fleet.problems:
        yield f"{symbol} is not entered: {fleet.refusal(symbol)}"
    seen = [
        symbol
        for symbol, model in fleet.models.items()
        if parse_time(model.card.trained_from) < record.facts.end
        and record.facts.begin < parse_time(model.card.trained_to)
    ]
    if seen:
        yield f"the models of {', '.join(seen)} were trained on a part of this time: they know its outcomes"
    if any(map(is_generated, record.table("bars")["instrument_id"].unique())):
        yield "this market is generated: the figures say nothing of a real one"
