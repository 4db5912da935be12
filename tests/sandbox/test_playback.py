"""Where the tape is: pace, heartbeats, the end, and clients that come later."""

from collections.abc import Callable
from queue import SimpleQueue

import databento_dbn as dbn
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pine.core.timeframe import NS_PER_HOUR, NS_PER_SECOND
from pine.sandbox.background import GatewayThread
from pine.sandbox.gateway import Gateway
from pine.sandbox.reel import WEEK, Reel
from pine.sandbox.tapeclock import TapeClock

from .client import DEADLINE_S, LsgClient
from .tapes import ES, GC, at, tape

Serve = Callable[[Gateway], GatewayThread]
Events = SimpleQueue[tuple[str, object]]


class HandClock:
    """Real time that passes when the test says so."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns

    def set(self, seconds: float) -> None:
        self.ns = round(seconds * NS_PER_SECOND)


def heard(events: Events, count: int) -> list[tuple[str, object]]:
    """Wait for a number of events."""
    return [events.get(timeout=DEADLINE_S) for _ in range(count)]


def seconds(client: LsgClient) -> list[float]:
    """Arrival times of trades in seconds after the start of the tape."""
    return [(trade.ts_recv - at(0)) / NS_PER_SECOND for trade in client.trades]


def beats(client: LsgClient) -> list[float]:
    """Times of heartbeats in seconds after the start of the tape, which a paced tape starts 1 ns early."""
    return [round((ts - at(0)) / NS_PER_SECOND, 3) for ts in client.beats]


def begin(client: LsgClient, clock: HandClock, start: int | None = None) -> LsgClient:
    """Start the first session, and the tape with it."""
    client.open(start=start).read_until(lambda c: c.system("subscription_ack"))
    clock.set(0.001)
    return client


def times(client: LsgClient) -> list[int]:
    """Tape times of trades and heartbeats in the order of arrival."""
    return [
        record.ts_recv if isinstance(record, dbn.TradeMsg) else record.ts_event
        for record in client.records
        if isinstance(record, dbn.TradeMsg) or str(getattr(record, "code", "")) == "heartbeat"
    ]


def test_records_come_when_tape_time_reaches_them(serve: Serve) -> None:
    clock = HandClock()
    thread = serve(Gateway(tape((0, ES), (10, ES), (20, ES), (300, ES)), speed=10.0, monotonic=clock))
    with LsgClient(thread.port, heartbeat=1) as client:
        begin(client, clock).read_until(lambda c: seconds(c) == [0])
        clock.set(1.5)
        client.read_until(lambda c: seconds(c) == [0, 10])
        clock.set(2.1)
        client.read_until(lambda c: seconds(c) == [0, 10, 20])
        clock.set(29.9)
        client.read_until(lambda c: beats(c)[-1:] == [299])
        assert seconds(client) == [0, 10, 20]


def test_heartbeat_never_overtakes_a_record(serve: Serve) -> None:
    clock = HandClock()
    thread = serve(Gateway(tape(*((n, ES) for n in range(0, 400, 25))), speed=100.0, monotonic=clock))
    with LsgClient(thread.port, heartbeat=1) as client:
        begin(client, clock)
        for _ in range(60):
            clock.ns += 60_000_000
            assert client.read()
    assert client.beats
    assert times(client) == sorted(times(client))


def test_tape_runs_on_without_clients_and_is_replayed_to_the_next(serve: Serve) -> None:
    clock = HandClock()
    thread = serve(Gateway(tape((0, ES), (10, ES), (20, ES), (30, ES)), speed=1.0, monotonic=clock))
    with LsgClient(thread.port) as first:
        begin(first, clock).read_until(lambda c: seconds(c) == [0])
    clock.set(25)
    with LsgClient(thread.port) as late, LsgClient(thread.port) as live:
        late.open(start=at(5)).read_until(lambda c: c.system("replay_completed"))
        assert seconds(late) == [10, 20]
        live.open().read_until(lambda c: c.system("subscription_ack"))
        clock.set(31)
        late.read_until(lambda c: seconds(c) == [10, 20, 30])
        live.read_until(lambda c: seconds(c) == [30])


def test_full_speed_position_is_the_furthest_record_sent(serve: Serve) -> None:
    thread = serve(Gateway(tape((0, ES), (1, GC), (2, ES))))
    with LsgClient(thread.port) as first:
        first.open("GC.FUT").read_until(lambda c: len(c.beats) >= 26)
    with LsgClient(thread.port) as live:
        live.open().read_until(lambda c: len(c.beats) >= 26)
        assert seconds(live) == []
    with LsgClient(thread.port) as replaying:
        replaying.open(start=0).read_until(lambda c: c.system("replay_completed"))
        assert seconds(replaying) == [0, 2]


def test_gap_at_full_speed_has_one_heartbeat(serve: Serve) -> None:
    thread = serve(Gateway(tape((0, ES), (5, GC), (10, ES), (100, ES), (105, ES)), then="close"))
    with LsgClient(thread.port, heartbeat=30) as client:
        client.open().read_all()
    assert client.beats[0] == at(40)
    assert client.beats[1] > at(105)
    assert times(client) == sorted(times(client))


def test_replay_has_no_heartbeats(serve: Serve) -> None:
    thread = serve(Gateway(tape((0, ES), (100, ES), (200, ES)), then="close"))
    with LsgClient(thread.port) as first:
        first.open().read_all()
    with LsgClient(thread.port) as client:
        client.open(start=0).read_all()
    assert seconds(client) == [0, 100, 200]
    assert client.beats[0] > at(200)


@pytest.mark.parametrize("then", ["idle", "close"])
def test_full_speed_tail_covers_26_hours(serve: Serve, then: str) -> None:
    events: Events = SimpleQueue()
    clock = HandClock()
    gateway = Gateway(
        tape((0, ES), (1, GC)),
        then="idle" if then == "idle" else "close",
        monotonic=clock,
        notify=lambda name, fields: events.put((name, fields.get("ts"))),
    )
    thread = serve(gateway)
    with LsgClient(thread.port, heartbeat=1) as client:
        client.open().read_until(lambda c: len(c.beats) == 26)
        assert client.beats == [at(1) + hour * NS_PER_HOUR for hour in range(1, 27)]
        if then == "close":
            client.read_all()
        else:
            clock.set(3)
            client.read_until(lambda c: len(c.beats) == 27)
            assert client.beats[-1] == at(1 + 3) + 26 * NS_PER_HOUR
    assert heard(events, 2) == [("session", None), ("tape_end", at(1) + 26 * NS_PER_HOUR)]


def test_paced_tape_closes_right_after_its_last_record(serve: Serve) -> None:
    events: Events = SimpleQueue()
    clock = HandClock()
    gateway = Gateway(
        tape((0, ES), (5, ES)),
        speed=1.0,
        then="close",
        monotonic=clock,
        notify=lambda name, fields: events.put((name, fields.get("ts"))),
    )
    thread = serve(gateway)
    with LsgClient(thread.port) as client:
        begin(client, clock).read_until(lambda c: seconds(c) == [0])
        clock.set(6)
        client.read_all()
    assert seconds(client) == [0, 5]
    assert heard(events, 2)[-1] == ("tape_end", at(5))


def test_paced_tape_idles_at_its_own_speed_for_a_day_and_then_in_real_time(serve: Serve) -> None:
    events: Events = SimpleQueue()
    clock = HandClock()
    gateway = Gateway(
        tape((0, ES), (5, ES)),
        speed=1000.0,
        monotonic=clock,
        notify=lambda name, fields: events.put((name, fields.get("ts"))),
    )
    thread = serve(gateway)
    with LsgClient(thread.port) as client:
        begin(client, clock).read_until(lambda c: seconds(c) == [0])
        clock.set(1)
        client.read_until(lambda c: seconds(c) == [0, 5])
        clock.set(2)
        client.read_until(lambda c: beats(c) == [2000])
        clock.set(100)
        client.read_until(lambda c: beats(c) == [2000, 93_611.395])
        clock.set(1100)
        client.read_until(lambda c: beats(c) == [2000, 93_611.395, 94_611.395])
        assert heard(events, 2)[-1] == ("tape_end", client.beats[1])


def test_loop_starts_again_a_week_later(serve: Serve) -> None:
    thread = serve(Gateway(tape((0, ES), (5, GC), (9, ES)), then="loop"))
    with LsgClient(thread.port) as client:
        client.open().read_until(lambda c: len(c.trades) >= 6)
    week = WEEK / NS_PER_SECOND
    assert seconds(client)[:6] == [0, 9, week, week + 9, 2 * week, 2 * week + 9]
    events = [trade.ts_event for trade in client.trades[:4]]
    assert events[2] - events[0] == WEEK


gaps = st.lists(st.integers(0, 10**15), min_size=1, max_size=30)


def reel_of(steps: list[int], *, loop: bool) -> Reel:
    total, rows = 0, []
    for step in steps:
        total += step
        rows.append((total / NS_PER_SECOND, ES))
    return Reel(tape(*rows), loop=loop)


@given(gaps, st.booleans(), st.integers(0, 100))
def test_blocks_cover_every_position_once(steps: list[int], loop: bool, start: int) -> None:
    reel = reel_of(steps, loop=loop)
    stop = start + 2 * len(steps) if reel.end is None else reel.end
    seen = []
    for block in reel.blocks(start, stop):
        seen += [(at_, block.shift) for at_ in range(block.start, block.stop)]
    expected = [divmod(position, len(steps))[::-1] for position in range(start, stop)]
    assert seen == [(at_, turn * reel.turn) for at_, turn in expected]


@given(gaps, st.booleans(), st.data())
def test_due_counts_exactly_the_records_that_are_not_later(steps: list[int], loop: bool, data: st.DataObject) -> None:
    reel = reel_of(steps, loop=loop)
    last = len(steps) * (3 if loop else 1)
    moment = data.draw(
        st.one_of(
            st.integers(at(0) - 10, reel.time_of(last - 1) + 10),
            st.integers(0, last - 1).map(reel.time_of),
            st.integers(0, last - 1).map(lambda position: reel.time_of(position) - 1),
        )
    )
    assert min(reel.due(moment), last) == sum(reel.time_of(position) <= moment for position in range(last))


@given(gaps, st.integers(0, 5 * WEEK))
def test_no_wanted_record_lies_before_the_earliest_position(steps: list[int], later: int) -> None:
    reel = reel_of(steps, loop=True)
    start = at(0) + later
    events = reel.tape.ts_event
    for position in range(reel.earliest(start)):
        turn, at_ = divmod(position, len(steps))
        assert int(events[at_]) + turn * reel.turn < start


@given(gaps)
def test_time_never_runs_back_over_turns_and_turns_are_whole_weeks(steps: list[int]) -> None:
    reel = reel_of(steps, loop=True)
    times = [reel.time_of(position) for position in range(3 * len(steps))]
    assert times == sorted(times)
    assert reel.turn % WEEK == 0
    assert times[len(steps)] > times[len(steps) - 1]


@given(gaps, st.floats(0.1, 1e6), st.lists(st.integers(0, 10**12), min_size=2, max_size=10))
def test_tape_time_and_position_only_grow(steps: list[int], speed: float, moments: list[int]) -> None:
    clock = HandClock()
    tape_clock = TapeClock(reel_of(steps, loop=False), speed, clock)
    tape_clock.begin()
    seen = []
    for clock.ns in sorted(moments):
        now = tape_clock.now()
        seen.append((now, tape_clock.position(now)))
    assert seen == sorted(seen)
