"""Whether a gateway that answers also delivers: the socket may be alive and the data frozen."""

from collections.abc import Callable, Iterable
from typing import Final

from attrs import define

from pine.core.timeframe import NS_PER_SECOND

LONGEST_S: Final = 3600.0

IsOpen = Callable[[str, int], bool]


@define
class FrozenData:
    """Judges silence by the market's hours; the limit doubles while new connections bring nothing either.

    Parameters
    ----------
    limit_s
        Seconds without any trade in an open market after which a connection is given up; none never does.
    groups
        Trading hours of the configured roots.
    is_open
        The calendar.
    """

    limit_s: float | None
    groups: Iterable[str]
    is_open: IsOpen
    _patience: float = 0.0
    _trades: int = 0
    _since: float = 0.0

    def __attrs_post_init__(self) -> None:
        self._patience = self.limit_s or 0.0

    def connected(self, monotonic: float) -> None:
        """Start to count anew."""
        self._since = monotonic

    def reason(self, trades: int, now: int, monotonic: float) -> str | None:
        """Return why the data counts as frozen, or nothing.

        Parameters
        ----------
        trades
            Trades that have arrived so far.
        now
            Wall time in ns.
        monotonic
            Seconds from any origin.
        """
        if self.limit_s is None:
            return None
        if trades != self._trades:
            self._trades, self._since, self._patience = trades, monotonic, self.limit_s
            return None
        silent = monotonic - self._since
        if silent <= self._patience or not self._open_throughout(now, silent):
            return None
        self._patience = min(self._patience * 2, LONGEST_S)
        return f"no trade for {silent:.0f} s in an open market, although the gateway answers"

    def _open_throughout(self, now: int, seconds: float) -> bool:
        """Tell whether some market was open at both ends of the silence: one that has just opened may be quiet."""
        before = now - round(seconds * NS_PER_SECOND)
        return any(self.is_open(group, now) and self.is_open(group, before) for group in self.groups)
