"""Internal bar strength on hourly bars: parameters and rules, free of any engine.

IBS = (close - low) / (high - low). The strategy buys weak closes inside the range of the last pivots and sells
on strength, a stop, a target, time, or the end of the day. Long only.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol

from attrs import define, field, frozen, validators

from pine.core.bar import Bar
from pine.core.timeframe import NS_PER_HOUR
from pine.strategies.account import Position
from pine.strategies.windows import (
    local_time,
    minute_of_day,
    parse_minute,
    parse_window,
    valid_hour,
    valid_windows,
)

_UNIT: Final = [validators.ge(0.0), validators.le(1.0)]


@frozen
class IbsParams:
    """Numbers of the IBS rules.

    Attributes
    ----------
    ibs_entry_low, ibs_entry_high
        Band of IBS in which an entry may happen.
    entry_setting
        Extra condition: close inside the last pivots' range, above the last pivot high while pivots rise, or none.
    pivot_left, pivot_right
        Bars on each side that make a bar a pivot.
    clock
        Zone of the windows and of the automatic close: the old system's effect, or the exchange's.
    windows
        Times of day in which entries may happen, by the bar's close.
    enable_stop, enable_target, enable_ibs_exit, enable_bar_stop, enable_auto_close
        Whether that exit is judged at all.
    stop_type, stop_percent, stop_atr_length, stop_atr_multiple
        Distance of the stop below the entry: percent of the entry price or multiples of the average true range.
    target_type, target_percent, target_atr_length, target_atr_multiple
        Distance of the target above the entry.
    ibs_exit_low, ibs_exit_high
        Band of IBS in which a position is closed.
    bar_stop_bars
        Completed hours after the fill's own that a position is held at most.
    auto_close_time
        Bar close at which every position is closed.
    """

    ibs_entry_low: float = field(default=0.0, validator=_UNIT)
    ibs_entry_high: float = field(default=0.2, validator=_UNIT)
    entry_setting: Literal["inside range", "hh above", "none"] = "inside range"
    pivot_left: int = field(default=5, validator=validators.ge(1))
    pivot_right: int = field(default=5, validator=validators.ge(1))
    clock: Literal["UTC", "America/Chicago"] = "UTC"
    windows: list[str] = field(factory=lambda: ["00:00-15:00", "17:00-24:00"], validator=valid_windows)
    enable_stop: bool = True
    stop_type: Literal["percent", "atr"] = "percent"
    stop_percent: float = field(default=1.0, validator=validators.gt(0))
    stop_atr_length: int = field(default=14, validator=validators.ge(2))
    stop_atr_multiple: float = field(default=1.0, validator=validators.gt(0))
    enable_target: bool = True
    target_type: Literal["percent", "atr"] = "percent"
    target_percent: float = field(default=1.0, validator=validators.gt(0))
    target_atr_length: int = field(default=14, validator=validators.ge(2))
    target_atr_multiple: float = field(default=0.5, validator=validators.gt(0))
    enable_ibs_exit: bool = True
    ibs_exit_low: float = field(default=0.8, validator=_UNIT)
    ibs_exit_high: float = field(default=1.0, validator=_UNIT)
    enable_bar_stop: bool = True
    bar_stop_bars: int = field(default=8, validator=validators.ge(1))
    enable_auto_close: bool = True
    auto_close_time: str = field(default="15:00", validator=valid_hour)

    def __attrs_post_init__(self) -> None:
        if self.ibs_entry_low > self.ibs_entry_high:
            raise ValueError(f"found ibs_entry_low {self.ibs_entry_low} above ibs_entry_high {self.ibs_entry_high}")
        if self.ibs_exit_low > self.ibs_exit_high:
            raise ValueError(f"found ibs_exit_low {self.ibs_exit_low} above ibs_exit_high {self.ibs_exit_high}")


def internal_bar_strength(high: float, low: float, close: float) -> float:
    """Return where a bar closed in its range, 0 at the low, 1 at the high, 0.5 where there is no range."""
    spread = high - low
    return min(max((close - low) / spread, 0.0), 1.0) if spread > 0 else 0.5


@define
class Pivots:
    """Last two confirmed pivot highs and lows.

    A high is a pivot if it is above all `left` highs before it and not below any of the `right` highs after it;
    lows mirrored.
    """

    left: int
    right: int
    highs: deque[float] = field(factory=lambda: deque(maxlen=2))
    lows: deque[float] = field(factory=lambda: deque(maxlen=2))
    _bars: deque[tuple[float, float]] = field(factory=deque)

    def update(self, high: float, low: float) -> None:
        """Take the next bar; it may confirm the one `right` bars before it."""
        self._bars.append((high, low))
        if len(self._bars) < self.left + 1 + self.right:
            return
        highs = [bar[0] for bar in self._bars]
        lows = [bar[1] for bar in self._bars]
        peak, trough = highs[self.left], lows[self.left]
        if peak > max(highs[: self.left]) and peak >= max(highs[self.left + 1 :]):
            self.highs.append(peak)
        if trough < min(lows[: self.left]) and trough <= min(lows[self.left + 1 :]):
            self.lows.append(trough)
        self._bars.popleft()


@define
class AverageTrueRange:
    """Wilder's average true range: a simple mean first, then smoothed by 1/length. In points.

    Written as Backtrader's is, so that both round alike.
    """

    length: int
    value: float | None = None
    _first: list[float] = field(factory=list)
    _close: float | None = None

    def update(self, high: float, low: float, close: float) -> None:
        """Take the next bar; the first has no close before it and yields no true range."""
        previous, self._close = self._close, close
        if previous is None:
            return
        true_range = max(high, previous) - min(low, previous)
        if self.value is not None:
            alpha = 1.0 / self.length
            self.value = self.value * (1.0 - alpha) + true_range * alpha
            return
        self._first.append(true_range)
        if len(self._first) == self.length:
            self.value = math.fsum(self._first) / self.length
            self._first.clear()


class _Ends(Protocol):
    """Prices of pivots, the newest last."""

    @property
    def highs(self) -> Sequence[float]: ...

    @property
    def lows(self) -> Sequence[float]: ...


class _Average(Protocol):
    @property
    def value(self) -> float | None: ...


class IbsView(Protocol):
    """What the rules ask of one symbol's hourly bars, whoever computes it."""

    params: IbsParams

    @property
    def bar(self) -> Bar | None:
        """The newest completed hour."""
        ...

    @property
    def ibs(self) -> float | None:
        """Its internal bar strength."""
        ...

    @property
    def pivots(self) -> _Ends:
        """The last two confirmed pivots of each side."""
        ...

    @property
    def stop_atr(self) -> _Average:
        """Average true range of the stop, in points."""
        ...

    @property
    def target_atr(self) -> _Average:
        """Average true range of the target, in points."""
        ...

    def bars_since(self, entered: int) -> int:
        """Return how many hours have completed after the one of a fill (ns)."""
        ...


@define
class IbsState:
    """Everything the rules know of one symbol's hourly bars."""

    params: IbsParams
    ibs: float | None = None
    bar: Bar | None = None
    pivots: Pivots = field(init=False)
    stop_atr: AverageTrueRange = field(init=False)
    target_atr: AverageTrueRange = field(init=False)
    _starts: deque[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.pivots = Pivots(self.params.pivot_left, self.params.pivot_right)
        self.stop_atr = AverageTrueRange(self.params.stop_atr_length)
        self.target_atr = AverageTrueRange(self.params.target_atr_length)
        self._starts = deque(maxlen=self.params.bar_stop_bars + 1)

    def update(self, bar: Bar) -> None:
        """Take a completed hourly bar."""
        self.bar = bar
        self.ibs = internal_bar_strength(bar.high, bar.low, bar.close)
        self.pivots.update(bar.high, bar.low)
        self.stop_atr.update(bar.high, bar.low, bar.close)
        self.target_atr.update(bar.high, bar.low, bar.close)
        self._starts.append(bar.start)

    def bars_since(self, entered: int) -> int:
        """Return how many hours have completed after the fill's own; no more than one beyond the bar stop."""
        fill_hour = entered - entered % NS_PER_HOUR
        return sum(start > fill_hour for start in self._starts)


def entry_facts(state: IbsView) -> dict[str, Any] | None:
    """Return the facts of an entry at the latest bar, or nothing if a condition fails."""
    p, bar = state.params, state.bar
    assert bar is not None
    assert state.ibs is not None
    minute = minute_of_day(local_time(bar.start + NS_PER_HOUR, p.clock))
    if not any(start <= minute < end for start, end in map(parse_window, p.windows)):
        return None
    if not p.ibs_entry_low <= state.ibs <= p.ibs_entry_high:
        return None
    highs, lows = state.pivots.highs, state.pivots.lows
    facts = {"ibs": state.ibs, "close": bar.close}
    if p.entry_setting == "inside range":
        if not highs or not lows or not lows[-1] <= bar.close <= highs[-1]:
            return None
        facts |= {"pivot_low": lows[-1], "pivot_high": highs[-1]}
    elif p.entry_setting == "hh above":
        if len(highs) < 2 or not highs[-1] > highs[-2] or not bar.high > highs[-1]:
            return None
        facts |= {"pivot_high": highs[-1], "previous_pivot_high": highs[-2]}
    return facts


def exit_reason(state: IbsView, position: Position) -> tuple[str, dict[str, Any]] | None:
    """Return the first exit rule that holds at the latest bar, with its facts, or nothing.

    Nothing is judged at the close of the hour that holds the fill.
    """
    p, bar = state.params, state.bar
    assert bar is not None
    assert state.ibs is not None
    held = state.bars_since(position.entered)
    if held == 0:
        return None
    facts = {"ibs": state.ibs, "close": bar.close, "entry_price": position.price, "bars_held": held}
    stop, target = _stop_price(state, position.price), _target_price(state, position.price)
    if stop is not None and bar.close <= stop:
        return "stop loss", {**facts, "stop": stop}
    if target is not None and bar.close >= target:
        return "take profit", {**facts, "target": target}
    if p.enable_ibs_exit and p.ibs_exit_low <= state.ibs <= p.ibs_exit_high:
        return "IBS exit", facts
    if p.enable_bar_stop and held >= p.bar_stop_bars:
        return "bar stop", facts
    minute = minute_of_day(local_time(bar.start + NS_PER_HOUR, p.clock))
    if p.enable_auto_close and minute == parse_minute(p.auto_close_time):
        return "auto close", facts
    return None


def _stop_price(state: IbsView, entry: float) -> float | None:
    p = state.params
    if not p.enable_stop:
        return None
    if p.stop_type == "percent":
        return entry * (1 - p.stop_percent / 100)
    return None if state.stop_atr.value is None else entry - p.stop_atr_multiple * state.stop_atr.value


def _target_price(state: IbsView, entry: float) -> float | None:
    p = state.params
    if not p.enable_target:
        return None
    if p.target_type == "percent":
        return entry * (1 + p.target_percent / 100)
    return None if state.target_atr.value is None else entry + p.target_atr_multiple * state.target_atr.value
