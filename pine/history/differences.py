"""Recorded bars beside those that there were: which are equal, and which value of which bar differs. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from attrs import evolve, frozen

from pine.core.bar import Bar, fold
from pine.core.period import SessionRule, period
from pine.core.timeframe import Timeframe
from pine.history.answer import Held
from pine.history.manifest import holds

FIELDS: Final = ("open", "high", "low", "close", "volume", "contract_symbol", "instrument_id")

Kind = Literal["lead", "contract", "missing", "extra", "different", "not recorded"]
"""What is wrong: the session's lead; a bar of another contract; no bar where the vendor has one; one where it has
none; another value; no bar where the hub itself says that it has not recorded everything."""


@frozen
class Mismatch:
    """One value that is not the vendor's.

    Attributes
    ----------
    start
        Start of the bar, in ns; of a lead that of the session.
    field
        Which value; of a whole bar ``bar``.
    recorded, vendor
        Both values; nothing where there is none.
    late
        Whether trades that came too late for their minute can be the reason.
    """

    timeframe: Timeframe
    start: int
    kind: Kind
    field: str
    recorded: float | int | str | None
    vendor: float | int | str | None
    late: bool = False


@frozen
class Count:
    """How the bars of one length compare.

    Attributes
    ----------
    quiet
        Flat bars of minutes without trades among the equal ones, which the vendor does not have.
    """

    recorded: int = 0
    vendor: int = 0
    equal: int = 0
    quiet: int = 0


def compare(timeframe: Timeframe, held: Held, vendor: Sequence[Bar], contract: str) -> tuple[Count, list[Mismatch]]:
    """Compare bars of one length.

    Parameters
    ----------
    timeframe, held
        What was recorded; where it is not covered a bar that is not there is ``not recorded``, else ``missing``.
    vendor
        What there was, in order.
    contract
        Of which all bars should be.
    """
    mine, theirs = ({bar.start: bar for bar in bars} for bars in (held.bars, vendor))
    found: list[Mismatch] = []
    equal = quiet = 0
    for start in sorted({*mine, *theirs}):
        one, other = mine.get(start), theirs.get(start)
        if one == other:
            equal += 1
            quiet += timeframe is Timeframe.MINUTE and one is not None and one.volume == 0
        else:
            found += _wrong(timeframe, start, one, other, contract, known=holds(held.covered, start))
    flat = sum(bar.volume == 0 for bar in vendor) if timeframe is Timeframe.MINUTE else 0
    return Count(len(mine), len(theirs) - flat, equal, quiet), found


def _wrong(
    timeframe: Timeframe, start: int, one: Bar | None, other: Bar | None, contract: str, *, known: bool
) -> Iterator[Mismatch]:
    if one is None:
        assert other is not None
        yield Mismatch(timeframe, start, "missing" if known else "not recorded", "bar", None, other.volume, known)
        return
    if other is None:
        yield Mismatch(timeframe, start, "extra", "bar", one.volume, None)
        return
    kind: Kind = "different" if known or timeframe is Timeframe.MINUTE else "not recorded"
    if one.contract_symbol != contract:
        kind = "contract"
    late = kind == "different" and is_part(one, other)
    for name in FIELDS:
        a, b = getattr(one, name), getattr(other, name)
        if a != b:
            yield Mismatch(timeframe, start, kind, name, a, b, late)


def is_part(one: Bar, other: Bar) -> bool:
    """Tell whether a bar can be that of some of the trades of another: what late trades leave of it."""
    return (
        one.contract_symbol == other.contract_symbol
        and one.volume < other.volume
        and other.low <= one.low
        and one.high <= other.high
    )


def with_quiet(vendor: Sequence[Bar], recorded: Sequence[Bar]) -> list[Bar]:
    """Return the vendor's minutes with a flat one wherever the record has one without volume and the vendor has none.

    It stands at the vendor's own last close before: a recorded one that stands elsewhere is different.
    """
    starts = [bar.start for bar in vendor]
    there = set(starts)
    flat = []
    for bar in recorded:
        if bar.volume or bar.start in there:
            continue
        at = bisect_right(starts, bar.start) - 1
        last = vendor[at] if at >= 0 else bar
        price = last.close
        flat.append(evolve(last, start=bar.start, open=price, high=price, low=price, close=price, volume=0))
    return sorted([*vendor, *flat], key=lambda bar: bar.start)


def folded(minutes: Sequence[Bar], timeframe: Timeframe, rule: SessionRule) -> list[Bar]:
    """Return the hours or days of minutes."""
    of: dict[int, list[Bar]] = {}
    for bar in minutes:
        of.setdefault(period(timeframe, bar.start, rule).start, []).append(bar)
    return [fold(bars, timeframe, start) for start, bars in sorted(of.items())]
