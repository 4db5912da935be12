"""Queues and feeds: one boundary a pass, whatever threads do; RESET, SHUTDOWN, a reader that is gone."""

import threading
from typing import Any

import backtrader as bt
import pytest
from tapes import at
from waiting import until

from pine.core.bar import Bar
from pine.core.errors import PineError
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_MINUTE, Timeframe
from pine.legacy.fanout import QueueFanout, QueueSignal, Reset, Shutdown, Slot
from pine.legacy.feeds import minute_feed, resampled_feed
from pine.legacy.market import Boundary
from pine.legacy.record import MemoryRecorder

RULE = SessionRule(group="equity")
START = at("2024-03-05T14:00")


def minute(n: int, symbol: str = "ES", volume: int = 1) -> Bar:
    start = START + n * NS_PER_MINUTE
    price = 100.0 + n
    return Bar(symbol, Timeframe.MINUTE, start, price, price + 1, price - 1, price, volume, 7, f"{symbol}H4")


def boundary(n: int, *bars: Bar, **more: Any) -> Boundary:
    return Boundary(START + n * NS_PER_MINUTE, {bar.symbol: bar for bar in bars}, **more)


def run(fanout: QueueFanout, symbols: tuple[str, ...] = ("ES",), warmup: Any = None) -> tuple[MemoryRecorder, list]:
    """Run the feeds until the queues say that it is over; return what they delivered and what each pass brought."""
    recorder, passes = MemoryRecorder(), []

    class Look(bt.Strategy):  # type: ignore[misc]
        def next(self) -> None:
            passes.append([feed._name for feed in self.datas if feed.delivered])

        def prenext(self) -> None:
            self.next()

        def nextstart(self) -> None:
            self.next()

    cerebro = bt.Cerebro(stdstats=False, preload=False, runonce=False)
    for symbol in symbols:
        source = minute_feed(symbol, fanout, recorder, (warmup or {}).get(symbol, ()))
        cerebro.adddata(source)
        for timeframe in (Timeframe.HOUR, Timeframe.DAY):
            cerebro.adddata(resampled_feed(symbol, timeframe, RULE, source, recorder))
    cerebro.addstrategy(Look)
    cerebro.run()
    return recorder, passes


def bars_of(recorder: MemoryRecorder, timeframe: Timeframe) -> list[Bar]:
    return [bar for _, bar in recorder.bars if bar.timeframe is timeframe]


def test_an_hour_holds_each_of_its_minutes_once() -> None:
    fanout = QueueFanout(["ES"])
    for n in range(1, 62):
        fanout.publish(boundary(n, minute(n - 1)))
    fanout.shutdown()
    recorder, _ = run(fanout)
    (hour,) = bars_of(recorder, Timeframe.HOUR)
    assert (hour.start, hour.open, hour.high, hour.low, hour.close, hour.volume) == (START, 100, 160, 99, 159, 60)
    assert len(bars_of(recorder, Timeframe.MINUTE)) == 61


def test_an_hour_ends_at_its_end_although_its_last_minutes_were_quiet() -> None:
    fanout = QueueFanout(["ES"])
    fanout.publish(boundary(1, minute(0)))
    fanout.publish(boundary(60))
    fanout.shutdown()
    recorder, passes = run(fanout)
    assert [(step, bar.timeframe) for step, bar in recorder.bars] == [
        (START + NS_PER_MINUTE, Timeframe.MINUTE),
        (START + 60 * NS_PER_MINUTE, Timeframe.HOUR),
    ]
    assert passes == [["ES_minute"], ["ES_hour"]]


def test_everything_of_a_boundary_comes_in_one_pass_however_late_a_queue_is_filled() -> None:
    fanout = QueueFanout(["ES", "GC"])
    es, gc = fanout._queues["ES"], fanout._queues["GC"]
    slots = [(n, START + n * NS_PER_MINUTE) for n in range(1, 121)]
    for n, ts in slots:
        es.put(Slot(ts, minute(n - 1)))
    es.put(Shutdown())

    def fill_slowly() -> None:
        for n, ts in slots:
            left = len(slots) - n + 1
            until(lambda most=left: es.qsize() <= most, "the other queue is read")  # type: ignore[misc]
            gc.put(Slot(ts, minute(n - 1, "GC") if n % 3 else None))
        gc.put(Shutdown())

    thread = threading.Thread(target=fill_slowly)
    thread.start()
    recorder, passes = run(fanout, ("ES", "GC"))
    thread.join()
    assert len(passes) == 120
    assert passes[59] == ["ES_minute", "ES_hour", "GC_hour"]
    assert [names for names in passes if "ES_minute" not in names] == []
    assert len(bars_of(recorder, Timeframe.MINUTE)) == 120 + 80


def test_reset_takes_the_hour_and_the_day_around_what_was_lost() -> None:
    fanout = QueueFanout(["ES"])
    lost = (START + 10 * NS_PER_MINUTE, START + 12 * NS_PER_MINUTE)
    for n in range(1, 121):
        fanout.publish(boundary(n, minute(n - 1), **({"resets": {"ES": lost}} if n == 13 else {})))
    fanout.publish(Boundary(at("2024-03-05T23:00")))
    fanout.shutdown()
    recorder, _ = run(fanout)
    assert [bar.start for bar in bars_of(recorder, Timeframe.HOUR)] == [at("2024-03-05T15:00")]
    assert bars_of(recorder, Timeframe.DAY) == []
    assert Reset(1, 2).signal is QueueSignal.RESET


def test_shutdown_ends_the_engine_after_what_was_in_the_queues() -> None:
    fanout = QueueFanout(["ES", "GC"])
    fanout.publish(boundary(1, minute(0), minute(0, "GC")))
    fanout.shutdown()
    fanout.publish(boundary(2, minute(1)))
    recorder, _ = run(fanout, ("ES", "GC"))
    assert [bar.symbol for _, bar in recorder.bars] == ["ES", "GC"]
    assert fanout.depths() == {"ES": 0, "GC": 0}
    assert Shutdown().signal is QueueSignal.SHUTDOWN


def test_a_full_queue_waits_and_loses_nothing_and_a_reader_that_is_gone_frees_the_writer() -> None:
    told: list[tuple[str, int]] = []
    fanout = QueueFanout(["ES"], maxsize=2, on_overflow=lambda symbol, count: told.append((symbol, count)))
    writer = threading.Thread(target=lambda: [fanout.publish(boundary(n)) for n in range(1, 6)])
    writer.start()
    until(lambda: told, "the queue is full")
    taken = [fanout.take("ES") for _ in range(5)]
    writer.join()
    assert [item.ts for item in taken if isinstance(item, Slot)] == [START + n * NS_PER_MINUTE for n in range(1, 6)]
    assert fanout.overflows["ES"] == len(told) >= 1
    stuck = threading.Thread(target=lambda: [fanout.publish(boundary(n)) for n in range(6, 12)])
    stuck.start()
    until(lambda: fanout.depths()["ES"] == 2, "the queue is full again")
    fanout.desert()
    stuck.join(60)
    assert not stuck.is_alive()


def test_warm_up_comes_first_in_order_of_closing_and_is_not_decided_on() -> None:
    from pine.legacy.warmup import slots_of

    hours = [Bar("ES", Timeframe.HOUR, START - n * 60 * NS_PER_MINUTE, 1, 2, 1, 2, 5, 7, "ESH4") for n in (2, 1)]
    day = Bar("GC", Timeframe.DAY, at("2024-03-03T23:00"), 1, 2, 1, 2, 5, 7, "GCJ4")
    warmup = slots_of({"ES": hours, "GC": [day]}, {"ES": RULE, "GC": RULE})
    assert [slot.ts for slot in warmup["ES"]] == [slot.ts for slot in warmup["GC"]]
    assert not any(slot.live for slot in warmup["ES"])
    fanout = QueueFanout(["ES", "GC"])
    fanout.publish(boundary(1, minute(0)))
    fanout.shutdown()
    recorder, _ = run(fanout, ("ES", "GC"), warmup)
    assert [bar for _, bar in recorder.bars] == [day, *hours, minute(0)]


def test_minutes_out_of_their_hour_are_a_defect_that_is_named() -> None:
    fanout = QueueFanout(["ES"])
    fanout.publish(boundary(1, minute(0)))
    fanout.publish(boundary(2, minute(90)))
    fanout.shutdown()
    with pytest.raises(PineError, match=r"ES_hour: found the minute 2024-03-05T15:30:00\+00:00 while the bar from"):
        run(fanout)
