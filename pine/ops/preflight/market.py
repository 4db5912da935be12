"""Contracts with their last trade day, and when markets open and close."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import evolve

from pine.core.calendar import is_open, next_close, next_open
from pine.core.contract import Contract
from pine.core.expiry import last_trade_day
from pine.core.instruments import spec
from pine.core.times import to_datetime
from pine.ops.preflight.looks import Said, ok, skipped, warning

NEAR_DAYS: Final = 5

Lead = Callable[[str], tuple[Contract, str] | None]
"""Returns the contract that leads a root and how that is known, or nothing."""


def contracts(
    symbols: Iterable[str], leads: tuple[Lead, ...], present: Callable[[], int | None], near_days: int = NEAR_DAYS
) -> Iterator[Said]:
    """Tell which contract each root stands for now, and how long that trades.

    Parameters
    ----------
    symbols
        Roots.
    leads
        Who may know, in the order in which they are asked.
    present
        The instant in ns by which days are counted.
    near_days
        From how many days before its last on a contract is worth a warning.
    """
    unknown = []
    for symbol in symbols:
        known = next(filter(None, (lead(symbol) for lead in leads)), None)
        if known is None:
            unknown.append(symbol)
        else:
            yield evolve(_contract(*known, present(), near_days), name=symbol)
    if unknown:
        yield skipped(f"not known yet, the hub decides by the first session's volume: {', '.join(unknown)}")


def _contract(found: Contract, how: str, now: int | None, near_days: int) -> Said:
    last = last_trade_day(found)
    text = f"{found.symbol} ({found.traderspost}) leads {how}, last trade day {last}"
    if now is None:
        return ok(text)
    left = (last - to_datetime(now).date()).days
    if left < 0:
        return warning(f"{text} is over; run the hub, which decides the next one, before anything is entered")
    if left <= near_days:
        return warning(f"{text}, {_days(left)}; see that positions move to the next one in time")
    return ok(f"{text}, {_days(left)}")


def hours(group: str, present: Callable[[], int | None]) -> Iterator[Said]:
    """Tell when a group's market opens and closes next."""
    now = present()
    if now is None:
        yield skipped("by a tape's clock (hub.clock: tape), which has not begun")
        return
    close = next_close(group, now)
    if is_open(group, now):
        yield ok(f"open; closes {_shown(close)}, opens again {_shown(next_open(group, close))}")
    else:
        yield ok(f"closed; opens {_shown(next_open(group, now))}, closes {_shown(close)}")


def groups_of(symbols: tuple[str, ...]) -> list[str]:
    """Return the groups of trading hours of some roots, each once."""
    return list(dict.fromkeys(spec(symbol).group for symbol in symbols))


def _shown(ts: int) -> str:
    return f"{to_datetime(ts):%a %Y-%m-%d %H:%M} UTC"


def _days(left: int) -> str:
    return "today" if left == 0 else "tomorrow" if left == 1 else f"in {left} days"
