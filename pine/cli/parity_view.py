"""What a comparison found, as text and as a document."""

from typing import Any, Final

from pine.cli.columns import columns
from pine.core.times import isoformat, to_datetime
from pine.replay.around import bars_around
from pine.replay.cause import described
from pine.replay.parity import Verdict
from pine.replay.record import Record
from pine.replay.rows import Difference

_TIMES: Final = frozenset({"step", "start", "time", "entry_time", "exit_time"})
_ALWAYS: Final = frozenset({"source", "clock", "quiet filling", "lead", "sessions"})
_UNKNOWN: Final = "not known"
_SHOWN_BARS: Final = ("open", "high", "low", "close", "volume", "contract")


def text(verdict: Verdict) -> str:
    """Return the verdict, the first difference and why, what was compared, and the settings of both sides."""
    lines = [headline(verdict)]
    if verdict.first is not None and verdict.cause is not None:
        lines += ["", f"first difference: {described(verdict.first)}", f"cause: {verdict.cause.text}"]
        lines += _sides(verdict.first)
        lines += _around(verdict)
        later = [difference for difference in verdict.firsts if difference is not verdict.first]
        if later:
            lines += ["", "then, the first of each other table:", *(f"  {described(found)}" for found in later)]
    lines += ["", *_counts(verdict), "", *_settings(verdict)]
    return "\n".join(lines)


def headline(verdict: Verdict) -> str:
    """Return one line: same or different, what, and over which time."""
    pair = f"{verdict.left.facts.name} (left) and {verdict.right.facts.name} (right)"
    span = f"{isoformat(verdict.begin)} to {isoformat(verdict.end)}"
    rows = sum(count.left for count in verdict.tables)
    if verdict.same:
        allowed = "within the tolerances" if verdict.tolerances else "bit for bit"
        return f"SAME {allowed}: {pair}, {span}, {rows:,} rows of {len(verdict.tables)} tables"
    assert verdict.first is not None
    return f"DIFFERENT from {isoformat(verdict.first.step)} on: {pair}, {span}"


def document(verdict: Verdict) -> dict[str, Any]:
    """Return everything for ``--json``."""
    from attrs import asdict

    first, cause = verdict.first, verdict.cause
    return {
        "verdict": "same" if verdict.same else "different",
        "from": isoformat(verdict.begin),
        "to": isoformat(verdict.end),
        "left": _of_record(verdict.left),
        "right": _of_record(verdict.right),
        "first": None if first is None else _of_difference(first),
        "cause": None
        if cause is None
        else {
            "kind": cause.kind,
            "text": cause.text,
            "input": None if cause.input is None else _of_difference(cause.input),
        },
        "bars": [{"left": _row(left), "right": _row(right)} for left, right in bars_around(verdict)],
        "tables": [asdict(count) for count in verdict.tables],
        "columns": [asdict(count) for count in verdict.columns],
        "firsts": [_of_difference(difference) for difference in verdict.firsts],
        "settings": [{"name": name, "left": left, "right": right} for name, left, right in verdict.settings],
        "tolerances": dict(verdict.tolerances.by_name),
    }


def _of_record(record: Record) -> dict[str, Any]:
    facts = record.facts
    return {
        "name": facts.name,
        "strategy": facts.strategy,
        "symbols": list(facts.symbols),
        "from": isoformat(facts.begin),
        "to": isoformat(facts.end),
        "settings": facts.settings,
    }


def _of_difference(difference: Difference) -> dict[str, Any]:
    return {
        "table": difference.table,
        "step": isoformat(difference.step),
        "key": _row(difference.key),
        "columns": list(difference.columns),
        "left": _row(difference.left),
        "right": _row(difference.right),
        "text": described(difference),
    }


def _row(row: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else {name: _cell(name, value) for name, value in row.items()}


def _cell(name: str, value: Any) -> Any:
    return isoformat(value) if name in _TIMES and isinstance(value, int) else value


def _sides(first: Difference) -> list[str]:
    rows: list[tuple[str, ...]] = [("", "left", "right")]
    names = [*(first.left or first.right or {})]
    for name in names:
        mark = "≠" if name in first.columns else ""
        cells = (_said(name, side) for side in (first.left, first.right))
        rows.append((f"  {mark or ' '} {name}", *cells))
    return ["", *columns(rows, frozenset())]


def _said(name: str, row: dict[str, Any] | None) -> str:
    if row is None:
        return "missing"
    value = _cell(name, row[name])
    return "" if value is None else str(value)


def _around(verdict: Verdict) -> list[str]:
    pairs = bars_around(verdict)
    if not pairs:
        return []
    some = next(bar for pair in pairs for bar in pair if bar is not None)
    rows: list[tuple[str, ...]] = [("  start (UTC)", "side", *_SHOWN_BARS)]
    for left, right in pairs:
        start = f"  {to_datetime((left or right or {})['start']):%Y-%m-%d %H:%M}"
        if left is not None and right is not None and _values(left) == _values(right):
            rows.append((start, "both", *_values(left)))
            continue
        alone = "bars" not in verdict.left.tables or "bars" not in verdict.right.tables
        for side, bar in (("left", left), ("right", right)):
            if bar is not None:
                rows.append((start, side, *_values(bar)))
            elif not alone:
                rows.append((start, side, "missing", "", "", "", "", ""))
    return ["", f"{some['symbol']} {some['timeframe']} bars around it:", *columns(rows, frozenset(range(2, 7)))]


def _values(bar: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(bar[name]) for name in _SHOWN_BARS)


def _counts(verdict: Verdict) -> list[str]:
    rows: list[tuple[str, ...]] = [("compared", "left", "right", "only left", "only right")]
    rows += [
        (count.table, f"{count.left:,}", f"{count.right:,}", f"{count.only_left:,}", f"{count.only_right:,}")
        for count in verdict.tables
    ]
    lines = columns(rows, frozenset(range(1, 5)))
    wrong = [count for count in verdict.columns if count.differ]
    if wrong:
        rows = [("column", "rows", "differ", "largest difference")]
        rows += [
            (
                f"{count.table}.{count.column}",
                f"{count.compared:,}",
                f"{count.differ:,}",
                "" if count.largest is None else f"{count.largest:.10g}",
            )
            for count in wrong
        ]
        lines += ["", *columns(rows, frozenset(range(1, 4)))]
    return lines


def _settings(verdict: Verdict) -> list[str]:
    """Return what bars are made by, and whatever differs; the rest is counted."""
    left, right = (_flat(record.facts.settings) for record in (verdict.left, verdict.right))
    rows = [("settings", "left", "right")]
    alike = alone = 0
    for name in [*left, *(name for name in right if name not in left)]:
        a, b = left.get(name, _UNKNOWN), right.get(name, _UNKNOWN)
        if name.partition(".")[0] not in _ALWAYS and (a == b or _UNKNOWN in (a, b)):
            alike += a == b
            alone += a != b
            continue
        mark = "≠" if _UNKNOWN not in (a, b) and a != b else " "
        rows.append((f"{mark} {name}", a, b))
    more = f"  {alike} more are the same on both sides, {alone} are on record of one side only; --json shows them"
    return [*columns(rows, frozenset()), more]


def _flat(settings: dict[str, Any], place: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    if place == "sessions" and len(set(settings.values())) == 1:
        return {place: str(next(iter(settings.values())))}
    for name, value in settings.items():
        where = f"{place}.{name}" if place else name
        found |= _flat(value, where) if isinstance(value, dict) else {where: "" if value is None else str(value)}
    return found
