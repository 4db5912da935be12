"""Steps from the live streams through the strategy's consumer group, outcomes into its ledger and flight records."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import orjson
import redis
from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import is_away, revive
from pine.bus.heartbeat import Heartbeat
from pine.bus.lease import Lease
from pine.bus.pauses import pause
from pine.bus.writer import Writer
from pine.core.bar import Bar
from pine.core.config import Config, WarmUpConfig
from pine.core.errors import DataError, PineError, WentBack
from pine.core.log import get_logger
from pine.core.period import session
from pine.core.timeframe import NS_PER_HOUR, NS_PER_MINUTE, NS_PER_MS, Timeframe
from pine.core.times import isoformat, to_ms
from pine.feeds.steps import Step, StepReader, parse_clock
from pine.feeds.warmup import WarmUp, read_bars
from pine.history.refill import Refill, digest
from pine.orders.desk import Desk
from pine.orders.entries import Entry, Intent, Origin, WarmedUp
from pine.orders.ledger import read_ledger
from pine.worker.booking import Booking
from pine.worker.engine import Outcome
from pine.worker.origin import begin_after, begin_at
from pine.worker.pen import SERVER_PAUSE, Pen, tell
from pine.worker.recall import recall
from pine.worker.vitals import Vitals

BLOCK_MS: Final = 250
REFILL_SECONDS: Final = 1.0

log = get_logger(__name__)
T = TypeVar("T")


@define(eq=False)
class LiveSource:
    """One strategy's cursor on the clock.

    Parameters
    ----------
    config, strategy
        What to run.
    client
        Connection to the stream server.
    lease
        The worker's role and token.
    desk
        The account, restored from the ledger by `open`.
    stop
        Ends the run after the present step.
    on_beat
        Called about once a second; returns extra facts for the heartbeat.
    asked
        How many sessions a new strategy is fed before its first step; as configured if left out.

    Attributes
    ----------
    vitals
        What the heartbeat tells.
    booking
        Requests of operators and couriers.
    """

    config: Config
    strategy: str
    client: Client
    lease: Lease
    desk: Desk
    stop: threading.Event
    provenance: dict[str, str]
    on_beat: Callable[[], dict[str, Any]]
    asked: WarmUpConfig | None = None
    origin: Origin | None = None
    vitals: Vitals = field(init=False)
    booking: Booking = field(init=False)
    _reader: StepReader = field(init=False)
    _writer: Writer = field(init=False)
    _pen: Pen = field(init=False)
    _warmup: streams.Rereading | None = None
    _history: WarmUp | None = None
    _pending: deque[streams.Entry] = field(factory=deque)
    _recheck: bool = True
    _is_warm: bool = False
    _previous: int = 0
    _entries_read: dict[str, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._reader = StepReader(self.client, self.config.rules_of(self.strategy))
        self._writer = Writer(self.client, self.lease.role, self.lease.token)
        self._pen = Pen(self.config, self.strategy, self._writer)
        self.booking = Booking(self.config, self.strategy, self.client, self.consumer, self.desk, self._pen)
        heartbeat = Heartbeat(self.client, self.config, self.lease.role, self.lease.token)
        self.vitals = Vitals(self.config, self.strategy, self.client, heartbeat, self.desk.portfolio, self.on_beat)

    @property
    def acked(self) -> int:
        """The last step that is done, in ms; 0 before the first."""
        return self.vitals.acked

    @property
    def consumer(self) -> str:
        """Name in the consumer group: the fencing token, so that predecessors are told apart."""
        return str(self.lease.token)

    @property
    def reach(self) -> WarmUpConfig:
        """How many sessions the strategy is fed when it is warmed up: as at its origin, else the defaults."""
        known = self.origin.warm_up if self.origin is not None else None
        return WarmUpConfig() if known is None else WarmUpConfig(known.daily, known.hourly, known.minute)

    def is_new(self) -> bool:
        """Tell whether the strategy has no ledger yet."""
        return next(read_ledger(self.client, self.strategy), None) is None

    def open(self, history: WarmUp | None = None) -> None:
        """Take up the cursor: create the groups and record the origin, or restore the account from the ledger.

        A cursor that is gone is made anew after the newest step that left a record: what came later left none, so
        running it again adds nothing twice.

        Parameters
        ----------
        history
            What a new strategy is fed first; without it, what the streams hold.

        Raises
        ------
        DataError
            If the warm-up's bars on the server are not those that the ledger names.
        """
        self.desk.portfolio.clear()
        entries = list(read_ledger(self.client, self.strategy))
        if not entries:
            entries = [self._begin(history)]
        for identifier, entry in entries:
            self._pen.follow(identifier)
            self._restore(entry)
        assert self.origin is not None
        recorded = self._recorded(entries[-1][0])
        fresh = streams.ensure_group(self.client, keys.CLOCK, self.strategy, streams.entry_id(recorded))
        if fresh and recorded > self.origin.live_after:
            at = {"stream": keys.CLOCK, "after": isoformat(recorded * NS_PER_MS)}
            log.error("the cursor was gone; continuing after the last step on record", **at)
        self.booking.open()
        for stream, closed in self._closed_bars(recorded).items():
            if not streams.ensure_group(self.client, stream, self.strategy, streams.entry_id(closed)) and fresh:
                self.client.xgroup_setid(stream, self.strategy, streams.entry_id(closed))
            self._entries_read[stream] = streams.entries_read(self.client, stream, self.strategy)
        streams.forget_predecessors(self.client, keys.CLOCK, self.strategy, self.consumer)
        pending = streams.claim_predecessors(self.client, keys.CLOCK, self.strategy, self.consumer)
        delivered = streams.ms_of(streams.group_info(self.client, keys.CLOCK, self.strategy)["last-delivered-id"])
        self.vitals.acked = parse_clock(pending[0])[1] if pending else delivered
        first = streams.entry_id(self.origin.origin)
        if self.origin.warm_up is not None:
            self._history = self._read_history(self.origin.warm_up)
            first, self._previous = f"({first}", self.origin.origin
        self._warmup = streams.Rereading(self.client, keys.CLOCK, first, f"{self.acked}-{(1 << 64) - 1}")
        self._book_at_once()
        log.info(
            "worker ready",
            token=self.lease.token,
            last_step=isoformat(self.acked * NS_PER_MS) if self.acked else "none",
            positions={p.contract: p.quantity for p in self.desk.portfolio.positions.values()} or "none",
            cash=round(self.desk.portfolio.cash, 2),
        )

    def _book_at_once(self) -> None:
        """Book what was asked while nobody ran, before the strategy is warmed up, which may take a while."""
        assert self.origin is not None
        first = self.origin.origin - (0 if self.origin.warm_up is not None else to_ms(NS_PER_MINUTE))
        known = recall(self.client, (max(first, 0), self.acked), self.config.traded[self.strategy], self._history)
        self.desk.begin(self.acked * NS_PER_MS)
        self.desk.recall(known.bars, known.leads)
        self.booking.book_all(self.acked)
        self.desk.recall({}, {})

    def warm_up(self) -> WarmUp | None:
        """Return the history that the strategy is fed before the first step, once; nothing if it has none."""
        history, self._history = self._history, None
        return history

    def alive(self) -> bool:
        """Show a sign of life while history is fed; return whether to go on."""
        self.lease.check()
        self._resilient(lambda: self.vitals.sign("warming up"))
        return not self.stop.is_set()

    def refilled(self, told: Refill) -> Sequence[Bar] | None:
        """Return the minutes of a hole from the archive, as soon as it has those that the hub named.

        Nothing is decided on others; nothing is returned when it is time to stop.
        """
        trouble = ""
        while not self.stop.is_set():
            bars, reason = _archived(self.config, told)
            if not reason:
                return bars
            if reason != trouble:
                fields = {"symbol": told.symbol, "from": isoformat(told.first_minute), "reason": reason}
                log.error("a refill cannot be read, no step is taken before it can", **fields)
                trouble = reason
            self.lease.check()
            self._resilient(lambda: self.vitals.sign("waiting for a refill"))
            if self._is_warm:
                self._resilient(lambda: self.booking.look(self.acked))
            self.stop.wait(REFILL_SECONDS)
        return None

    def next(self) -> Step | None:
        """Return the next step: warm-up first, then what a predecessor left pending, then live."""
        while not self.stop.is_set():
            self.lease.check()
            step = self._resilient(self._try_next)
            if step is not None:
                return step
        return None

    def done(self, step: Step, outcome: Outcome) -> None:
        """Append ledger and flight, acknowledge the step, move the groups: one write."""
        consumed, self._reader.consumed = self._reader.consumed, {}
        self.vitals.steps += 1
        if not step.live:
            self.vitals.warm()
            return
        clock_ms = to_ms(step.ts)
        self._writer.require_next(keys.CLOCK, self.strategy, streams.entry_id(clock_ms))
        self._pen.add(clock_ms, outcome.entries)
        if outcome.flight is not None:
            assert self.origin is not None
            record = {**outcome.flight, **self.provenance, "origin": self.origin.origin}
            self._writer.append(
                keys.flight(self.strategy), streams.entry_id(clock_ms), {"flight": orjson.dumps(record)}
            )
        self._writer.acknowledge(keys.CLOCK, self.strategy, streams.entry_id(clock_ms))
        for stream, ms in consumed.items():
            if stream in self._entries_read:
                self._entries_read[stream] += 1
                self._writer.move_group(stream, self.strategy, streams.entry_id(ms), self._entries_read[stream])
        pause(self.lease.role, "decided")
        self._pen.commit()
        self.vitals.latency.committed(time.monotonic())
        pause(self.lease.role, "acknowledged")
        tell(outcome.entries)
        self.vitals.intents += sum(isinstance(entry, Intent) for entry in outcome.entries)
        self.vitals.acked = clock_ms

    def _begin(self, history: WarmUp | None) -> tuple[str, Entry]:
        """Record where this strategy's life begins."""
        if history is not None:
            return begin_after(
                self._writer,
                self.strategy,
                history,
                self.asked or self.config.warm_up_of(self.strategy) or WarmUpConfig(),
            )
        oldest = self.client.xrange(keys.CLOCK, count=1)
        newest = streams.last_id(self.client, keys.CLOCK)
        first, last = streams.ms_of(oldest[0][0]) if oldest else 0, streams.ms_of(newest) if newest else 0
        return begin_at(self._writer, self.strategy, first, last)

    def _read_history(self, fed: WarmedUp) -> WarmUp:
        """Return the bars that the strategy was fed at its origin.

        Raises
        ------
        DataError
            If the stream holds others.
        """
        assert self.origin is not None
        bars = read_bars(self.client, self.strategy, fed.first, fed.last)
        found = (len(bars), digest(bars))
        if found != (fed.bars, fed.digest):
            raise DataError(
                f"{keys.warm_up(self.strategy)} {fed.first} to {fed.last}: found {found[0]} bars with digest "
                f"{found[1]}, expected {fed.bars} with digest {fed.digest} as in {keys.ledger(self.strategy)}"
            )
        return WarmUp(self.origin.origin * NS_PER_MS, bars)

    def _restore(self, entry: Entry) -> None:
        if isinstance(entry, Origin):
            self.origin = entry
        self.booking.restore(entry)
        self.desk.restore(entry)

    def _recorded(self, ledger_id: str) -> int:
        """Return the newest step, in ms, with a ledger entry or flight record; from here on both must stay."""
        self._writer.newest[keys.ledger(self.strategy)] = ledger_id
        assert self.origin is not None
        recorded = max(streams.ms_of(ledger_id), self.origin.live_after)
        flight = streams.last_id(self.client, keys.flight(self.strategy))
        if flight is not None:
            self._writer.newest[keys.flight(self.strategy)] = flight
            recorded = max(recorded, streams.ms_of(flight))
        return recorded

    def _closed_bars(self, step_ms: int) -> dict[str, int]:
        """Every bar stream with the id, in ms, of the newest bar that can have closed by a step; 0 before the first."""
        ts = step_ms * NS_PER_MS
        closed: dict[str, int] = {}
        for symbol, rule in self.config.rules_of(self.strategy).items():
            starts = {
                Timeframe.MINUTE: ts - NS_PER_MINUTE,
                Timeframe.HOUR: ts - ts % NS_PER_HOUR - NS_PER_HOUR,
                Timeframe.DAY: session(session(ts, rule).start - 1, rule).start,
            }
            for timeframe, start in starts.items():
                closed[keys.bars(symbol, timeframe)] = to_ms(start) if ts else 0
        return closed

    def _try_next(self) -> Step | None:
        self.vitals.sign("running")
        past = None if self._warmup is None else self._warmup.next()
        if past is not None:
            return self._warm(past)
        self._is_warm = True
        self.booking.look(self.acked)
        entry = self._read_clock()
        if entry is None:
            return None
        self.vitals.latency.arrived(time.monotonic())
        pause(self.lease.role, "read")
        return self._step(entry, live=True)

    def _warm(self, entry: streams.Entry) -> Step:
        """Read a step of the warm-up; one whose bars cannot be read now is read again when the server is back."""
        assert self._warmup is not None
        try:
            return self._step(entry, live=False)
        except redis.RedisError:
            self._warmup.give_back(entry)
            raise

    def _read_clock(self) -> streams.Entry | None:
        if not self._pending and not self._recheck:
            entries = self._reader.wait(self.strategy, self.consumer, self._previous, BLOCK_MS)
            if not entries or not self._previous or parse_clock(entries[0])[1] == self._previous:
                return entries[0] if entries else None
            # Steps are missing: a holder before us, stopped and awake again, was served what is ours.
            self._recheck = True
        if self._recheck:
            self._pending = deque(streams.claim_predecessors(self.client, keys.CLOCK, self.strategy, self.consumer))
            self._recheck = False
        return self._pending.popleft() if self._pending else None

    def _step(self, entry: streams.Entry, *, live: bool) -> Step:
        clock_ms, previous = parse_clock(entry)
        if live and clock_ms <= self._previous:
            raise WentBack(f"{keys.CLOCK}: found {clock_ms}, expected a step after {self._previous}, which was done")
        expected = self._previous or (self.acked if live else 0)
        if expected and previous != expected:
            if not self.lease.renew():
                self.lease.check()
            raise DataError(
                f"{keys.CLOCK} {clock_ms}: comes after step {previous}, but the last one read was {expected}; "
                "a step is missing"
            )
        step = self._reader.read(clock_ms, previous, live=live)
        self._previous = clock_ms
        return step

    def _resilient(self, action: Callable[[], T]) -> T | None:
        """Do something on the server; if it is away, wait, and look at pending entries first when it is back."""
        try:
            return action()
        except redis.RedisError as error:
            if streams.is_groupless(error):
                raise WentBack(str(error)) from None
            if not is_away(error):
                raise
            log.warning("server away", reason=str(error))
            self._recheck = True
            if not self.stop.wait(SERVER_PAUSE):
                revive(self.config, self.stop.is_set)
            return None


def _archived(config: Config, told: Refill) -> tuple[Sequence[Bar], str]:
    """Return the minutes of a hole from the archive, and why they are not those that a hub named."""
    from polars.exceptions import PolarsError

    from pine.history.archive import Archive

    try:
        archive = Archive.of(config)
        bars = archive.bars(told.symbol, Timeframe.MINUTE, told.first_minute, told.last_minute + NS_PER_MINUTE)
    except (PineError, PolarsError, OSError) as error:
        return (), str(error)
    if told.matches(bars):
        return bars, ""
    return (), (
        f"archive {archive.store.shown}: found {len(bars)} minutes with digest {digest(bars)}, "
        f"expected {told.minutes} with digest {told.digest}"
    )
