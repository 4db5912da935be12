"""What the stream server says: whether it keeps what it acknowledges, who runs, which contracts lead."""

import contextlib
import fcntl
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any, Final

import redis
from attrs import define, field

from pine.bus import keys
from pine.bus.client import Client
from pine.bus.connection import connect
from pine.bus.embedded import EmbeddedServer, server_binary
from pine.core.config import Config
from pine.core.contract import Contract, parse_contract
from pine.core.errors import BusError, ContractError, ServerUnfit
from pine.core.period import session
from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND
from pine.core.times import Clock, isoformat, to_datetime
from pine.history.account import Reading
from pine.ops.preflight.looks import Said, ok, skipped, warning, wrong
from pine.ops.server import POWER_CUT, cannot_write, server_facts, server_notes, server_problems

CLOCK_WARNING_S: Final = 1.0
CLOCK_WRONG_S: Final = 5.0
RUN_SECONDS: Final = 5.0


@define
class ServerLooks:
    """Looks at the server of a configuration; it is connected to once, and never started."""

    config: Config
    clock: Clock
    client: Client | None = field(default=None, init=False)

    def close(self) -> None:
        """Hang up."""
        if self.client is not None:
            with contextlib.suppress(redis.RedisError):
                self.client.close()

    def reachable(self) -> Iterator[Said]:
        """Connect, if there is anybody; settings that break a promise are wrong."""
        embedded = EmbeddedServer(self.config.data_dir, self.config.bus.fsync)
        if self.config.bus.url == "embedded":
            if not embedded.is_running():
                yield from _not_running(embedded)
                return
        elif embedded.folder.exists() and embedded.is_running():
            yield warning(
                f"an embedded server still runs in {embedded.data_dir} (process {embedded.pid()}), and bus.url names "
                f"another; end it with kill {embedded.pid()}",
                "orphan",
            )
        try:
            client = connect(self.config, start=False)
        except ServerUnfit:
            raise
        except BusError as error:
            yield wrong(f"{error}; start it, or correct bus.url")
            return
        facts = server_facts(client, self.config)
        where = f"running, process {embedded.pid()}" if self.config.bus.url == "embedded" else "answers"
        if facts["master"] is not None:
            where = f"master {facts['master']} answers, {facts['replicas']} replicas follow"
        yield ok(f"{facts['url']}: {where}, {facts['version']}, appendonly yes, noeviction")
        self.client = client
        yield self._promise(facts)
        if facts["cannot_write"] is not None:
            yield wrong(cannot_write(self.config, facts["cannot_write"]), "writing")
        for problem in server_problems(facts):
            yield wrong(f"{problem}; start them, or lower bus.replicas", "replicas")
        for note in server_notes(facts):
            yield warning(note, "replicas")

    def _promise(self, facts: dict[str, Any]) -> Said:
        fsync, promise = facts["fsync"], facts["promise"]
        if fsync is None:
            return warning("appendfsync: this account may not ask for it; see that it is always", "fsync")
        if self.config.bus.url == "embedded" and fsync != self.config.bus.fsync:
            return warning(
                f"found appendfsync {fsync}, configured is {self.config.bus.fsync}: {promise}; pine server stop, the "
                "next start takes the setting",
                "fsync",
            )
        if fsync == "always" or (fsync == "everysec" and self.config.bus.url == "embedded"):
            return ok(f"appendfsync {fsync}: {promise}", "fsync")
        return warning(f"appendfsync {fsync}: {promise}; CONFIG SET appendfsync always, and in its file", "fsync")

    def clock_here(self) -> Iterator[Said]:
        """Compare this machine's clock with the server's."""
        if self.client is None:
            yield skipped("no server to compare with")
            return
        before = self.clock()
        seconds, micros = self.client.time()
        after = self.clock()
        told = seconds * NS_PER_SECOND + micros * 1000
        half = (after - before) // 2
        yield skew(Reading(told - half, told + half, before + half), "the server's")

    def roles(self, roles: Iterable[str]) -> Iterator[Said]:
        """Tell who holds each role, and whether it gives signs of life."""
        if self.client is None:
            yield skipped("no server to ask")
            return
        idle = []
        for role in roles:
            holder = self.client.get(keys.lease(role))
            if holder is None:
                idle.append(role)
                continue
            name = holder.decode().rsplit("#", 1)[0]
            if self.client.exists(keys.heartbeat(role)):
                yield ok(f"held by {name}, gives signs of life", role)
            else:
                yield warning(f"held by {name}, which gives no sign of life; look at its log, end it if it hangs", role)
        if idle:
            yield skipped(f"not running: {', '.join(idle)}")

    def present(self) -> int | None:
        """Return the instant in ns by which markets are judged: ours, or the data's own where the clock is a tape's."""
        if self.config.hub.clock == "wall":
            return self.clock()
        if self.client is None:
            return None
        newest = self.client.xrevrange(keys.CLOCK, count=1)
        return int(newest[0][0].partition(b"-")[0]) * NS_PER_MS if newest else None

    def lead(self, symbol: str) -> tuple[Contract, str] | None:
        """Return the contract that makes a root's bars, and since when; nothing if the server does not know."""
        if self.client is None:
            return None
        leads = {int(start): raw.decode() for start, raw in self.client.hgetall(keys.lead(symbol)).items()}
        if not leads:
            return None
        start = max(leads) * NS_PER_MS
        try:
            contract = parse_contract(leads[max(leads)], to_datetime(start).date(), [symbol])
        except ContractError as error:
            raise BusError(f"{keys.lead(symbol)}: {error}") from None
        return contract, f"in the session from {isoformat(session(start, self.config.session_rule(symbol)).start)}"


def skew(reading: Reading, whose: str) -> Said:
    """Say how far this machine's clock is from another."""
    ahead = reading.ahead_s
    if abs(ahead) <= CLOCK_WARNING_S:
        return ok(f"within {CLOCK_WARNING_S:g} s of {whose}")
    side = "ahead of" if ahead > 0 else "behind"
    text = f"{abs(ahead):.1f} s {side} {whose} clock; let NTP set it (timedatectl set-ntp true)"
    return wrong(text) if abs(ahead) > CLOCK_WRONG_S else warning(text)


def _not_running(embedded: EmbeddedServer) -> Iterator[Said]:
    """Look whether it can be started."""
    if _is_locked(embedded):
        yield warning(
            f"a process{_numbered(embedded)} holds {embedded.folder / 'lock'} and does not answer; it may be loading: "
            f"look at {embedded.folder / 'server.log'}, and kill it if it hangs"
        )
        return
    binary = server_binary()
    try:
        done = subprocess.run([binary, "--version"], check=False, capture_output=True, text=True, timeout=RUN_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield wrong(f"{binary}: cannot be run ({type(error).__name__}); install valkey, or set PINE_SERVER_BINARY")
        return
    if done.returncode != 0:
        yield wrong(f"{binary}: ends with code {done.returncode}; install valkey, or set PINE_SERVER_BINARY")
        return
    promise = f"appendfsync {embedded.fsync}: {POWER_CUT[embedded.fsync]}"
    yield ok(f"embedded, not running; whoever needs it starts {done.stdout.strip().partition(' sha')[0]}")
    yield ok(promise, "fsync")


def _numbered(embedded: EmbeddedServer) -> str:
    return "" if embedded.pid() is None else f" ({embedded.pid()})"


def _is_locked(embedded: EmbeddedServer) -> bool:
    """Tell whether a server, or whoever starts it, holds the data directory."""
    try:
        with (embedded.folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
