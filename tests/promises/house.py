"""The whole desk on one machine: real processes over a real server, a tape that waits for the test, a receiver."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from attrs import define, field
from waiting import DEADLINE_S, until

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import connect
from pine.bus.embedded import EmbeddedServer
from pine.bus.pauses import Holder
from pine.core.config import Config, load_config
from pine.core.errors import BusError, SandboxError
from pine.core.log import parsed
from pine.core.timeframe import NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND
from pine.orders.courier import GROUP
from pine.orders.entries import Entry, Intent, decode
from pine.orders.ledger import Deliveries, read_ledger, role
from pine.sandbox import messages
from pine.sandbox.background import GatewayThread
from pine.sandbox.broker import Broker
from pine.sandbox.demo.record import Record, read_record
from pine.sandbox.demo.stage import Child
from pine.sandbox.gateway import Gateway
from pine.sandbox.session import TICK_S, Session
from pine.sandbox.tape import Tape
from pine.strategies.catalog import PARAMS

BEAT_S: Final = 2.0

ANOTHER_CLOCK: Final = """
import sys, time
shift, real = int(sys.argv.pop(1)), time.time_ns
time.time_ns = lambda: real() + shift
from pine.cli.main import main
main()
"""

RULES: Final = (
    "{entry_setting: none, ibs_entry_high: 0.45, stop_percent: 0.1, target_percent: 0.1, bar_stop_bars: 2, "
    'windows: ["00:00-24:00"]}'
)
"""IBS with everything near, so that a single session holds many entries and exits."""

CONFIG: Final = """\
data_dir: data
databento: {{api_key: db-sandbox, gateway: "127.0.0.1:{port}"}}
bus: {{{bus}}}
hub: {{clock: {clock}}}
orders: {{{orders}}}
warm_up: off
instruments: {{ES: {{}}, GC: {{}}}}
strategies:
  one: {{type: ibs, webhook: "{webhook}", instruments: [ES, GC], params: {rules}}}
  two: {{type: ibs, daily_stop_loss: 50, instruments: [GC], params: {rules}}}
"""
ANY_AGE: Final = "entry_max_age_s: null, stale_after_s: null, per_minute: null, per_hour: null"
"""A tape's orders are old by nature, and come faster than a real day's."""


def at(text: str) -> int:
    """Return ns of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


FIRST: Final = at("2024-03-03T23:00")
END: Final = at("2024-03-04T23:01")
"""First minute and last step of the tape: one session, and a minute of the next."""


@define
class Hold:
    """How far the tape may be played, in ns."""

    ts: int = 0


class HeldSession(Session):
    """Sends what its tape holds up to a moment, as fast as the client reads, and then waits for the test."""

    hold: ClassVar[Hold]

    async def live(self) -> None:
        """Send records until the hold, then heartbeats of that moment."""
        playback, said, beat_at = self.playback, 0, 0.0
        while True:
            limit = self.hold.ts
            for block in playback.reel.blocks(self.cursor, playback.reel.due(limit)):
                picked = self.router.pick(block)
                await self._send_block(block, picked, self._beats_in_gaps(block, picked))
                playback.clock.sent(block.end)
            if limit and (limit != said or time.monotonic() - beat_at > BEAT_S):
                said, beat_at = limit, time.monotonic()
                await self.wire.send(messages.heartbeat(limit))
            await asyncio.sleep(TICK_S)


def held_session(hold: Hold, base: type[Session] = HeldSession) -> type[Session]:
    """Return a session class whose sessions obey a hold."""
    return type("Held", (base,), {"hold": hold})


@define(eq=False)
class House:
    """Server, stand-ins and the pine processes that a test started.

    Attributes
    ----------
    hold
        How far the tape is played.
    pauses
        Where processes can be held between two things that belong together.
    """

    folder: Path
    config: Config
    server: EmbeddedServer
    client: Client
    hold: Hold
    broker: Broker
    pauses: Holder
    children: list[Child] = field(factory=list)

    def start(self, command: str) -> Child:
        """Start ``pine COMMAND``."""
        arguments = ["-c", str(self.config.path), *command.split()]
        name = f"{len(self.children)}-{command.replace(' ', '-')}"
        child = Child.start(name, arguments, self.folder, environment=self.pauses.environment)
        self.children.append(child)
        return child

    def start_at(self, command: str, ts: int) -> Child:
        """Start ``pine COMMAND`` on a computer whose clock says `ts` (ns) now, and goes on from there."""
        name = f"{len(self.children)}-{command.replace(' ', '-')}"
        path = self.folder / "logs" / f"{name}.log"
        path.parent.mkdir(exist_ok=True)
        arguments = [str(ts - time.time_ns()), "-c", str(self.config.path), *command.split()]
        with path.open("a") as sink:
            process = subprocess.Popen(
                [sys.executable, "-c", ANOTHER_CLOCK, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=os.environ | self.pauses.environment,
            )
        child = Child(name, process, path)
        self.children.append(child)
        return child

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a pine command to its end."""
        command = [sys.executable, "-m", "pine", *arguments, "-c", str(self.config.path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)

    def configure(self, old: str, new: str) -> None:
        """Change the configuration for the processes to come."""
        text = self.config.path.read_text()
        assert old in text
        self.config.path.write_text(text.replace(old, new))

    def caught(self, of: str, point: str) -> None:
        """Wait until a process of a role is held at a pause point that was asked for."""
        until(lambda: self.pauses.held(of, point), f"{of} comes to {point}")

    def take_over(self, of: str, token: int) -> float:
        """Wait until the holder with a token holds a role; return how many seconds that took."""
        began = time.monotonic()
        until(lambda: (self.holder(of) or b"").endswith(b"#%d" % token), f"token {token} holds {of}")
        return time.monotonic() - began

    def waits(self, child: Child) -> None:
        """Wait until a process waits for the lease of another."""
        until(lambda: self.running(child) and "waiting" in log(child), f"{child.name} waits")

    def worker(self, strategy: str) -> Child:
        """Start a worker and wait until it has its cursor, so that it lives through the whole tape."""
        child = self.start(f"worker {strategy}")
        until(lambda: self.running(child) and "worker ready" in child.log.read_text(), f"{child.name} is ready")
        return child

    def hub(self) -> Child:
        """Start a hub and wait until it listens to the gateway."""
        child = self.start("hub")
        until(lambda: self.running(child) and "connected" in child.log.read_text(), f"{child.name} connects")
        return child

    def running(self, child: Child) -> bool:
        """Return true, or fail with the end of its log if a process has ended."""
        child.check()
        return True

    def play(self, ts: int) -> None:
        """Let the tape go on until everything that closes at `ts` can be known."""
        self.hold.ts = ts + 2 * NS_PER_SECOND

    def last(self, stream: str) -> int:
        """Return the newest id of a stream in ns."""
        return streams.ms_of(streams.last_id(self.client, stream) or "0") * NS_PER_MS

    def cursor(self, strategy: str) -> int:
        """Return the step, in ns, that a worker was handed last."""
        info = streams.group_info(self.client, keys.CLOCK, strategy)
        return streams.ms_of(info["last-delivered-id"]) * NS_PER_MS

    def published(self, ts: int) -> None:
        """Wait until the hub has published the step `ts`."""
        until(lambda: self.last(keys.CLOCK) >= ts, f"the clock comes to {ts}")

    def decided(self, strategy: str, ts: int) -> None:
        """Wait until a worker has acknowledged the step `ts`."""

        def done() -> bool:
            info = streams.group_info(self.client, keys.CLOCK, strategy)
            return self.cursor(strategy) >= ts and not info["pending"]

        until(done, f"{strategy} comes to {ts}")

    def delivered(self, strategy: str) -> None:
        """Wait until a courier has dealt with everything in the ledger."""

        def done() -> bool:
            ledger = keys.ledger(strategy)
            groups = {group["name"].decode(): group for group in self.client.xinfo_groups(ledger)}
            mine = groups.get(GROUP)
            newest = streams.last_id(self.client, ledger)
            return mine is not None and not mine["pending"] and mine["last-delivered-id"].decode() == newest

        until(done, f"everything in the ledger of {strategy} is delivered")

    def ledger(self, strategy: str) -> list[Entry]:
        """Return a strategy's ledger."""
        return [entry for _, entry in read_ledger(self.client, strategy)]

    def intents(self, strategy: str) -> list[Intent]:
        """Return a strategy's intents."""
        return [entry for entry in self.ledger(strategy) if isinstance(entry, Intent)]

    def deliveries(self, strategy: str) -> Deliveries:
        """Return what became of them."""
        return Deliveries.read(self.client, strategy)

    def posted(self) -> list[str]:
        """Return the intents that the receiver took, in order."""
        return [r["body"]["extras"]["intent"] for r in self.broker.requests if r["accepted"]]

    def record(self) -> Record:
        """Return everything that must be the same in every run."""
        return read_record(self.client, self.config, END + NS_PER_MINUTE)

    def courier_pid(self, strategy: str) -> int:
        """Return the process that posts for a strategy."""
        until(lambda: self.client.exists(keys.lease(role(strategy))), f"a courier of {strategy} runs")
        until(lambda: self.client.hget(keys.heartbeat(role(strategy)), "pid"), f"a courier of {strategy} beats")
        return int(self.client.hget(keys.heartbeat(role(strategy)), "pid") or 0)

    def stop_courier(self, strategy: str) -> None:
        """Ask the courier of a strategy to end, and wait until it has."""
        os.kill(self.courier_pid(strategy), signal.SIGTERM)
        until(lambda: not self.client.exists(keys.lease(role(strategy))), f"the courier of {strategy} ends")

    def holder(self, of: str) -> bytes | None:
        """Return who holds a role."""
        return self.client.get(keys.lease(of))

    def bury(self, child: Child, of: str) -> None:
        """Kill a process with no chance to clean up, and let its lease run out at once."""
        kill(child)
        self.client.delete(keys.lease(of))

    def clear(self) -> None:
        """Leave no process behind, couriers that workers started included."""
        for held in self.pauses.folder.iterdir():
            held.unlink(missing_ok=True)
        for child in self.children:
            if child.process.poll() is None:
                child.process.send_signal(signal.SIGCONT)
                child.process.terminate()
        for child in self.children:
            with contextlib.suppress(SandboxError):
                child.stop()
        for _ in range(3):  # a courier that waited for the lease of another may follow it
            for pid in _processes_of(self.folder):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.client.close()
        with contextlib.suppress(BusError):
            self.server.stop()


def while_open(record: Record, after: int = 0) -> int:
    """Return a moment, in ns, at which strategy one holds a position: some minutes after an entry, before its exit."""
    ledger = [decode(fields[b"entry"]) for _, fields in record[keys.ledger("one")]]
    intents = [entry for entry in ledger if isinstance(entry, Intent)]
    exits = {intent.entry: intent.step for intent in intents}
    wait = 5 * NS_PER_MINUTE
    entries = [intent for intent in intents if intent.is_entry and intent.step > after]
    return next(i.step + wait for i in entries if exits.get(i.id, END) > i.step + 2 * wait)


def _processes_of(folder: Path) -> list[int]:
    """Return the pine processes that work with a configuration in a folder: nobody else's have it."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True).stdout.splitlines()
    mine = (
        line.split(None, 1)
        for line in listed
        if f" {folder}/pine.yaml" in line and ("-m pine " in line or "time.time_ns" in line)
    )
    return [int(pid) for pid, _ in mine]


def kill(child: Child) -> None:
    """Kill a process with no chance to clean up."""
    child.process.kill()
    child.process.wait()


def pause(child: Child) -> None:
    """Stop a process where it stands, as a suspended machine does."""
    child.process.send_signal(signal.SIGSTOP)


def wake(child: Child) -> None:
    """Let a paused process go on."""
    child.process.send_signal(signal.SIGCONT)


def ended(child: Child) -> int:
    """Wait for a process to end by itself and return its exit code."""
    return child.process.wait(DEADLINE_S)


def log(child: Child) -> str:
    """Return what a process has logged."""
    return child.log.read_text()


def events(child: Child, event: str, **fields: object) -> list[dict[str, Any]]:
    """Return what a process, and the courier that writes where it writes, has logged of one kind."""
    told = map(parsed, log(child).splitlines())
    return [e for e in told if e.get("event") == event and fields.items() <= e.items()]


@contextmanager
def house(
    folder: Path,
    tape: Tape,
    *,
    orders: str = ANY_AGE,
    fsync: str = "everysec",
    clock: str = "tape",
    session: type[Session] = HeldSession,
    webhooks: bool = True,
    bus: str = "",
) -> Iterator[House]:
    """Provide server, gateway, receiver and configuration; nothing of pine runs yet.

    `bus` are the settings of a server that runs already; without them there is an embedded one.
    """
    hold = Hold()
    gateway = GatewayThread(Gateway(tape, session=held_session(hold, session)))
    with gateway, Broker() as broker:
        facts: dict[str, Any] = {
            "port": gateway.port,
            "bus": bus or f"fsync: {fsync}",
            "orders": orders,
            "clock": clock,
        }
        webhook = broker.url("one") if webhooks else ""
        (folder / "pine.yaml").write_text(CONFIG.format(**facts, rules=RULES, webhook=webhook))
        config = load_config(folder / "pine.yaml", PARAMS, {})
        opened = House(
            folder,
            config,
            EmbeddedServer(config.data_dir, fsync),
            connect(config),
            hold,
            broker,
            Holder(folder / "pauses"),
        )
        try:
            yield opened
        finally:
            opened.clear()
