"""Why two records part: the earliest input that differs, or, where none does, what they were made with."""

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from pine.core.times import isoformat
from pine.replay.record import Record
from pine.replay.rows import Difference
from pine.replay.tables import SHAPES

NAMED: Final = 5
"""How many settings that differ a cause names; the table of settings has them all."""


@frozen
class Cause:
    """What a divergence comes from.

    Attributes
    ----------
    kind
        ``input`` (the two sides were not given the same), ``settings``, ``code``, or ``unknown``.
    text
        One sentence.
    input
        The earliest input that differs.
    """

    kind: str
    text: str
    input: Difference | None = None


def find_cause(
    left: Record, right: Record, firsts: Sequence[Difference], settings: Sequence[tuple[str, Any, Any]]
) -> Cause:
    """Return what the first divergence comes from.

    Parameters
    ----------
    left, right
        What was compared.
    firsts
        The first difference of each table, in event time.
    settings
        Settings that differ: name, left, right.
    """
    first = firsts[0]
    earliest = next((d for d in firsts if SHAPES[d.table].is_input and d.step <= first.step), None)
    if earliest is not None:
        text = f"the two sides were not given the same: {described(earliest)}"
        return Cause("input", text, earliest)
    given = _given(left, right)
    code = [setting for setting in settings if setting[0] == "code"]
    others = [setting for setting in settings if setting[0] not in ("code", "from", "to", "source")]
    others.sort(key=lambda setting: setting[0] != "type")  # another type has other parameters
    named = _named(others)
    if others:
        return Cause("settings", f"{given}; settings differ: {named}" + ("; so does the code" if code else ""))
    if code:
        return Cause("code", f"{given}, same settings; the code differs: {_named(code)}")
    if set(first.columns) == {"digest"}:
        return Cause("unknown", f"{given}, same values and decisions; one of them saw other bars than the other")
    return Cause("unknown", f"{given}; no setting that both know differs")


def _given(left: Record, right: Record) -> str:
    shared = [name for name, shape in SHAPES.items() if shape.is_input and name in left.tables and name in right.tables]
    return "same inputs" if "bars" in shared else "bars are on record on one side only"


def _named(settings: Sequence[tuple[str, Any, Any]]) -> str:
    # A hash says no more than what it is of, if that is told too.
    told = [setting for setting in settings if setting[0] != "config"] or settings
    more = f" and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return ", ".join(f"{name} {a} against {b}" for name, a, b in told[:NAMED]) + more


def described(difference: Difference) -> str:
    """Return a difference in one line."""
    what = f"{difference.table} at {isoformat(difference.step)}, {_key(difference)}"
    if difference.left is None or difference.right is None:
        return f"{what}: only on the {'right' if difference.left is None else 'left'}"
    if difference.table == "bars" and difference.columns == ("step",):
        early, late = sorted((difference.left["step"], difference.right["step"]))
        side = "left" if difference.left["step"] == late else "right"
        return f"{what}: came at {isoformat(late)} on the {side}, a step later than {isoformat(early)}"
    parts = [
        f"{column} {_shown(column, difference.left[column])} against {_shown(column, difference.right[column])}"
        for column in difference.columns
    ]
    return f"{what}: {', '.join(parts)}"


def _key(difference: Difference) -> str:
    return " ".join(_shown(name, value) for name, value in difference.key.items() if name != "step") or "the step"


def _shown(column: str, value: Any) -> str:
    if column in ("step", "start", "time", "entry_time", "exit_time") and isinstance(value, int):
        return isoformat(value)
    return "nothing" if value is None else str(value)
