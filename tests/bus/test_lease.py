"""Leases: at most one holder, each with a higher number than the one before."""

import threading
from collections.abc import Iterator

import pytest
import redis
from redis import Redis
from waiting import children, until

from pine.bus import keys
from pine.bus import lease as lease_module
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer
from pine.bus.lease import Lease, holder_name
from pine.bus.writer import Writer
from pine.core.errors import Fenced

ROLE = "worker:ibs_a"
LONG_MS = 3_600_000


def take(client: Redis, holder: str | None = None, role: str = ROLE) -> Lease:
    lease = Lease.try_acquire(client, role, holder)
    assert isinstance(lease, Lease), f"{lease} holds {role}"
    return lease


def expire(client: Redis, role: str = ROLE) -> None:
    """Let a lease run out, as it does when its holder stops renewing."""
    client.pexpire(keys.lease(role), 1)
    until(lambda: not client.exists(keys.lease(role)), "the lease runs out")


@pytest.fixture
def other(server: EmbeddedServer, client: Redis) -> Iterator[Redis]:
    """Another process's connection."""
    connection = client_for(server.url)
    yield connection
    connection.close()


def test_one_holds_and_the_other_is_told_who(client: Redis, other: Redis) -> None:
    lease = take(client)
    assert Lease.try_acquire(other, ROLE) == f"{holder_name()}#{lease.token}"
    assert Lease.try_acquire(client, ROLE, "even me again") == f"{holder_name()}#{lease.token}"


def test_roles_are_held_apart(client: Redis) -> None:
    assert take(client, role=keys.HUB).token == take(client).token == take(client, role="courier:ibs_a").token == 1


def test_tokens_grow_with_every_holder_also_over_expiry_and_restart(server: EmbeddedServer, client: Redis) -> None:
    tokens = []
    for _ in range(3):
        lease = take(client)
        tokens.append(lease.token)
        lease.release()
        tokens.append(take(client).token)
        expire(client)
    server.stop()
    server.ensure()
    tokens.append(take(client).token)
    assert tokens == sorted(set(tokens))


def test_release_lets_the_next_in_at_once(client: Redis, other: Redis) -> None:
    lease = take(client)
    lease.release()
    assert take(other).token == lease.token + 1


def test_release_leaves_a_successor_alone(client: Redis, other: Redis) -> None:
    lease = take(client)
    expire(client)
    successor = take(other)
    lease.release()
    assert successor.renew()


def test_a_lease_runs_out_by_itself(client: Redis) -> None:
    take(client)
    assert 0 < client.pttl(keys.lease(ROLE)) <= lease_module.TTL_MS


def test_renewing_after_expiry_keeps_the_role_if_nobody_took_it(client: Redis, other: Redis) -> None:
    lease = take(client)
    expire(client)
    assert lease.renew()
    lease.check()
    assert Lease.try_acquire(other, ROLE) == lease.holder


def test_renewing_after_somebody_took_it_loses_the_role(client: Redis, other: Redis) -> None:
    lease = take(client)
    expire(client)
    successor = take(other, "somebody else")
    assert not lease.renew()
    assert lease.lost.is_set()
    with pytest.raises(Fenced, match=ROLE):
        lease.check()
    assert successor.renew()
    successor.check()


def test_renewing_after_somebody_took_it_and_left_loses_the_role_too(client: Redis, other: Redis) -> None:
    lease = take(client)
    expire(client)
    take(other).release()
    assert not lease.renew()
    with pytest.raises(Fenced):
        lease.check()


def test_a_holder_that_missed_its_end_cannot_write(client: Redis, other: Redis) -> None:
    lease = take(client)
    expire(client)
    take(other)
    lease.check()  # it does not know yet
    writer = Writer(client, ROLE, lease.token)
    writer.append(keys.ledger("ibs_a"), "1-0", {"entry": "late"})
    with pytest.raises(Fenced):
        writer.commit()
    assert not client.exists(keys.ledger("ibs_a"))


def test_a_kept_lease_is_renewed_in_the_background(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.01)
    lease = take(client)
    lease.keep()
    for _ in range(3):
        client.pexpire(keys.lease(ROLE), LONG_MS)
        until(lambda: client.pttl(keys.lease(ROLE)) <= lease_module.TTL_MS, "the lease is renewed")
    lease.release()
    assert not client.exists(keys.lease(ROLE))


def test_a_kept_lease_notices_that_it_was_lost(client: Redis, other: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.01)
    lease = take(client)
    client.delete(keys.lease(ROLE))
    take(other, "somebody else")
    lease.keep()
    until(lease.lost.is_set, "the loss is noticed")
    with pytest.raises(Fenced):
        lease.check()
    lease.release()
    assert client.exists(keys.lease(ROLE))


def test_a_server_that_is_away_for_a_while_does_not_cost_the_role(
    server: EmbeddedServer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_SECONDS", 0.01)
    lease = take(client)
    lease.keep()
    server.stop()
    server.ensure()
    client.pexpire(keys.lease(ROLE), LONG_MS)
    until(lambda: 0 < client.pttl(keys.lease(ROLE)) <= lease_module.TTL_MS, "the lease is renewed again")
    lease.check()
    lease.release()


def test_waiting_tells_once_who_is_waited_for_and_ends_with_the_role(client: Redis, other: Redis) -> None:
    lease = take(client)
    told: list[str] = []
    waiting, taken = threading.Event(), []

    def on_wait(holder: str) -> None:
        told.append(holder)
        waiting.set()

    thread = threading.Thread(target=lambda: taken.append(Lease.acquire(other, ROLE, on_wait, threading.Event())))
    thread.start()
    assert waiting.wait(20)
    lease.release()
    thread.join(20)
    assert [next_lease.token for next_lease in taken] == [lease.token + 1]
    assert told == [lease.holder]


class Counted(threading.Event):
    """Counts how often somebody has waited on it, and lets nobody wait long."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait a little, whatever was asked for."""
        self.waits += 1
        return super().wait(0.01)


def test_waiting_outlasts_a_server_that_is_away(server: EmbeddedServer, client: Redis, other: Redis) -> None:
    lease = take(client)
    stop, taken = Counted(), []

    def wait_for_it() -> None:
        try:
            taken.append(Lease.acquire(other, ROLE, lambda _: None, stop))
        except redis.RedisError as error:
            taken.append(error)

    def rounds(more: int) -> None:
        seen = stop.waits
        until(lambda: taken or stop.waits >= seen + more, "it goes on asking")

    thread = threading.Thread(target=wait_for_it)
    thread.start()
    rounds(2)
    server.stop()
    rounds(2)
    server.ensure()
    lease.release()
    thread.join(20)
    assert [getattr(outcome, "token", outcome) for outcome in taken] == [lease.token + 1]


def test_waiting_can_be_stopped(client: Redis, other: Redis) -> None:
    lease = take(client)
    stop = threading.Event()
    assert Lease.acquire(other, ROLE, lambda _: stop.set(), stop) is None
    assert lease.renew()


def test_of_many_threads_exactly_one_gets_the_role(server: EmbeddedServer, client: Redis) -> None:
    count = 8
    barrier = threading.Barrier(count)
    outcomes: list[Lease | str] = []

    def race(n: int) -> None:
        connection = client_for(server.url)
        connection.ping()
        barrier.wait()
        outcomes.append(Lease.try_acquire(connection, ROLE, f"thread {n}"))
        connection.close()

    threads = [threading.Thread(target=race, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (outcome for outcome in outcomes if isinstance(outcome, Lease))
    assert [outcome for outcome in outcomes if outcome is not winner] == [winner.holder] * (count - 1)


RACER = """
import sys
from pine.bus.connection import client_for
from pine.bus.lease import Lease
client = client_for(sys.argv[1])
client.ping()
print("ready", flush=True)
input()
outcome = Lease.try_acquire(client, "worker:ibs_a")
print(f"{outcome.holder if isinstance(outcome, Lease) else outcome} {isinstance(outcome, Lease)}", flush=True)
input()
"""


def test_of_many_processes_exactly_one_gets_the_role(server: EmbeddedServer, client: Redis) -> None:
    with children(RACER, server.url, count=3) as racers:
        assert [racer.line() for racer in racers] == ["ready"] * 3
        for racer in racers:
            racer.go()
        answers = [racer.line().split() for racer in racers]
    assert sorted(won for _, won in answers) == ["False", "False", "True"]
    assert len({holder for holder, _ in answers}) == 1


HOLDER = """
import sys
from pine.bus import lease
from pine.bus.connection import client_for
lease.TTL_MS, lease.RENEW_SECONDS = 1500, 0.1
held = lease.Lease.try_acquire(client_for(sys.argv[1]), "worker:ibs_a")
held.keep()
print(held.token, flush=True)
input()
"""


def test_a_holder_killed_outright_is_replaced_once_its_lease_runs_out(server: EmbeddedServer, client: Redis) -> None:
    with children(HOLDER, server.url) as (holder,):
        token = int(holder.line())
        assert isinstance(Lease.try_acquire(client, ROLE), str)
        holder.kill()
        lease = Lease.acquire(client, ROLE, lambda _: None, threading.Event())
    assert isinstance(lease, Lease)
    assert lease.token == token + 1
