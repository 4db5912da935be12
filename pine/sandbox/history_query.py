"""What a client asks of Databento's Historical API, read as the vendor reads it."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from attrs import frozen

from pine.core.errors import PineError
from pine.core.timeframe import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_SECOND
from pine.core.times import isoformat, parse_time
from pine.sandbox.records import RTYPES
from pine.sandbox.symbology import STYPES

DOCS: Final = "https://databento.com/docs/api-reference-historical/basics"
MAX_SYMBOLS: Final = 2000

_RESOLUTIONS: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d"), NS_PER_DAY),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d"), NS_PER_HOUR),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d"), NS_PER_MINUTE),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"), NS_PER_SECOND),
)


class Refusal(PineError):
    """A request that is not served.

    Parameters
    ----------
    status
        HTTP status.
    case, message
        What the client's exception shows.
    payload
        Further facts, for programs.
    """

    def __init__(self, status: int, case: str, message: str, payload: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "detail": {
                "case": case,
                "message": message,
                "status_code": status,
                "docs": DOCS,
                "payload": None if payload is None else dict(payload),
            }
        }


@frozen
class Query:
    """A question for data, or for the size or the price of it.

    Attributes
    ----------
    begin, end
        Range in ns, the end exclusive.
    limit
        Most records wanted.
    """

    dataset: str
    schema: str
    stype: str
    symbols: tuple[str, ...]
    begin: int
    end: int
    limit: int | None


@frozen
class Resolution:
    """A question what symbols stand for, over UTC days, the last exclusive."""

    dataset: str
    stype_in: str
    stype_out: str
    symbols: tuple[str, ...]
    first: date
    last: date


def parse_query(fields: Mapping[str, str]) -> Query:
    """Read the form of ``timeseries.get_range`` and of its companions in ``metadata``.

    Raises
    ------
    Refusal
        If a field is missing, or is not one that the vendor knows.
    """
    schema = _required(fields, "schema")
    if schema not in RTYPES:
        raise Refusal(422, "validation_failed", f"schema: found '{schema}', expected one of {', '.join(RTYPES)}")
    if (stype_out := fields.get("stype_out", "instrument_id")) != "instrument_id":
        raise Refusal(422, "symbology_invalid_request", f"stype_out: found '{stype_out}', expected instrument_id")
    limit = fields.get("limit")
    if limit is not None and not (limit.isdecimal() and int(limit) > 0):
        raise Refusal(422, "validation_failed", f"limit: found '{limit}', expected a whole number above 0")
    begin = _required(fields, "start")
    start, end = _time("start", begin), fields.get("end")
    until = _forward(begin, start) if end is None else _time("end", end)
    if start >= until:
        raise Refusal(
            422,
            "data_time_range_start_on_or_after_end",
            f"Invalid time range query, `start` {isoformat(start)} cannot be on or after `end` {isoformat(until)}.",
        )
    return Query(
        _required(fields, "dataset"),
        schema,
        _stype(fields, "stype_in", STYPES),
        _symbols(fields),
        start,
        until,
        None if limit is None else int(limit),
    )


def parse_resolution(fields: Mapping[str, str]) -> Resolution:
    """Read the form of ``symbology.resolve``.

    Raises
    ------
    Refusal
        If a field is missing, or is not one that the vendor knows.
    """
    first = _date("start_date", _required(fields, "start_date"))
    last = fields.get("end_date")
    until = first + timedelta(days=1) if last is None else _date("end_date", last)
    if first >= until:
        raise Refusal(
            422,
            "data_time_range_start_on_or_after_end",
            f"Invalid date range query, `start_date` {first} cannot be on or after `end_date` {until}.",
        )
    return Resolution(
        _required(fields, "dataset"),
        _stype(fields, "stype_in", STYPES),
        _stype(fields, "stype_out", ("instrument_id", "raw_symbol")),
        _symbols(fields),
        first,
        until,
    )


def _required(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise Refusal(422, "validation_failed", f"{name}: field required")
    return fields[name]


def _symbols(fields: Mapping[str, str]) -> tuple[str, ...]:
    symbols = tuple(symbol for symbol in fields.get("symbols", "ALL_SYMBOLS").split(",") if symbol)
    if not 0 < len(symbols) <= MAX_SYMBOLS:
        raise Refusal(422, "symbology_invalid_request", f"found {len(symbols)} symbols, expected 1 to {MAX_SYMBOLS}")
    return symbols


def _stype(fields: Mapping[str, str], name: str, known: tuple[str, ...]) -> str:
    stype = fields.get(name, "raw_symbol")
    if stype not in known:
        raise Refusal(422, "symbology_invalid_request", f"{name}: found '{stype}', expected one of {', '.join(known)}")
    return stype


def _time(name: str, text: str) -> int:
    try:
        return int(text) if text.isdecimal() else parse_time(text)
    except ValueError:
        raise Refusal(422, "validation_failed", f"{name}: found '{text}', expected ISO 8601 or nanoseconds") from None


def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(422, "validation_failed", f"{name}: found '{text}', expected YYYY-MM-DD") from None


def _forward(text: str, start: int) -> int:
    """Return the end of what a start names: of its day, hour, minute or second."""
    for pattern, length in _RESOLUTIONS:
        if pattern.fullmatch(text):
            return start + length
    raise Refusal(422, "validation_failed", f"end: field required for a start as exact as '{text}'")
