"""How old data is, judged by the market's hours: silence in a closed market is healthy."""

from collections.abc import Callable, Iterable
from typing import Final

from attrs import frozen

from pine.core.calendar import open_since
from pine.core.timeframe import NS_PER_SECOND

STALE_SECONDS: Final = 120
"""Silence for longer than this in an open market is wrong; one that is alive speaks every few seconds."""

OpenSince = Callable[[str, int], int | None]


@frozen
class DataAge:
    """What there is to know of data at a moment.

    Attributes
    ----------
    age_s
        Seconds since the newest trade; nothing if there was none, or its age says nothing.
    silent_s
        Seconds without a trade while one could have come: since the newest one, the market's opening, or the beginning
        of the watch, whichever is latest; nothing in a closed market.
    market_open
        Whether any of the markets is open.
    """

    age_s: float | None
    silent_s: float | None
    market_open: bool

    def is_fresh(self, limit_s: float = STALE_SECONDS) -> bool:
        """Tell whether the data is as new as it should be, or the market is closed."""
        return self.silent_s is None or self.silent_s <= limit_s


def data_age(
    newest: int | None, now: int, groups: Iterable[str], since: int = 0, opened: OpenSince = open_since
) -> DataAge:
    """Judge the newest trade of some markets.

    Parameters
    ----------
    newest
        When it was, in ns; nothing if there was none.
    now
        The present, in ns.
    groups
        Trading hours of the markets.
    since
        When somebody began to wait for trades, in ns.
    opened
        Tells since when a group's market is open; by default with holidays, for which something heavy is imported.
    """
    age = None if newest is None else max(now - newest, 0) / NS_PER_SECOND
    begun = [at for group in groups if (at := opened(group, now)) is not None]
    if not begun:
        return DataAge(age, None, market_open=False)
    silent = max(now - max(newest or 0, min(begun), since), 0) / NS_PER_SECOND
    return DataAge(age, silent, market_open=True)
