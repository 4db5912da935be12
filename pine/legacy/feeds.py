"""Backtrader feeds: minutes from a queue, and hours and session days that each feed builds itself from those minutes.

One pass of the engine is one boundary. Every minute feed takes exactly one `Slot` a pass; the longer feeds, which the
engine asks after the minute feeds, look at the slot of their source once and hand over their bar if it closes there.
"""

from typing import Any, Final

import backtrader as bt

from pine.core.bar import Bar
from pine.core.errors import PineError
from pine.core.period import Period, SessionRule, period
from pine.core.timeframe import Timeframe
from pine.core.times import isoformat, to_datetime
from pine.legacy.fanout import QueueFanout, Reset, Shutdown, Slot
from pine.legacy.record import Recorder

_UNITS: Final = {
    Timeframe.MINUTE: {"timeframe": bt.TimeFrame.Minutes, "compression": 1},
    Timeframe.HOUR: {"timeframe": bt.TimeFrame.Minutes, "compression": 60},
    Timeframe.DAY: {"timeframe": bt.TimeFrame.Days, "compression": 1},
}


class _StepFeed(bt.feed.DataBase):  # type: ignore[misc]
    """One bar or none a pass; all that deliver in a pass are stamped with its boundary."""

    params: Any = (("symbol", ""), ("recorder", None))

    def __init__(self) -> None:
        super().__init__()
        self.bar: Bar | None = None
        self.delivered = False

    def islive(self) -> bool:
        """Keep the engine from loading everything beforehand."""
        return True

    def next(self, datamaster: Any = None, ticks: bool = True) -> Any:
        """Load at most once a pass: the engine asks feeds that had nothing again, and that would be the next pass."""
        return False if datamaster is not None else super().next(datamaster, ticks)

    def _deliver(self, ts: int, bar: Bar) -> bool:
        recorder: Recorder = self.p.recorder
        recorder.bar(ts, bar)
        self.bar, self.delivered = bar, True
        lines = self.lines
        lines.datetime[0] = bt.date2num(to_datetime(ts).replace(tzinfo=None))
        lines.open[0], lines.high[0], lines.low[0], lines.close[0] = bar.open, bar.high, bar.low, bar.close
        lines.volume[0] = float(bar.volume)
        lines.openinterest[0] = 0.0
        return True


class QueueFeed(_StepFeed):
    """Minutes of one root, from its queue; the warm-up first."""

    params: Any = (("fanout", None), ("warmup", ()))

    def __init__(self) -> None:
        super().__init__()
        self.slot: Slot | None = None
        self.resets: tuple[Reset, ...] = ()
        self.passes = 0
        self.ended = False
        self._warmup = iter(self.p.warmup)

    def _load(self) -> bool | None:
        self.delivered = False
        slot = next(self._warmup, None) or self._take()
        if slot is None:
            self.ended, self.slot = True, None
            return False
        self.passes += 1
        self.slot = slot
        return self._deliver(slot.ts, slot.bar) if slot.bar is not None else None

    def _take(self) -> Slot | None:
        fanout: QueueFanout = self.p.fanout
        resets: list[Reset] = []
        while True:
            item = fanout.take(self.p.symbol)
            if isinstance(item, Reset):
                resets.append(item)
                continue
            self.resets = tuple(resets)
            return None if isinstance(item, Shutdown) else item


class ResampledFeed(_StepFeed):
    """Hours or session days of one root, each minute counted once."""

    params: Any = (("source", None), ("of", Timeframe.HOUR), ("rule", None))

    def __init__(self) -> None:
        super().__init__()
        self._pass = 0
        self._open: Bar | None = None
        self._span = Period(0, 0)
        self._lost: set[int] = set()

    def _load(self) -> bool | None:
        self.delivered = False
        source: QueueFeed = self.p.source
        slot = source.slot
        if slot is None:
            return False if source.ended else None
        if source.passes == self._pass:
            return None
        self._pass = source.passes
        for reset in source.resets:
            self._reset(reset)
        for bar in slot.known:
            if bar.timeframe is self.p.of:
                return self._deliver(slot.ts, bar)
        if slot.bar is not None:
            self._add(slot.bar)
        if self._open is None or self._span.end > slot.ts:
            return None
        bar, self._open = self._open, None
        return self._deliver(slot.ts, bar)

    def _add(self, minute: Bar) -> None:
        rule: SessionRule = self.p.rule
        span = period(self.p.of, minute.start, rule)
        if span.start in self._lost:
            return
        building = self._open
        if building is None:
            self._span = span
            self._open = _replaced(minute, self.p.of, span.start, minute)
            return
        if span != self._span:
            raise PineError(
                f"{self._name}: found the minute {isoformat(minute.start)} while the bar from "
                f"{isoformat(self._span.start)} is not over"
            )
        self._open = _replaced(building, self.p.of, span.start, minute)

    def _reset(self, reset: Reset) -> None:
        lost = {period(self.p.of, minute, self.p.rule).start for minute in (reset.first, reset.last)}
        self._lost |= lost
        if self._open is not None and self._span.start in lost:
            self._open = None


def _replaced(so_far: Bar, of: Timeframe, start: int, minute: Bar) -> Bar:
    """Return a longer bar with one more minute in it; of its first minute, that minute alone."""
    first = so_far is minute
    return Bar(
        minute.symbol,
        of,
        start,
        so_far.open,
        max(so_far.high, minute.high),
        min(so_far.low, minute.low),
        minute.close,
        minute.volume if first else so_far.volume + minute.volume,
        minute.instrument_id,
        minute.contract_symbol,
    )


def minute_feed(symbol: str, fanout: QueueFanout, recorder: Recorder, warmup: tuple[Slot, ...] = ()) -> Any:
    """Return the feed ``ES_minute``."""
    name = f"{symbol}_minute"
    make: Any = QueueFeed  # Backtrader's metaclass takes parameters by name
    return make(
        name=name,
        dataname=name,
        symbol=symbol,
        recorder=recorder,
        fanout=fanout,
        warmup=warmup,
        **_UNITS[Timeframe.MINUTE],
    )


def resampled_feed(symbol: str, of: Timeframe, rule: SessionRule, source: Any, recorder: Recorder) -> Any:
    """Return the feed ``ES_hour`` or ``ES_day`` over a minute feed."""
    name = f"{symbol}_{of.feed_suffix}"
    make: Any = ResampledFeed
    return make(
        name=name, dataname=name, symbol=symbol, recorder=recorder, source=source, of=of, rule=rule, **_UNITS[of]
    )
