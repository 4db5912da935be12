"""A worker that ends at any step, in order or not, goes on as if nothing had happened."""

import fcntl
import math
import os
import signal
from pathlib import Path

import orjson
import pytest
from market import begin, closed_bars, configure, lags, publish, record, written

from pine.bus import embedded, keys, streams
from pine.bus.client import Client
from pine.bus.embedded import EmbeddedServer
from pine.core.errors import DataError, Fenced
from pine.feeds.steps import Step
from pine.orders.entries import Control, Intent, Void, decode
from pine.orders.ledger import read_ledger


def test_the_market_of_these_tests_leads_to_entries_exits_and_fills(unbroken: dict[str, list]) -> None:
    kinds = [type(decode(fields[b"entry"])).__name__ for _, fields in unbroken[keys.ledger("one")]]
    assert kinds.count("Intent") >= 10
    assert kinds.count("Fill") >= 10


@pytest.mark.parametrize(
    "steps", [pytest.param(1, marks=pytest.mark.long), 61, 1000, pytest.param(2500, marks=pytest.mark.long)]
)
def test_a_worker_stopped_between_steps_continues_with_the_same_ledger_and_flights(
    steps: int, unbroken: dict[str, list], client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    first = begin(client, config, "one")
    publish(client, config, closed_bars())
    first.until_step(steps)
    begin(client, config, "one").until_caught_up()
    assert written(client) == unbroken


def test_a_step_that_was_read_but_not_acknowledged_is_run_by_the_successor(
    unbroken: dict[str, list], client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    first = begin(client, config, "one")
    publish(client, config, closed_bars())
    first.until_step(700)
    dead = begin(client, config, "one")
    assert streams.read_group(client, keys.CLOCK, "one", dead.source.consumer) != []
    dead.source.lease.release()
    begin(client, config, "one").until_caught_up()
    assert written(client) == unbroken


@pytest.mark.parametrize("stolen", [pytest.param(1, marks=pytest.mark.long), 3])
def test_steps_that_a_stopped_and_awakened_predecessor_was_served_are_taken_back(
    stolen: int, unbroken: dict[str, list], client: Client, tmp_path: Path
) -> None:
    """Its read, blocked since before it lost the role, is answered with what belongs to its successor."""
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    newest = streams.ms_of(streams.last_id(client, keys.CLOCK) or "0")
    count = iter(range(10**6))

    def steal(step) -> bool:
        if next(count) == 500:
            assert len(streams.read_group(client, keys.CLOCK, "one", "0", count=stolen)) == stolen
        return step.ts // 1_000_000 == newest

    run.until(steal)
    assert written(client) == unbroken


def test_a_worker_whose_role_was_taken_over_cannot_write_any_more(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    stale = begin(client, config, "one")
    publish(client, config, closed_bars())
    stale.source.lease.release()  # as if it had run out
    fresh = begin(client, config, "one")
    with pytest.raises(Fenced):
        stale.until_caught_up()
    fresh.source.lease.release()
    assert [identifier for identifier, _ in read_ledger(client, "one")] == ["0-1"]


def test_a_first_start_on_full_streams_warms_up_and_decides_nothing_about_the_past(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    publish(client, config, closed_bars())
    run = begin(client, config, "one")
    run.until_caught_up()
    assert run.engine.steps == client.xlen(keys.CLOCK)
    assert client.xlen(keys.flight("one")) == 0
    assert [type(entry).__name__ for _, entry in read_ledger(client, "one")] == ["Origin"]


def test_a_warmed_up_worker_decides_like_one_that_was_there_all_along(
    unbroken: dict[str, list], client: Client, tmp_path: Path
) -> None:
    """Flights differ only in what follows from positions; what was observed of the bars is the same."""
    config = configure(tmp_path)
    closed = closed_bars()
    publish(client, config, closed[:2000])
    run = begin(client, config, "one")
    publish(client, config, closed[2000:])
    run.until_caught_up()
    ours = {i: orjson.loads(f[b"flight"])["observed"] for i, f in record(client, keys.flight("one"))}
    theirs = {i: orjson.loads(f[b"flight"])["observed"] for i, f in unbroken[keys.flight("one")]}
    assert len(ours) > 10
    assert [[o["ibs"] for o in ours[i]] for i in ours] == [[o["ibs"] for o in theirs[i]] for i in ours]


def test_a_missing_clock_entry_stops_the_worker_with_the_step_named(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[:50])
    gone = streams.entry_id(closed_bars()[20].boundary // 1_000_000)
    client.xdel(keys.CLOCK, gone)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=gone[:-2]):
        run.until_caught_up()


def test_requests_are_booked_once_at_the_last_step_and_hold_after_a_restart(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    closed = closed_bars()
    run = begin(client, config, "one")
    publish(client, config, closed[:200])
    run.until_caught_up()
    halt = {"order": "halt", "reason": "lunch", "who": "me"}
    client.xadd(keys.control("one"), {"request": orjson.dumps(halt)})
    client.xadd(keys.control("one"), {"request": b"nonsense"})
    publish(client, config, closed[200:])
    begin(client, config, "one").until_caught_up()
    entries = list(read_ledger(client, "one"))
    assert [e.reason for _, e in entries if isinstance(e, Control)] == ["lunch"]
    at = next(streams.ms_of(i) for i, e in entries if isinstance(e, Control))
    later = [e for i, e in entries if isinstance(e, Intent) and e.is_entry and streams.ms_of(i) > at]
    assert later == []
    assert at >= closed[199].boundary // 1_000_000
    assert begin(client, config, "one").source.desk.portfolio.halted == "lunch"


def test_a_voided_entry_takes_its_paper_position_back(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    closed = closed_bars()
    run = begin(client, config, "one")
    publish(client, config, closed)
    positions = run.source.desk.portfolio.positions
    run.until(lambda _: bool(positions))
    wanted = [position.entry for position in positions.values()]
    void = {"order": "void", "intent": wanted[0], "reason": "rejected"}
    client.xadd(keys.deliveries("one"), {"intent": wanted[0], "state": "rejected", "at": "1"})
    client.xadd(keys.control("one"), {"request": orjson.dumps(void)})
    begin(client, config, "one").until_step(1)
    assert [e.intent for _, e in read_ledger(client, "one") if isinstance(e, Void)] == wanted[:1]
    restored = begin(client, config, "one").source.desk.portfolio
    assert wanted[0] not in {position.entry for position in restored.positions.values()}


@pytest.mark.parametrize("state", ["posted", "unknown", "attempt", None])
def test_a_void_of_an_entry_that_may_have_been_posted_is_refused(
    client: Client, tmp_path: Path, state: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    positions = run.source.desk.portfolio.positions
    run.until(lambda _: bool(positions))
    entry = next(iter(positions.values())).entry
    if state is not None:
        client.xadd(keys.deliveries("one"), {"intent": entry, "state": state, "at": "1"})
    void = {"order": "void", "intent": entry, "reason": "by hand"}
    client.xadd(keys.control("one"), {"request": orjson.dumps(void)})
    again = begin(client, config, "one")
    again.source.booking.look(again.source.acked)
    assert not [e for _, e in read_ledger(client, "one") if isinstance(e, Void)]
    assert entry in {position.entry for position in again.source.desk.portfolio.positions.values()}
    assert "void refused" in caplog.text
    assert not client.xpending(keys.control("one"), "worker")["pending"]


def test_every_stream_of_the_strategy_shows_no_lag_when_caught_up(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars())
    run.until_caught_up()
    assert set(lags(client).values()) == {0}
    assert streams.group_info(client, keys.CLOCK, "one")["lag"] == 0


def test_flatten_closes_every_position_once_through_the_ledger_with_the_hub_down(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    closed = closed_bars()
    run = begin(client, config, "one")
    publish(client, config, closed)
    positions = run.source.desk.portfolio.positions
    run.until(lambda _: len(positions) == 2)
    at = streams.ms_of(streams.group_info(client, keys.CLOCK, "one")["last-delivered-id"])
    for stream in (keys.CLOCK, *(f"market:{s}:1min" for s in ("ES", "GC"))):
        client.xtrim(stream, maxlen=sum(1 for _ in streams.read_range(client, stream, last=str(at))))  # type: ignore[attr-defined]
    begun = begin(client, config, "one")
    held = {position.entry: position.contract for position in begun.source.desk.portfolio.positions.values()}
    flatten = {"order": "flatten", "reason": "I want out", "who": "anna"}
    identifier = client.xadd(keys.control("one"), {"request": orjson.dumps(flatten)}).decode()
    begun.source.booking.look(begun.source.acked)
    begun.source.booking.look(begun.source.acked)
    entries = [entry for _, entry in read_ledger(client, "one")]
    assert [e.order for e in entries if isinstance(e, Control)] == ["flatten"]
    exits = [e for e in entries if isinstance(e, Intent) and e.reason == "flatten"]
    assert {e.entry: e.contract for e in exits} == held
    assert all(identifier in e.id and e.facts == {"who": "anna", "why": "I want out"} for e in exits)


@pytest.mark.parametrize(
    "after", [pytest.param(0, marks=pytest.mark.long), 300, pytest.param(1998, marks=pytest.mark.long)]
)
def test_a_server_killed_during_the_warm_up_costs_no_step(
    after: int, unbroken: dict[str, list], client: Client, server: EmbeddedServer, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    first = begin(client, config, "one")
    publish(client, config, closed_bars())
    first.until_step(2300)
    second = begin(client, config, "one")
    newest = streams.ms_of(streams.last_id(client, keys.CLOCK) or "0")
    steps = iter(range(10**6))

    def look(step: Step) -> bool:
        if next(steps) == after:
            assert not step.live
            os.kill(server.pid() or 0, signal.SIGKILL)
        return step.ts // 1_000_000 == newest

    second.until(look)
    assert written(client) == unbroken


def test_a_worker_that_is_asked_to_end_does_not_wait_for_a_server_that_is_away(
    client: Client, server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(tmp_path)
    run = begin(client, config, "one")
    publish(client, config, closed_bars()[:50])
    run.until_caught_up()
    server.stop()
    looks = iter((False, True))

    def look(_: EmbeddedServer, silence: float | None) -> bool:
        if next(looks):
            run.stop.set()
        return False

    with monkeypatch.context() as patched, (server.folder / "lock").open("w") as held_by_another:
        patched.setattr(embedded, "START_TIMEOUT", math.inf)
        patched.setattr(EmbeddedServer, "_answers", look)
        fcntl.flock(held_by_another, fcntl.LOCK_EX)
        run.stop.clear()  # set when it had caught up
        assert run.source.next() is None
    assert list(looks) == []
    server.ensure()
