"""The reference as a whole: a producer that takes records, queues, Backtrader, a record. The same live and offline."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import backtrader as bt
from attrs import define, field

from pine.core.config import Config
from pine.core.contract import Contract
from pine.core.period import SessionRule
from pine.core.timeframe import NS_PER_MS, Timeframe
from pine.legacy.account import PaperAccount
from pine.legacy.aggregator import TradeAggregator
from pine.legacy.broker import PaperBroker
from pine.legacy.clock import EventClock, RealTime, TapeTime
from pine.legacy.fanout import MAXSIZE, OnOverflow, QueueFanout
from pine.legacy.feeds import QueueFeed, minute_feed, resampled_feed
from pine.legacy.market import Beat, Record
from pine.legacy.minutes import RootMinutes
from pine.legacy.record import MemoryRecorder, Recorder
from pine.legacy.strategy import strategy_class
from pine.legacy.warmup import Past, slots_of
from pine.orders.entries import Intent
from pine.strategies.judge import Judge, Standards, standards_of
from pine.strategies.risk import RiskRules

Producer = Callable[[TradeAggregator], None]
"""Gives records to the aggregator until there are no more, on a thread of its own."""


@define(eq=False)
class LegacySystem:
    """One strategy, one process, one run.

    Parameters
    ----------
    config, strategy
        What to run.
    recorder
        Told everything that happens.
    on_intent
        Called with each intent on the engine's thread; posts it, if anybody posts.
    past
        Hours and days before the first trade, to warm indicators up.
    live_after
        Boundaries up to this one (ns) are not decided on: what was traded before the start.
    queue_size
        Items that the queue of a root holds.
    on_overflow
        Told a root whose queue is full, so that reading waits, and how often that was.
    standards
        What entries are judged by; as configured if left out.
    """

    config: Config
    strategy: str
    recorder: Recorder = field(factory=MemoryRecorder)
    on_intent: Callable[[Intent], None] = lambda _: None
    past: Past = field(factory=Past)
    live_after: int = 0
    queue_size: int = MAXSIZE
    on_overflow: OnOverflow = lambda _symbol, _count: None
    standards: Standards = field()
    account: PaperAccount = field(init=False)
    fanout: QueueFanout = field(init=False)
    aggregator: TradeAggregator = field(init=False)
    minutes: dict[str, QueueFeed] = field(init=False, factory=dict)
    broker: PaperBroker | None = None
    _failed: list[BaseException] = field(factory=list)

    @standards.default
    def _configured(self) -> Standards:
        return standards_of(self.config, self.strategy)

    def __attrs_post_init__(self) -> None:
        setting, traded = self.config.strategies[self.strategy], self.config.traded[self.strategy]
        self.account = PaperAccount(setting.starting_cash, traded, self.config.desk_session)
        self.fanout = QueueFanout(self.rules, self.queue_size, self.live_after, self.on_overflow)
        hub = self.config.hub
        clock: EventClock = RealTime() if hub.clock == "wall" else TapeTime()
        self.aggregator = TradeAggregator(
            roots={symbol: self._root(symbol) for symbol in self.rules},
            clock=clock,
            publish=self.fanout.publish,
            lateness=hub.lateness_ms * NS_PER_MS,
            bar_clock=hub.bar_clock,
        )

    @property
    def last_step(self) -> int:
        """The boundary, in ns, that was decided on last; 0 before the first."""
        return 0 if self.broker is None else self.broker.step

    @property
    def rules(self) -> Mapping[str, SessionRule]:
        """Session rule of each symbol that the strategy reads, in its order."""
        return self.config.rules_of(self.strategy)

    def run(self, records: Iterable[Record], after: int = 0, holes: Iterable[tuple[int, int, str]] = ()) -> None:
        """Run over records that are at hand, in this process, without a connection.

        Parameters
        ----------
        records
            Trades in the order in which they were received, names before the trades that they explain.
        after
            Event time (ns) that goes by after the last record, so that what is open then closes.
        holes
            First and last minute (ns), and root, of what the records lack although it was traded.
        """

        def produce(aggregator: TradeAggregator) -> None:
            for hole in holes:
                aggregator.miss(*hole)
            aggregator.connect(replaying=False)
            for record in records:
                if self.fanout.deserted:
                    return
                aggregator.take(record)
            if after:
                aggregator.take(Beat(aggregator.last_trade + after))

        self.run_with(produce)

    def run_with(self, produce: Producer, stop: threading.Event | None = None) -> None:
        """Run until a producer has no more records and everything that closed is decided on.

        Parameters
        ----------
        produce
            Called once, on another thread.
        stop
            Set when the engine ends, for a producer that does not end by itself.

        Raises
        ------
        Exception
            What the producer or the strategy raised; the other one is ended first.
        """
        thread = threading.Thread(target=self._produce, args=(produce,), name="legacy-records", daemon=True)
        thread.start()
        try:
            self._engine().run()
        finally:
            self.fanout.desert()
            if stop is not None:
                stop.set()
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _produce(self, produce: Producer) -> None:
        try:
            produce(self.aggregator)
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
            self._failed.append(error)
        finally:
            self.fanout.shutdown()

    def _root(self, symbol: str) -> RootMinutes:
        begin = self.past.begins.get(symbol, 0)
        leads: dict[int, tuple[str, Contract]] = dict(self.past.leads.get(symbol, {}))
        return RootMinutes(symbol, self.config.session_rule(symbol), self.config.hub.fill_quiet_minutes, leads, begin)

    def _engine(self) -> Any:
        setting = self.config.strategies[self.strategy]
        cerebro = bt.Cerebro(stdstats=False, preload=False, runonce=False, maxcpus=1)
        warmup = slots_of(self.past.bars, self.rules)
        feeds: dict[tuple[str, Timeframe], Any] = {}
        for symbol in self.rules:
            self.minutes[symbol] = minute_feed(symbol, self.fanout, self.recorder, warmup.get(symbol, ()))
            cerebro.adddata(self.minutes[symbol])
        for timeframe in (Timeframe.HOUR, Timeframe.DAY):
            for symbol, rule in self.rules.items():
                feed = resampled_feed(symbol, timeframe, rule, self.minutes[symbol], self.recorder)
                feeds[(symbol, timeframe)] = feed
                cerebro.adddata(feed)
        limits = RiskRules(setting.max_positions, setting.daily_stop_loss)
        self.broker = PaperBroker(self.strategy, self.account, limits, self.minutes, self.recorder, self.on_intent)
        cerebro.setbroker(self.broker)
        cerebro.addstrategy(
            strategy_class(setting.type),
            feeds=feeds,
            broker=self.broker,
            recorder=self.recorder,
            judge=Judge(self.standards),
        )
        return cerebro
