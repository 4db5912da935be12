"""The server fails over under Sentinel: everyone waits and resumes; nothing is lost, or it is made good."""

import signal
from collections import Counter
from pathlib import Path

import pytest
from house import END, House, at, ended, house, log
from sentinels import Node, watched
from waiting import until

from pine.bus import keys
from pine.sandbox.demo.record import Record, differences
from pine.sandbox.tape import Tape

QUICK = "appendfsync no\n"
"""Processes are killed here, no power is cut: what the system has is not lost."""


@pytest.mark.parametrize("replicas", [pytest.param(0, marks=pytest.mark.long), 1])
def test_with_the_master_killed_everyone_waits_for_the_next_and_goes_on_as_if_nothing_had_happened(
    replicas: int, tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    """Killed between acknowledged bars and their clock entries; then the next one, with the first one back."""
    with (
        watched(tmp_path / "servers", server=QUICK) as servers,
        house(tmp_path, tape, bus=f'url: "{servers.url}", replicas: {replicas}') as desk,
    ):
        worker = desk.worker("one")
        hub = desk.hub()
        desk.pauses.ask("hub", "facts-written")
        desk.play(at("2024-03-04T08:12"))
        desk.caught("hub", "facts-written")
        desk.delivered("one")
        until(servers.in_step, "the replica has everything")
        old = servers.master()
        old.kill()
        desk.pauses.release("hub", "facts-written")
        until(lambda: "server away" in log(hub), "the hub waits")
        until(lambda: '"logger":"worker.live","event":"server away"' in log(worker), "the worker waits")
        until(lambda: '"logger":"orders.courier","event":"server away"' in log(worker), "the courier waits")
        servers.replaced(old)
        if replicas:
            desk.play(at("2024-03-04T08:20"))
            until(lambda: waits(servers.master()) > 3, "they write, and wait for a replica")
            assert desk.last(keys.CLOCK) < at("2024-03-04T08:12"), "without a replica nothing follows from them"
        servers.rejoin(old)
        desk.play(END)
        desk.published(at("2024-03-04T12:00"))
        servers.rejoin(servers.fail_over())
        found = to_the_end(desk)
        assert not replicas or "went back" not in log(hub)
    assert differences(found, without_two(unbroken, found)) == []


def test_a_replica_that_lagged_takes_over_and_is_given_what_it_lacks(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    with (
        watched(tmp_path / "servers", server=QUICK) as servers,
        house(tmp_path, tape, bus=f'url: "{servers.url}"') as desk,
    ):
        worker = desk.worker("one")
        hub = desk.hub()
        desk.play(at("2024-03-04T08:12"))
        desk.decided("one", at("2024-03-04T08:12"))
        desk.delivered("one")
        until(servers.in_step, "the replica has everything")
        servers.part()
        desk.play(at("2024-03-04T10:12"))
        desk.decided("one", at("2024-03-04T10:12"))
        desk.delivered("one")
        posted = len(desk.posted())
        servers.fail_over()
        assert desk.last(keys.CLOCK) <= at("2024-03-04T08:13"), "the replica was to lag"
        until(lambda: "lost what it had acknowledged" in log(hub), "the hub notices")
        until(lambda: "starting again from what the server holds" in log(worker), "the worker notices")
        found = to_the_end(desk)
        assert len(desk.posted()) > posted > 0
    assert differences(found, without_two(unbroken, found)) == []


def waits(server: Node) -> int:
    """Return how often somebody has waited for a server's replicas."""
    with server.client() as client:
        return int(client.info("commandstats").get("cmdstat_wait", {}).get("calls", 0))


@pytest.mark.long
def test_a_master_that_is_suspended_is_given_up_and_what_it_takes_when_it_wakes_up_counts_for_nothing(
    tape: Tape, unbroken: Record, tmp_path: Path
) -> None:
    with (
        watched(tmp_path / "servers", server=QUICK) as servers,
        house(tmp_path, tape, bus=f'url: "{servers.url}"') as desk,
    ):
        worker = desk.worker("one")
        hub = desk.hub()
        watching = desk.start("status --watch")
        desk.play(at("2024-03-04T08:12"))
        desk.decided("one", at("2024-03-04T08:12"))
        desk.delivered("one")
        until(servers.in_step, "the replica has everything")
        old = servers.master()
        old.pause()
        desk.play(at("2024-03-04T10:12"))
        servers.replaced(old)
        desk.client.connection_pool.disconnect()  # type: ignore[attr-defined]
        until(lambda: "server away" in log(hub), "the hub gives it up")
        until(lambda: "server away" in log(worker), "the worker gives it up")
        desk.published(at("2024-03-04T10:12"))
        old.wake()
        until(lambda: servers.follows(old), "it follows")
        found = to_the_end(desk)
        watching.process.send_signal(signal.SIGINT)
        assert ended(watching) == 1
        assert "worker two is not running" in log(watching), "it has found the other server"
        assert "Traceback" not in log(watching)
    assert differences(found, without_two(unbroken, found)) == []


def to_the_end(desk: House) -> Record:
    """Play the rest of the tape; every intent was posted, once."""
    desk.play(END)
    desk.decided("one", END)
    desk.delivered("one")
    assert Counter(desk.posted()) == Counter(intent.id for intent in desk.intents("one"))
    return desk.record()


def without_two(record: Record, like: Record) -> Record:
    """Leave the strategy out that did not run."""
    return {name: record.get(name, []) for name in like if not name.endswith(":two")} | {
        name: [] for name in like if name.endswith(":two")
    }
