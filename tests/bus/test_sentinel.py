"""Sentinel: clients follow the master, never one that was replaced, and what replicas must have is not lost."""

import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from sentinels import SERVER, SERVICE, Node, Watched, guarded, watched
from tls import TlsFront
from waiting import until

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import assert_fit, client_for, connect, is_away
from pine.bus.lease import Lease
from pine.bus.writer import Writer, Written
from pine.core.config import BusConfig, Config
from pine.core.errors import BusError, ServerUnfit


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One set for this file; a test that has the master replaced lets the old one come back."""
    with watched(tmp_path_factory.mktemp("sentinel")) as running:
        yield running


@pytest.fixture
def client(servers: Watched) -> Iterator[Client]:
    connection = client_for(servers.url)
    connection.flushall()  # type: ignore[attr-defined]
    yield connection
    connection.close()


def failure(action: Callable[[], Any]) -> redis.RedisError | None:
    """Do something and return how it failed; that must be known as a server that is away."""
    try:
        action()
    except redis.RedisError as error:
        found = error
    else:
        return None
    assert is_away(found), repr(found)
    return found


def lasting(action: Callable[[], Any]) -> Any:
    """Do something until it works."""
    done: list[Any] = []

    def worked() -> bool:
        return failure(lambda: done.append(action())) is None

    until(worked, "it works again")
    return done[0]


def config_for(folder: Path, url: str, replicas: int = 0) -> Config:
    return Config(path=folder / "pine.yaml", data_dir=folder, bus=BusConfig(url, replicas=replicas))


def test_a_client_follows_the_master_from_one_server_to_the_other_and_back(servers: Watched, client: Client) -> None:
    script = client.register_script("return redis.call('XLEN', KEYS[1])")
    streams.ensure_group(client, keys.CLOCK, "ibs_a")
    threads = threading.active_count()
    for n in (1, 2):
        client.xadd(keys.CLOCK, {"prev": ""}, id=f"{n}000-0")
        until(servers.in_step, "the replica has it")
        old = servers.master()
        old.kill()
        until(lambda: failure(client.ping), "the client notices")
        assert lasting(lambda: script(keys=[keys.CLOCK], args=[])) == n
        pipeline = client.pipeline(transaction=True)
        pipeline.hset(keys.heartbeat(keys.HUB), mapping={"n": n})
        pipeline.pexpire(keys.heartbeat(keys.HUB), 60_000)
        assert pipeline.execute()[1] == 1
        assert [i for i, _ in streams.read_group(client, keys.CLOCK, "ibs_a", "1", block_ms=100)] == [f"{n}000-0"]
        servers.replaced(old)
        assert client.info()["tcp_port"] == servers.master().port
        servers.rejoin(old)
    assert threading.active_count() == threads


@pytest.mark.parametrize("by_sentinel", [True, False])
def test_a_read_that_waits_on_a_master_that_becomes_a_replica_is_let_go(
    by_sentinel: bool, servers: Watched, client: Client
) -> None:
    streams.ensure_group(client, keys.CLOCK, "ibs_a")
    until(servers.in_step, "the replica has it")
    old, ended = servers.master(), []

    def wait() -> None:
        try:
            streams.read_group(client, keys.CLOCK, "ibs_a", "1", block_ms=9_000)
        except redis.RedisError as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: b"cmd=xreadgroup" in old.ask("CLIENT", "LIST"), "it waits")  # type: ignore[operator]
    if by_sentinel:
        servers.sentinels[0].ask("SENTINEL", "FAILOVER", SERVICE)
    else:  # somebody does it by hand, and nobody ends the clients' connections
        old.ask("REPLICAOF", *servers.replica().address)
    waiting.join()
    (error,) = ended
    assert is_away(error), repr(error)
    lasting(lambda: client.xadd(keys.CLOCK, {"prev": ""}, id="1000-0"))
    until(servers.in_step, "all is well again")


def test_a_write_to_a_master_that_was_demoted_behind_our_back_goes_to_the_next_one(
    servers: Watched, client: Client
) -> None:
    client.ping()
    old = servers.master()
    old.ask("REPLICAOF", *servers.replica().address)
    with pytest.raises(redis.RedisError) as refused:
        client.xadd(keys.CLOCK, {"prev": ""}, id="1000-0")
    assert is_away(refused.value)
    lasting(lambda: client.xadd(keys.CLOCK, {"prev": ""}, id="1000-0"))
    until(servers.in_step, "all is well again")
    assert client.xlen(keys.CLOCK) == 1


def test_the_newest_configuration_holds_whichever_sentinel_is_asked_first(tmp_path: Path) -> None:
    """A Sentinel that was away names a master that was replaced, and which is up again as one."""
    nodes = [Node(name, tmp_path, SERVER) for name in ("old", "new")]
    watch = "bind 127.0.0.1\nport {port}\ndir {folder}\nsentinel monitor pine 127.0.0.1 %d 1\n"
    stale = Node("stale", tmp_path, watch % nodes[0].port, ("--sentinel",))
    fresh = Node("fresh", tmp_path, watch % nodes[1].port + "sentinel config-epoch pine 7\n", ("--sentinel",))
    try:
        for node in (*nodes, stale, fresh):
            node.start()
        for order in ((stale, fresh), (fresh, stale)):
            client = client_for("redis+sentinel://" + ",".join(f"127.0.0.1:{s.port}" for s in order) + "/pine")
            assert client.info()["tcp_port"] == nodes[1].port
            client.close()
        nodes[1].ask("REPLICAOF", "127.0.0.1", 1)
        client = client_for(f"redis+sentinel://127.0.0.1:{fresh.port}/pine")
        with pytest.raises(redis.ConnectionError, match="is no master any more") as refused:
            client.ping()
        assert is_away(refused.value)
        client.close()
    finally:
        for node in (*nodes, stale, fresh):
            node.clear()


@pytest.mark.parametrize(
    ("hosts", "service", "said"),
    [("127.0.0.1:1,127.0.0.1:2", "pine", "127.0.0.1:1: .*127.0.0.1:2: "), (None, "other", "knows no service")],
)
def test_what_no_sentinel_can_tell_is_an_error_that_keeps_the_password(
    hosts: str | None, service: str, said: str, servers: Watched, tmp_path: Path
) -> None:
    hosts = hosts or ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in servers.sentinels)
    url = f"redis+sentinel://u:hidden@{hosts}/{service}?sentinel_password=secret"
    with pytest.raises(BusError, match=rf"bus\.url: the server does not answer: Sentinel names no master.*{said}") as e:
        connect(config_for(tmp_path, url))
    assert "hidden" not in str(e.value)
    assert "secret" not in str(e.value)


def test_the_master_is_judged(servers: Watched, client: Client, tmp_path: Path) -> None:
    connect(config_for(tmp_path, servers.url)).close()
    servers.master().ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ServerUnfit, match="maxmemory-policy: found allkeys-lru"):
            assert_fit(client)
    finally:
        servers.master().ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


# ---- replicas that must have what is written


def test_what_a_replica_must_have_is_not_written_before_it_has_it(servers: Watched, client: Client) -> None:
    """Nor when it is sent again on another connection, which writes nothing, because the entries stand there."""
    strict = client_for(servers.url, replicas=1)
    lease = Lease.try_acquire(client, keys.HUB, "test")
    assert isinstance(lease, Lease)
    writer = Writer(strict, keys.HUB, lease.token)
    writer.append(keys.CLOCK, "1000-0", {"prev": ""})
    assert writer.commit() == Written(added=1)
    replica = servers.replica()
    replica.pause()
    try:
        for _ in range(2):
            writer.append(keys.CLOCK, "2000-0", {"prev": "1000-0"})
            with pytest.raises(redis.TimeoutError, match="0 of 1 replicas have it") as late:
                writer.commit()
            assert is_away(late.value)
            strict.connection_pool.disconnect()  # type: ignore[attr-defined]
        with pytest.raises(redis.TimeoutError, match="0 of 1 replicas have it"):
            Lease.try_acquire(strict, "worker:one", "test")
    finally:
        replica.wake()
    writer.append(keys.CLOCK, "2000-0", {"prev": "1000-0"})
    assert writer.commit_until_written(lambda _: None) == Written(repeated=1)
    assert replica.ask("XLEN", keys.CLOCK) == 2
    assert isinstance(Lease.try_acquire(strict, "worker:two", "test"), Lease)
    assert replica.ask("GET", keys.fence("worker:two")) == b"1"
    strict.close()


# ---- accounts


def test_server_and_sentinels_may_have_accounts_of_their_own(tmp_path: Path) -> None:
    with guarded(tmp_path) as servers:
        url = servers.url
        client = connect(config_for(tmp_path, url, replicas=1))
        lease = Lease.try_acquire(client, keys.HUB, "test")
        assert isinstance(lease, Lease)
        writer = Writer(client, keys.HUB, lease.token)
        for n in (1, 2):
            writer.append(keys.CLOCK, f"{n}000-0", {"prev": ""})
            writer.commit_until_written(lambda _: None)
        client.close()
        for wrong in (url.replace("h%3A", "x%3A"), url.replace("peeping", "peaping")):
            with pytest.raises(BusError, match=r"bus\.url: .*(invalid username-password|WRONGPASS)") as refused:
                connect(config_for(tmp_path, wrong))
            assert "den" not in str(refused.value)
            assert "peap" not in str(refused.value)


def test_servers_and_sentinels_may_speak_tls(tmp_path: Path) -> None:
    authority, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in (other, authority):
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(str(path))
    issuer.issue_cert("127.0.0.1").configure_cert(context)
    server = Node("server", tmp_path, SERVER)
    front = TlsFront(context, server.port)
    watch = f"bind 127.0.0.1\nport {{port}}\ndir {{folder}}\nsentinel monitor pine 127.0.0.1 {front.port} 1\n"
    sentinel = Node("sentinel", tmp_path, watch, ("--sentinel",))
    second = TlsFront(context, sentinel.port)
    url = f"rediss+sentinel://127.0.0.1:{second.port}/pine?ssl_ca_certs="
    try:
        server.start()
        sentinel.start()
        client = connect(config_for(tmp_path, f"{url}{authority}"))
        assert client.info()["tcp_port"] == server.port
        assert (front.encrypted, second.encrypted) == (1, 1)
        client.close()
        with pytest.raises(BusError, match="certificate verify failed"):
            connect(config_for(tmp_path, f"{url}{other}"))
    finally:
        for end in (front, second):
            end.close()
        for node in (server, sentinel):
            node.clear()
