"""Channel breakout on hourly bars (Donchian): parameters and state, free of any engine."""

from collections import deque

from attrs import define, field, frozen, validators

from pine.core.bar import Bar
from pine.strategies.ibs_rules import AverageTrueRange


@frozen
class BreakoutParams:
    """Numbers of the breakout rules. Long only, judged at hourly closes.

    Attributes
    ----------
    lookback
        Bars of the channel: a close above the highest high of that many bars before it is bought, one below their
        lowest low is sold.
    atr_length
        Bars of Wilder's average true range.
    atr_multiple
        Average true ranges, of the newest bar, between the entry price and the stop below it.
    """

    lookback: int = field(default=20, validator=validators.ge(2))
    atr_length: int = field(default=14, validator=validators.ge(2))
    atr_multiple: float = field(default=2.0, validator=validators.gt(0))


@define
class Channel:
    """Highest high and lowest low of the bars before the newest one, and the average true range with it."""

    params: BreakoutParams
    bar: Bar | None = None
    upper: float | None = None
    lower: float | None = None
    _atr: AverageTrueRange = field(init=False)
    _highs: deque[float] = field(init=False)
    _lows: deque[float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._atr = AverageTrueRange(self.params.atr_length)
        self._highs = deque(maxlen=self.params.lookback)
        self._lows = deque(maxlen=self.params.lookback)

    @property
    def atr(self) -> float | None:
        """Average true range in points, once there are enough bars."""
        return self._atr.value

    def update(self, bar: Bar) -> None:
        """Take a completed hourly bar; the channel is of those before it, once there are enough."""
        full = len(self._highs) == self.params.lookback
        self.upper = max(self._highs) if full else None
        self.lower = min(self._lows) if full else None
        self.bar = bar
        self._atr.update(bar.high, bar.low, bar.close)
        self._highs.append(bar.high)
        self._lows.append(bar.low)

    def stop(self, entry: float) -> float | None:
        """Return the price at or below which a close ends a position entered at `entry`."""
        return None if self.atr is None else entry - self.params.atr_multiple * self.atr
