"""A master, its replica and three Sentinels, all real, on loopback."""

import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import redis
from attrs import define, field
from redis.backoff import NoBackoff
from redis.retry import Retry
from waiting import until

from pine.bus.embedded import server_binary

SERVICE: Final = "pine"

SERVER: Final = """\
bind 127.0.0.1
port {port}
dir {folder}
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
repl-diskless-sync-delay 0
repl-ping-replica-period 1
"""

SENTINEL: Final = """\
bind 127.0.0.1
port {port}
dir {folder}
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {service} {patience}
sentinel failover-timeout {service} 1000
"""

ACCOUNTS: Final = """\
user default reset
user pine on >h:/@?den ~* &* +@all -@admin -@dangerous +info +config|get
user watch on >watching ~* &* +@all
masteruser watch
masterauth watching
min-replicas-to-write 1
min-replicas-max-lag 10
"""
WATCHERS: Final = """\
user default reset
user watch on >watching ~* &* +@all
user pine on >peeping resetchannels -@all +auth +hello +client|setinfo +client|setname +ping +sentinel|masters
sentinel auth-user pine watch
sentinel auth-pass pine watching
sentinel sentinel-user watch
sentinel sentinel-pass watching
"""
WATCH: Final = {"username": "watch", "password": "watching"}

PATIENCE: Final = (500, 1500, 2500)
"""Ms until each Sentinel holds a silent server for down: the first one leads, and does not have to win a vote twice."""

HASTE: Final = {
    "info-period": 200,
    "ping-period": 100,
    "publish-period": 200,
    "ask-period": 100,
    "tilt-period": 200,  # after which they trust a clock again that a busy machine made them distrust
}
"""What Sentinels take a second or more for, in ms."""


def free_port() -> int:
    """Return a port that nobody listens on, below those that outgoing connections get: it must be free again later."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


@define(eq=False)
class Node:
    """One server or Sentinel, running or not."""

    name: str
    folder: Path
    text: str
    options: tuple[str, ...] = ()
    login: Mapping[str, str] = field(factory=dict)
    port: int = field(factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port

    def start(self) -> None:
        """Start it, for the first time or again with what it wrote into its file itself, and wait until it answers."""
        place = self.folder / self.name
        place.mkdir(parents=True, exist_ok=True)
        path = place / "server.conf"
        if not path.exists():
            path.write_text(self.text.replace("{port}", str(self.port)).replace("{folder}", str(place)))
        with (place / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [server_binary(), str(path), *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self.answers, f"{self.name} answers")

    def answers(self) -> bool:
        """Tell whether it is there and has read its files."""
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / self.name / "server.log").read_text()[-500:]
        with suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def client(self) -> redis.Redis:
        """Return a connection to it and nothing else."""
        return redis.Redis(*self.address, retry=Retry(NoBackoff(), 0), socket_timeout=10, **self.login)

    def ask(self, *command: str | int) -> object:
        """Send it one command."""
        with self.client() as client:
            return client.execute_command(*command)

    def role(self) -> str:
        """Return ``master`` or ``slave``, or nothing while it does not answer."""
        with suppress(redis.RedisError), self.client() as client:
            return str(client.info("replication")["role"])
        return ""

    def kill(self) -> None:
        """Kill it with no chance to clean up."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Stop it where it stands, as a suspended machine does."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let a paused one go on."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def clear(self) -> None:
        """Leave no process behind."""
        if self.process is not None and self.process.poll() is None:
            self.wake()
            self.kill()


@define(eq=False)
class Watched:
    """Two servers, one of them the master, and the Sentinels that watch over them."""

    servers: list[Node]
    sentinels: list[Node]
    accounts: tuple[str, str] = ("", "")

    @property
    def url(self) -> str:
        """What ``bus.url`` is to be."""
        login, options = self.accounts
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{login}{hosts}/{SERVICE}{options}"

    def master(self) -> Node:
        """Return the server that most Sentinels name."""
        named = [self._named(sentinel) for sentinel in self.sentinels]
        port = max(named, key=named.count)
        return next(server for server in self.servers if server.port == port)

    def replica(self) -> Node:
        """Return the other one."""
        master = self.master()
        return next(server for server in self.servers if server is not master)

    def _named(self, sentinel: Node) -> int:
        with suppress(redis.RedisError), sentinel.client() as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
        return 0

    def in_step(self) -> bool:
        """Tell whether the replica has everything that its master has, and every Sentinel knows of both."""
        master, replica = self.master(), self.replica()
        with suppress(redis.RedisError), master.client() as one, replica.client() as other:
            ours, theirs = one.info("replication"), other.info("replication")
            return ours["master_repl_offset"] == theirs.get("slave_repl_offset") and self.follows(replica)
        return False

    def follows(self, replica: Node) -> bool:
        """Tell whether a server follows the master, and every Sentinel knows that it does."""
        with suppress(redis.RedisError), replica.client() as client:
            up = client.info("replication").get("master_link_status") == "up"
            return up and self.replica() is replica and all(map(self._complete, self.sentinels))
        return False

    def _complete(self, sentinel: Node) -> bool:
        with sentinel.client() as client:
            state = client.sentinel_master(SERVICE)
            replicas = client.sentinel_slaves(SERVICE)
        known = [r for r in replicas if r["flags"] == "slave" and r["master-link-status"] == "ok"]
        return int(state["num-other-sentinels"]) == len(self.sentinels) - 1 and len(known) == 1

    def part(self) -> None:
        """Cut the replica off from its master: neither is down, and what is written from now on is not replicated."""
        self.replica().ask("CONFIG", "SET", "masteruser", "nobody", "masterauth", "nothing")
        self.master().ask("CLIENT", "KILL", "TYPE", "replica")

    def fail_over(self) -> Node:
        """Kill the master and wait until another one is promoted; return the killed one."""
        old = self.master()
        old.kill()
        self.replaced(old)
        return old

    def replaced(self, old: Node) -> None:
        """Wait until another one is promoted."""
        until(lambda: self.master() is not old and self.master().role() == "master", "another master is chosen")

    def rejoin(self, old: Node) -> None:
        """Start a killed server again, and wait until it follows the present master."""
        old.start()
        self.master().ask("CONFIG", "SET", "masteruser", "", "masterauth", "")
        until(lambda: self.follows(old), "it follows")

    def clear(self) -> None:
        """Leave no process behind."""
        for node in (*self.sentinels, *self.servers):
            node.clear()


@contextmanager
def watched(folder: Path, *, server: str = "") -> Iterator[Watched]:
    """Start them all, each Sentinel knowing of everybody; more lines for the servers' files may be given."""
    with _watched(folder, server, "", {}, ("", "")) as running:
        yield running


@contextmanager
def guarded(folder: Path) -> Iterator[Watched]:
    """The same with accounts on servers and Sentinels, set up as docs/sentinel.md says."""
    accounts = "pine:h%3A%2F%40%3Fden@", "?sentinel_username=pine&sentinel_password=peeping"
    with _watched(folder, ACCOUNTS, WATCHERS, WATCH, accounts) as running:
        yield running


@contextmanager
def _watched(
    folder: Path, server: str, sentinel: str, login: Mapping[str, str], accounts: tuple[str, str]
) -> Iterator[Watched]:
    servers = [Node(name, folder, SERVER + server, login=login) for name in ("one", "two")]
    text = SENTINEL.replace("{service}", SERVICE).replace("{master}", str(servers[0].port))
    sentinels = [
        Node(f"sentinel-{n}", folder, text.replace("{patience}", str(ms)) + sentinel, ("--sentinel",), login)
        for n, ms in enumerate(PATIENCE)
    ]
    all_of_it = Watched(servers, sentinels, accounts)
    try:
        servers[1].text += f"replicaof 127.0.0.1 {servers[0].port}\n"
        for node in (*servers, *sentinels):
            node.start()
        for node in sentinels:
            node.ask("SENTINEL", "DEBUG", *(part for pair in HASTE.items() for part in pair))
        until(all_of_it.in_step, "everybody knows of everybody")
        yield all_of_it
    finally:
        all_of_it.clear()
