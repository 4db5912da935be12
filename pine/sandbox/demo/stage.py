"""The processes of a demonstration, started and ended in order."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import redis
from attrs import define, field

from pine.bus import keys, streams
from pine.bus.client import Client
from pine.bus.connection import connect
from pine.bus.embedded import EmbeddedServer
from pine.core.config import Config
from pine.core.errors import SandboxError
from pine.core.timeframe import NS_PER_SECOND
from pine.core.times import to_ms
from pine.ops.process import pine_command
from pine.orders.courier import nothing_owed
from pine.orders.ledger import role

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
BEFORE: Final = " before"


@define(eq=False)
class Child:
    """One process, its log in a file, its events if it tells any."""

    name: str
    process: subprocess.Popen[str]
    log: Path
    events: "queue.SimpleQueue[dict[str, Any]]" = field(factory=queue.SimpleQueue)

    @classmethod
    def start(
        cls,
        name: str,
        arguments: list[str],
        folder: Path,
        *,
        tells: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> "Child":
        """Start ``pine`` with arguments; what it logs goes to ``logs/NAME.log``."""
        log = folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("a") as sink:
            process = subprocess.Popen(
                pine_command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if tells else sink,
                stderr=sink,
                text=True,
                env=None if environment is None else {**os.environ, **environment},
            )
        child = cls(name, process, log)
        if tells and process.stdout is not None:
            threading.Thread(target=child._listen, args=(process.stdout,), daemon=True).start()
        return child

    def _listen(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                with contextlib.suppress(json.JSONDecodeError):
                    self.events.put(json.loads(line))

    def event(self, name: str, timeout: float) -> dict[str, Any]:
        """Wait for an event."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                found = self.events.get(timeout=0.1)
            except queue.Empty:
                self.check()
                if time.monotonic() > deadline:
                    raise SandboxError(f"{self.name} does not say {name!r}; see {self.log}") from None
                continue
            if found.get("event") == name:
                return found

    def check(self) -> None:
        """Raise `SandboxError` with the end of its log if it has ended."""
        code = self.process.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text().splitlines()[-5:])
            raise SandboxError(f"{self.name} ended with exit code {code}:\n{tail}")

    def stop(self) -> int:
        """Ask it to end and wait; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise SandboxError(f"{self.name} did not end within {STOP_SECONDS:.0f} s; see {self.log}") from None


@define(eq=False)
class Stage:
    """A running demonstration.

    Parameters
    ----------
    folder
        Holds configuration, data and logs.
    config
        The loaded configuration.
    environment
        What the processes have in their environment besides ours.
    seals
        Whether sessions are sealed into the archive on the way.
    """

    folder: Path
    config: Config
    gateway: Child
    broker: Child
    client: Client
    environment: Mapping[str, str] = field(factory=dict)
    seals: bool = False
    children: dict[str, Child] = field(factory=dict)
    exit_codes: dict[str, int] = field(factory=dict)
    tape_end: int = 0
    faults: list[str] = field(factory=list)

    @property
    def strategies(self) -> list[str]:
        """Names of the strategies that run."""
        return [name for name, setting in self.config.strategies.items() if setting.enabled]

    def start(self, name: str) -> None:
        """Start ``hub``, ``archive`` or ``worker NAME``, for the first time or again."""
        arguments = ["-c", str(self.config.path), *name.split()]
        log = name.replace(" ", "-")
        self.children[name] = Child.start(log, arguments, self.folder, environment=self.environment)

    def start_standby(self, name: str) -> None:
        """Start a second process of a name that waits for the first one's lease; `kill` then ends the first."""
        self.children[f"{name}{BEFORE}"] = self.children[name]
        self.start(name)

    def kill(self, name: str) -> None:
        """Kill a process that this stage started, with no chance to clean up; unless one stands by, start another."""
        child = self.children.pop(f"{name}{BEFORE}", None)
        stood_by = child is not None
        child = child or self.children[name]
        child.process.kill()
        child.process.wait()
        if not stood_by:
            self.start(name)

    def raise_curtain(self) -> None:
        """Start the workers, wait until each has its cursor, then start the hub."""
        for name in self.strategies:
            self.start(f"worker {name}")
        for name in self.strategies:
            beat = keys.heartbeat(f"worker:{name}")
            self._await(lambda beat=beat: bool(self.client.exists(beat)), f"worker {name}")  # type: ignore[misc]
        self.start("hub")
        if self.seals:
            self.start(keys.ARCHIVE)

    def watermark(self) -> int:
        """Return the event time, in ns, up to which the hub has everything, or 0."""
        return int(self.client.hget(keys.heartbeat(keys.HUB), "watermark") or 0)

    def moved(self) -> int:
        """Return a number that changes whenever somebody gets on: commands that write, by whomever."""
        streams_of = [keys.CLOCK, *(kind(name) for name in self.strategies for kind in (keys.ledger, keys.deliveries))]
        delivered = [streams.group_info(self.client, keys.CLOCK, name)["last-delivered-id"] for name in self.strategies]
        return hash((self.watermark(), *map(self.client.xlen, streams_of), *delivered))

    def finished(self) -> bool:
        """Tell whether the tape has ended and everything that follows from it is done."""
        self.check()
        self._listen()
        if not self.tape_end:
            return False
        hub = self.client.hgetall(keys.heartbeat(keys.HUB))
        published = int(hub.get(b"watermark", 0)) >= self.tape_end - NS_PER_SECOND and hub.get(b"unpublished") == b"0"
        return published and all(self._settled(name) for name in self.strategies)

    def check(self) -> None:
        """Raise `SandboxError` if a process has ended."""
        for child in (self.gateway, self.broker, *self.children.values()):
            child.check()

    def _listen(self) -> None:
        """Take notice of what the gateway tells."""
        with contextlib.suppress(queue.Empty):
            while True:
                event = self.gateway.events.get_nowait()
                if event.get("event") == "tape_end" and not self.tape_end:
                    self.tape_end = int(event["ts"])
                if event.get("event") == "fault":
                    self.faults.append(str(event["manner"]))

    def _settled(self, strategy: str) -> bool:
        """Tell whether a strategy has done every step of the tape, and its courier what the ledger owes.

        After the tape time goes on, so the cursor need not be at the newest entry.
        """
        newest = self.client.xrevrange(keys.CLOCK, max=str(to_ms(self.tape_end)), count=1)
        last = streams.id_pair(newest[0][0]) if newest else (0, 0)
        cursor = streams.group_info(self.client, keys.CLOCK, strategy)
        oldest = self.client.xpending(keys.CLOCK, strategy)["min"]
        if streams.id_pair(cursor["last-delivered-id"]) < last or (oldest and streams.id_pair(oldest) <= last):
            return False
        return nothing_owed(self.client, strategy)

    def seal(self) -> None:
        """End the process that seals, and seal what is left in one go.

        Raises
        ------
        SandboxError
            If that fails.
        """
        self.exit_codes[keys.ARCHIVE] = self.children.pop(keys.ARCHIVE).stop()
        arguments = ["-c", str(self.config.path), keys.ARCHIVE, "--once"]
        last = Child.start(f"{keys.ARCHIVE}-once", arguments, self.folder)
        if last.process.wait():
            last.check()

    def ring_down(self) -> None:
        """End everything in order: workers and their couriers, hub, stand-ins; the server is left to `stage`."""
        order = [name for name in self.children if name != "hub"] + [name for name in self.children if name == "hub"]
        for name in order:
            self.exit_codes[name] = self.children[name].stop()
        self.stop_couriers()
        self.exit_codes["gateway"] = self.gateway.stop()
        self.exit_codes["broker"] = self.broker.stop()

    def stop_couriers(self) -> None:
        """End the couriers, which outlive their workers, and wait until they are gone.

        Each is a process that one of this stage's workers started; its heartbeat names it.
        """
        for name in self.strategies:
            pid = self.client.hget(keys.heartbeat(role(name)), "pid")
            if pid is not None and self.client.exists(keys.lease(role(name))):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)
        for name in self.strategies:
            self._await(lambda name=name: not self.client.exists(keys.lease(role(name))), f"courier {name}")  # type: ignore[misc]

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            for child in self.children.values():
                if what.startswith("worker"):
                    child.check()
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{what} does not come about within {START_SECONDS:.0f} s; see {self.folder / 'logs'}"
                )
            time.sleep(0.02)  # heartbeats and leases are keys, which nobody can wait for


def start_stand_ins(
    folder: Path, tapes: Sequence[Path], speed: float | None, faults: Sequence[str] = ()
) -> tuple[Child, Child]:
    """Start gateway and receiver on free ports; each tells its port in its event ``listening``."""
    pace = "max" if speed is None else str(speed)
    gateway = Child.start(
        "gateway",
        [
            "sandbox",
            "gateway",
            "--port",
            "0",
            "--speed",
            pace,
            *(part for tape in tapes for part in ("--dbn", str(tape))),
            *(part for fault in faults for part in ("--fault", fault)),
        ],
        folder,
        tells=True,
    )
    broker = Child.start(
        "broker", ["sandbox", "broker", "--port", "0", "--out", str(folder / "webhooks.jsonl")], folder, tells=True
    )
    return gateway, broker


def stop_all(children: Sequence[Child]) -> None:
    """End processes that still run, whatever state they are in."""
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    for child in children:
        with contextlib.suppress(SandboxError):
            child.stop()


@contextlib.contextmanager
def stage(
    folder: Path,
    config: Config,
    gateway: Child,
    broker: Child,
    environment: Mapping[str, str] | None = None,
    *,
    seals: bool = False,
) -> Iterator[Stage]:
    """Provide the server and, whatever happens, leave no process behind."""
    server = EmbeddedServer(config.data_dir)
    client = connect(config)
    running = Stage(folder, config, gateway, broker, client, environment or {}, seals)
    try:
        yield running
    finally:
        stop_all([*running.children.values(), gateway, broker])
        with contextlib.suppress(SandboxError, redis.RedisError):
            running.stop_couriers()
        client.close()
        server.stop()
