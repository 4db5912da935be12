"""Channel breakout on hourly bars (Donchian): parameters and state, free of any engine."""

from collections import deque

from attrs import define, field, frozen, validators

from pine.core.bar import Bar


@frozen
class BreakoutParams:
    """Numbers of the breakout rules.

    Attributes
    ----------
    entry_hours
        A close above the highest high of that many hours before it is bought.
    exit_hours
        A close below the lowest low of that many hours before it is sold.
    stop_percent
        A close that far below the entry is sold.
    """

    entry_hours: int = field(default=55, validator=validators.ge(2))
    exit_hours: int = field(default=20, validator=validators.ge(2))
    stop_percent: float = field(default=1.0, validator=validators.gt(0))


@define
class Channel:
    """Highest high and lowest low of the bars before the latest one."""

    params: BreakoutParams
    bar: Bar | None = None
    upper: float | None = None
    lower: float | None = None
    _highs: deque[float] = field(init=False)
    _lows: deque[float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._highs = deque(maxlen=self.params.entry_hours)
        self._lows = deque(maxlen=self.params.exit_hours)

    def update(self, bar: Bar) -> None:
        """Take a completed hourly bar; the channel is of those before it, once there are enough."""
        self.upper = max(self._highs) if len(self._highs) == self.params.entry_hours else None
        self.lower = min(self._lows) if len(self._lows) == self.params.exit_hours else None
        self.bar = bar
        self._highs.append(bar.high)
        self._lows.append(bar.low)
