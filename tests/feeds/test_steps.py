"""Steps from the streams: what closed at a boundary, all of it and nothing more, however far a worker is behind."""

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
import pytest
from redis import Redis

from pine.bus import keys, streams
from pine.bus.lease import Lease
from pine.bus.writer import Writer
from pine.core.bar import Bar
from pine.core.errors import DataError
from pine.core.timeframe import NS_PER_MS
from pine.core.times import to_ms
from pine.feeds import steps as steps_module
from pine.feeds.steps import MarketEvent, Step, StepReader, parse_clock

from .weeks import CHICAGO_RULE, HOUR_NS, MINUTE_NS, UTC_RULE, at, steps, walk, week

RULES = {"GC": CHICAGO_RULE, "ES": UTC_RULE}


@pytest.fixture
def writer(client: Redis) -> Writer:
    lease = Lease.try_acquire(client, keys.HUB)
    assert isinstance(lease, Lease)
    return Writer(client, keys.HUB, lease.token)


def put_bars(writer: Writer, bars: Iterable[Bar]) -> None:
    for bar in bars:
        stream = keys.bars(bar.symbol, bar.timeframe)
        writer.append(stream, streams.entry_id(to_ms(bar.start)), {"bar": bar.to_json()})


def put_clock(writer: Writer, step: Step) -> None:
    previous = streams.entry_id(to_ms(step.previous)) if step.previous else ""
    writer.append(keys.CLOCK, streams.entry_id(to_ms(step.ts)), {"prev": previous})


def publish(writer: Writer, step: Step) -> None:
    """Write a step as the hub does: everything that closes, then its clock entry."""
    put_bars(writer, [*step.minutes, *step.longer])
    for n, event in enumerate(step.events):
        payload = {"kind": event.kind, "symbol": event.symbol, **event.details}
        writer.append(keys.EVENTS, streams.entry_id(to_ms(step.ts), n), {"event": orjson.dumps(payload)})
    put_clock(writer, step)


def read_all(client: Redis, reader: StepReader, *, live: bool = True) -> list[Step]:
    entries = list(streams.read_range(client, keys.CLOCK))
    return [reader.read(*parse_clock(entry), live=live) for entry in entries]


def tape(seed: int, sunday: str = "2024-03-10") -> list[Step]:
    """Steps around a week's opening, a daily close and its end: two symbols, many minutes missing, some events."""
    rng = np.random.default_rng(seed)
    minutes = week(sunday)
    chosen = [*minutes[:70], *minutes[1300:1450], *minutes[-130:]]
    bars = [
        bar
        for n, symbol in enumerate(RULES)
        for bar in walk(symbol, [m for m in chosen if rng.random() < (0.9, 0.3)[n]], seed + n)
    ]
    events: dict[int, list[MarketEvent]] = {}
    for bar in bars:
        if rng.random() < 0.03:
            details: dict[str, Any] = {"first_minute": bar.start - MINUTE_NS, "last_minute": bar.start}
            events.setdefault(bar.start + MINUTE_NS, []).append(MarketEvent("reset", bar.symbol, details))
        if rng.random() < 0.03:
            events.setdefault(bar.start + MINUTE_NS, []).append(
                MarketEvent("roll", bar.symbol, {"from": "H4", "to": "M4", "close": bar.close})
            )
    return steps(bars, RULES, events=events, live_from=0)


@pytest.mark.parametrize("seed", [1, 2])
def test_steps_read_one_by_one_equal_those_read_ahead_and_what_was_published(
    client: Redis, writer: Writer, seed: int
) -> None:
    published = tape(seed)
    at_once = StepReader(client, RULES)
    one_by_one = []
    for step in published:
        publish(writer, step)
        writer.commit()
        one_by_one.append(at_once.read(to_ms(step.ts), to_ms(step.previous), live=True))
    behind = read_all(client, StepReader(client, RULES))
    assert one_by_one == published
    assert behind == published
    assert sum(len(step.events) for step in published) > 3
    assert sum(len(step.longer) for step in published) > 10


class Waiting:
    """A reader that waits for the clock as a worker does, and acknowledges what it was given."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.reader = StepReader(client, RULES)
        self.previous = 0
        streams.ensure_group(client, keys.CLOCK, "ibs_a")

    def next(self, block_ms: int = 1) -> Step | None:
        entries = self.reader.wait("ibs_a", "1", self.previous, block_ms)
        if not entries:
            return None
        (entry,) = entries
        self.previous, before = parse_clock(entry)
        client: Any = self.client
        client.xack(keys.CLOCK, "ibs_a", entry[0])
        return self.reader.read(self.previous, before, live=True)

    def all(self) -> list[Step]:
        return list(iter(self.next, None))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_steps_that_come_along_with_the_clock_are_what_was_published(client: Redis, writer: Writer, seed: int) -> None:
    """Whether one closes at a time or many, whether bars of the next stand there already, over a weekend too."""
    rng = np.random.default_rng(seed)
    published = tape(seed)
    waiting, seen, at_step = Waiting(client), [], 0
    while at_step < len(published):
        batch = published[at_step : at_step + int(rng.choice([1, 1, 1, 2, 30]))]
        at_step += len(batch)
        for step in batch:
            publish(writer, step)
        if rng.random() < 0.5 and at_step < len(published):
            put_bars(writer, published[at_step].minutes)
        writer.commit()
        seen += waiting.all() if rng.random() < 0.8 else []
    assert seen + waiting.all() == published


def test_a_step_that_is_waited_for_takes_one_exchange(
    client: Redis, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tape(1)
    waiting = Waiting(client)
    publish(writer, published[0])
    writer.commit()
    assert waiting.all() == published[:1]
    fetched: list[int] = []
    monkeypatch.setattr(StepReader, "_fetch", lambda _, ts: fetched.append(ts))
    later: list[Step | None] = []
    for step in published[1:8]:
        thread = threading.Thread(target=lambda: later.append(waiting.next(block_ms=10_000)))
        thread.start()
        publish(writer, step)
        writer.commit()
        thread.join()
    assert later == published[1:8]
    assert fetched == []


def test_with_very_many_streams_bars_are_asked_for_when_the_clock_has_moved(
    client: Redis, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_module, "ALONG", 3)
    published = tape(2)
    for step in published:
        publish(writer, step)
    writer.commit()
    assert Waiting(client).all() == published


@pytest.mark.parametrize("minutes", [1, 7, 61])
def test_how_far_is_read_ahead_makes_no_difference(
    client: Redis, writer: Writer, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    published = tape(4, "2024-11-03")
    for step in published:
        publish(writer, step)
    writer.commit()
    monkeypatch.setattr(steps_module, "LOOK_AHEAD", minutes * MINUTE_NS)
    assert read_all(client, StepReader(client, RULES)) == published


def test_a_reader_that_begins_anywhere_sees_each_step_whole(client: Redis, writer: Writer) -> None:
    published = tape(5)
    for step in published:
        publish(writer, step)
    writer.commit()
    for first in range(0, len(published), 37):
        step = published[first]
        assert StepReader(client, RULES).read(to_ms(step.ts), to_ms(step.previous), live=True) == step


def test_warm_up_steps_are_marked(client: Redis, writer: Writer) -> None:
    (step, *_) = tape(1)
    publish(writer, step)
    writer.commit()
    assert [step.live for step in read_all(client, StepReader(client, RULES), live=False)] == [False]


def test_a_symbol_that_the_worker_does_not_read_is_left_out(client: Redis, writer: Writer) -> None:
    for step in tape(1):
        publish(writer, step)
    writer.commit()
    seen = read_all(client, StepReader(client, {"ES": UTC_RULE}))
    symbols = {bar.symbol for step in seen for bar in (*step.minutes, *step.longer)}
    assert symbols == {"ES"} == {event.symbol for step in seen for event in step.events}


def test_the_order_of_bars_is_the_workers_order_of_symbols(client: Redis, writer: Writer) -> None:
    for step in tape(1):
        publish(writer, step)
    writer.commit()
    swapped = read_all(client, StepReader(client, {"ES": UTC_RULE, "GC": CHICAGO_RULE}))
    assert {tuple(bar.symbol for bar in step.minutes) for step in swapped} == {("ES", "GC"), ("ES",), ("GC",), ()}


def hour(start: str) -> tuple[list[Bar], list[Step]]:
    minutes = walk("ES", range(at(start), at(start) + HOUR_NS, MINUTE_NS), seed=9)
    return minutes, steps(minutes, {"ES": UTC_RULE})


def test_bars_beyond_the_clock_are_not_seen_early(client: Redis, writer: Writer) -> None:
    minutes, published = hour("2024-01-16T10:00")
    put_bars(writer, minutes[:20])
    put_clock(writer, published[0])
    put_clock(writer, published[1])
    writer.commit()
    reader = StepReader(client, {"ES": UTC_RULE})
    assert [list(step.minutes) for step in read_all(client, reader)] == [[minutes[0]], [minutes[1]]]
    put_clock(writer, published[2])
    writer.commit()
    assert list(reader.read(to_ms(published[2].ts), to_ms(published[1].ts), live=True).minutes) == [minutes[2]]


def test_an_hour_that_stands_before_its_end_is_not_seen_before_its_end(client: Redis, writer: Writer) -> None:
    _, published = hour("2024-01-16T10:00")
    put_bars(writer, [bar for step in published for bar in step.longer])
    for step in published[:60]:
        put_bars(writer, step.minutes)
        put_clock(writer, step)
    writer.commit()
    seen = read_all(client, StepReader(client, {"ES": UTC_RULE}))
    assert [len(step.longer) for step in seen] == [0] * 59 + [1]


def test_bars_that_come_after_a_read_ahead_are_found(client: Redis, writer: Writer) -> None:
    _, published = hour("2024-01-16T10:00")
    for step in published[:30]:
        publish(writer, step)
    writer.commit()
    reader = StepReader(client, {"ES": UTC_RULE})
    seen = [reader.read(to_ms(step.ts), to_ms(step.previous), live=True) for step in published[:10]]
    for step in published[30:]:
        publish(writer, step)
    writer.commit()
    seen += [reader.read(to_ms(step.ts), to_ms(step.previous), live=True) for step in published[10:]]
    assert seen == published


def test_what_was_consumed_is_known_by_stream(client: Redis, writer: Writer) -> None:
    _, published = hour("2024-01-16T22:00")
    for step in published:
        publish(writer, step)
    writer.commit()
    reader = StepReader(client, {"ES": UTC_RULE})
    read_all(client, reader)
    assert dict(reader.consumed) == {
        "market:ES:1min": to_ms(at("2024-01-16T22:59")),
        "market:ES:hourly": to_ms(at("2024-01-16T22:00")),
        "market:ES:daily": to_ms(at("2024-01-15T23:00")),
    }


def test_a_clock_entry_without_its_body_is_data_loss(client: Redis, writer: Writer) -> None:
    _, published = hour("2024-01-16T10:00")
    for step in published[:3]:
        put_clock(writer, step)
    writer.commit()
    streams.ensure_group(client, keys.CLOCK, "ibs_a")
    streams.read_group(client, keys.CLOCK, "ibs_a", "1", count=2)
    client.xtrim(keys.CLOCK, maxlen=0, approximate=False)
    (gone, *_) = streams.read_group(client, keys.CLOCK, "ibs_a", "1", after="0", count=2)
    with pytest.raises(DataError, match=rf"{keys.CLOCK} {to_ms(published[0].ts)}-0: .*trimmed"):
        parse_clock(gone)


def test_the_first_clock_entry_has_no_step_before_it() -> None:
    assert parse_clock(("60000-0", {b"prev": b"", b"fence": b"1"})) == (60_000, 0)
    assert parse_clock(("120000-0", {b"prev": b"60000-0"})) == (120_000, 60_000)


def test_a_bar_that_cannot_be_read_is_data_loss(client: Redis, writer: Writer) -> None:
    _, (step, *_) = hour("2024-01-16T10:00")
    writer.append("market:ES:1min", streams.entry_id((step.ts - MINUTE_NS) // NS_PER_MS), {"bar": b"{}"})
    put_clock(writer, step)
    writer.commit()
    with pytest.raises(DataError):
        read_all(client, StepReader(client, {"ES": UTC_RULE}))
