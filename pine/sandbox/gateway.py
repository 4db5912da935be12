"""A Databento Live gateway that plays a tape over the real wire protocol."""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from pine.core.errors import SandboxError
from pine.core.log import get_logger
from pine.core.times import Clock, isoformat
from pine.sandbox.events import print_event
from pine.sandbox.faults import Fault, faulty_session
from pine.sandbox.reel import Reel
from pine.sandbox.session import Notify, Playback, Session, Then
from pine.sandbox.tape import Tape
from pine.sandbox.tapeclock import TapeClock
from pine.sandbox.wire import MAX_LINE, Wire

log = get_logger(__name__)


def _ignore(event: str, fields: Mapping[str, object]) -> None:
    """Take no notice."""


class Gateway:
    """Serves a tape to any number of Databento Live clients.

    All sessions share one position on the tape. A subscription with ``start=`` gets what lies between its start
    and that position as a replay, then everything gets the records from the position on.

    Parameters
    ----------
    tape
        What to play.
    host, port
        Where to listen; port 0 takes a free one.
    speed
        Seconds of tape per second, counted from the first session's start whether or not anybody is connected;
        ``None`` sends as fast as clients read, and the position is the furthest record sent to any of them.
    then
        After the last record: ``idle`` goes on with heartbeats, ``close`` ends the stream, ``loop`` starts the
        tape again, shifted by whole weeks. At full speed the first two send heartbeats over 26 hours of tape time
        first, so that the session in which the tape ends is over.
    key
        API key that clients must have, ``None`` to accept any.
    notify
        Called with ``session`` and ``tape_end`` events.
    session
        Class of the sessions; a subclass can misbehave in any phase.
    monotonic
        Nanoseconds of real time from any origin.

    Raises
    ------
    SandboxError
        If the tape is empty or the speed is not positive.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float | None = None,
        then: Then = "idle",
        key: str | None = None,
        notify: Notify = _ignore,
        session: type[Session] = Session,
        monotonic: Clock = time.monotonic_ns,
    ) -> None:
        if speed is not None and speed <= 0:
            raise SandboxError(f"speed: found {speed}, expected more than 0, or none for as fast as clients read")
        reel = Reel(tape, loop=then == "loop")
        self._playback = Playback(reel, TapeClock(reel, speed, monotonic), then, key, notify, monotonic)
        self._host = host
        self._port = port
        self._session = session
        self._numbers = count(1)
        self._running: dict[asyncio.Task[None], Wire] = {}
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that the gateway listens on.

        Raises
        ------
        SandboxError
            If it is not started.
        """
        return int(self._listening().sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Start to listen.

        Raises
        ------
        SandboxError
            If the port is taken.
        """
        try:
            self._server = await asyncio.start_server(self._accept, self._host, self._port, limit=MAX_LINE)
        except OSError as error:
            raise SandboxError(f"gateway: cannot listen on {self._host}:{self._port}: {error}") from error

    async def serve_forever(self) -> None:
        """Serve until cancelled."""
        await self._listening().serve_forever()

    async def stop(self) -> None:
        """Stop listening and drop every session."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task, wire in self._running.items():
            task.cancel()
            wire.abort()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _listening(self) -> asyncio.Server:
        if self._server is None:
            raise SandboxError("gateway: not started, call start() first")
        return self._server

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        task = asyncio.create_task(self._session(next(self._numbers), wire, self._playback).run())
        self._running[task] = wire
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        wire = self._running.pop(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            # One client's failure is never another's.
            log.error("sandbox_session_failed", exc_info=error)
            wire.abort()


def run_gateway(
    tapes: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float | None = None,
    then: Then = "idle",
    key: str | None = None,
    faults: Sequence[Fault] = (),
) -> int:
    """Serve DBN files until SIGINT or SIGTERM, telling what happens as JSON lines on standard output.

    Parameters
    ----------
    tapes
        DBN files, merged by time.
    host, port, speed, then, key
        As for `Gateway`.
    faults
        What goes wrong in the first sessions, one each.

    Returns
    -------
    int
        Exit code, 0.

    Raises
    ------
    DataError
        If a file is no complete DBN file.
    SandboxError
        If the gateway cannot start.
    """
    tape = Tape.load(tapes)
    session = faulty_session(faults) if faults else Session
    gateway = Gateway(tape, host=host, port=port, speed=speed, then=then, key=key, notify=print_event, session=session)
    asyncio.run(_serve(gateway, tape))
    return 0


async def _serve(gateway: Gateway, tape: Tape) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await gateway.start()
    print_event(
        "listening",
        {"port": gateway.port, "records": len(tape), "first": isoformat(tape.first), "last": isoformat(tape.last)},
    )
    await stopped.wait()
    await gateway.stop()
