"""One client's session with the gateway, phase by phase."""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

import numpy as np
from attrs import frozen

from pine.core.timeframe import NS_PER_MS, NS_PER_SECOND
from pine.core.times import Clock
from pine.sandbox import messages
from pine.sandbox.control import (
    GREETING,
    AuthRequest,
    RefusalError,
    key_fits,
    parse_auth,
    parse_line,
    parse_subscription,
)
from pine.sandbox.reel import Block, Reel
from pine.sandbox.routing import Route, Router, resolve
from pine.sandbox.tape import Indices
from pine.sandbox.tapeclock import TapeClock
from pine.sandbox.wire import Wire

Then = Literal["idle", "close", "loop"]
"""What follows the last record: heartbeats, the end of the stream, or the first record again."""

Notify = Callable[[str, Mapping[str, object]], None]
"""Told what happens, as an event's name and its fields."""

TICK_S: Final = 0.02
BEAT_PAUSE: Final = 50 * NS_PER_MS
AUTH_TIMEOUT_S: Final = 30.0


@frozen(eq=False)
class Playback:
    """What all sessions of a gateway share.

    Attributes
    ----------
    reel, clock
        The tape, and how far it is.
    then
        What follows the last record.
    key
        The key that clients must have, ``None`` to accept any.
    notify
        Told about sessions that start and about those that have been sent everything.
    monotonic
        Nanoseconds of real time from any origin.
    """

    reel: Reel
    clock: TapeClock
    then: Then
    key: str | None
    notify: Notify
    monotonic: Clock


class Session:
    """Greeting, authentication, subscriptions, stream header, replay, live.

    Each phase is a method, so that a subclass can misbehave in one of them.

    Parameters
    ----------
    number
        Unique in the gateway.
    wire
        The connection.
    playback
        What is shared with the other sessions.
    """

    def __init__(self, number: int, wire: Wire, playback: Playback) -> None:
        self.number = number
        self.wire = wire
        self.playback = playback
        self.router = Router(playback.reel.tape)
        self.cursor = 0
        self._routes: list[Route] = []
        self._heartbeat = 0
        self._streaming = False
        self._last_sent: int | None = None

    async def run(self) -> None:
        """Serve the client until one side ends the session."""
        try:
            async with asyncio.timeout(AUTH_TIMEOUT_S):
                challenge = await self.greet()
                accepted = await self.authenticate(challenge)
            if accepted:
                await self._serve()
            await self.wire.finish()
        except OSError:  # the client is gone, or was too slow to authenticate
            self.wire.abort()

    async def _serve(self) -> None:
        try:
            await self.subscribe()
            await self.open_stream()
            await self._while_connected()
        except RefusalError as refusal:
            await self.refuse(str(refusal))

    async def _while_connected(self) -> None:
        """Stream and listen, until either ends."""
        tasks = [asyncio.create_task(self._stream()), asyncio.create_task(self.listen())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _stream(self) -> None:
        await self.replay()
        await self.live()

    async def greet(self) -> str:
        """Send version and challenge; return the challenge."""
        challenge = secrets.token_hex(16)
        await self.wire.send(GREETING + f"cram={challenge}\n".encode())
        return challenge

    async def authenticate(self, challenge: str) -> bool:
        """Read the answer to the challenge, and say whether the client may go on."""
        try:
            request = parse_auth(parse_line(await self.wire.line()))
            self.check(request, challenge)
        except RefusalError as refusal:
            await self.wire.send(f"success=0|error={refusal}\n".encode())
            return False
        await self.wire.send(f"success=1|session_id={self.number}\n".encode())
        self._heartbeat = request.heartbeat_s * NS_PER_SECOND
        if request.zstd:
            self.wire.compress()
        return True

    def check(self, request: AuthRequest, challenge: str) -> None:
        """Refuse a wrong key and a dataset that is not on the tape.

        Raises
        ------
        RefusalError
            With the text for the client.
        """
        key, dataset = self.playback.key, self.playback.reel.tape.dataset
        if key is not None and not key_fits(request.response, challenge, key):
            raise RefusalError("Authentication failed.")
        if request.dataset != dataset:
            raise RefusalError(f"Dataset {request.dataset} is not available, this gateway has {dataset}")

    async def subscribe(self) -> None:
        """Collect subscriptions until the client starts the session."""
        refusal: RefusalError | None = None
        while "start_session" not in (fields := parse_line(await self.wire.line())):
            try:
                self._routes.append(resolve(self.playback.reel.tape, parse_subscription(fields)))
            except RefusalError as error:
                # Clients expect nothing before they have started, so they learn of it then.
                refusal = refusal or error
        if refusal is not None:
            raise refusal

    async def open_stream(self) -> None:
        """Send the header, and what each subscription came to."""
        playback = self.playback
        now = playback.clock.begin()
        self.cursor = playback.clock.position(now)
        for route in self._routes:
            self.router.add(route)
        await self._send_header(now)
        start = self.router.start
        earliest = self.cursor if start is None else playback.reel.earliest(start)
        for route in self._routes:
            await self.wire.send(self.router.announcement(route, now, self._on_tape(earliest)))
        playback.notify("session", {"id": self.number})

    def _on_tape(self, position: int) -> int:
        return position % len(self.playback.reel.tape)

    async def _send_header(self, now: int) -> None:
        self._streaming = True
        await self.wire.send(messages.metadata(self.playback.reel.tape.dataset, now))

    async def refuse(self, reason: str) -> None:
        """Send the error after which the session is closed."""
        now = self.playback.clock.now()
        if not self._streaming:
            await self._send_header(now)
        await self.wire.send(messages.refused(now, reason))

    async def listen(self) -> None:
        """Take further subscriptions during the stream; ends with an error, at the latest when the client goes."""
        while True:
            fields = parse_line(await self.wire.line())
            if "start_session" in fields:
                continue
            route = resolve(self.playback.reel.tape, parse_subscription(fields))
            self.router.add(route)
            now = self.playback.clock.now()
            await self.wire.send(self.router.announcement(route, now, self._on_tape(self.cursor)))

    async def replay(self) -> None:
        """Send what subscriptions with a start missed, then say that this was all."""
        reel, start = self.playback.reel, self.router.start
        if start is None:
            return
        for block in reel.blocks(reel.earliest(start), self.cursor):
            picked = self.router.pick(block, replay=True)
            await self._send_block(block, picked, ())
        now = self.playback.clock.now()
        for schema in self.router.replayed_schemas():
            await self.wire.send(messages.replay_completed(now, schema))

    async def live(self) -> None:
        """Send the records from the present on, and what follows the last one."""
        if self.playback.clock.speed is None:
            await self._live_unpaced()
        else:
            await self._live_paced()

    async def _live_unpaced(self) -> None:
        playback = self.playback
        for block in playback.reel.blocks(self.cursor, None):
            picked = self.router.pick(block)
            await self._send_block(block, picked, self._beats_in_gaps(block, picked))
            playback.clock.sent(block.end)
        beat_at = playback.monotonic()
        playback.clock.tail_begins()
        await self.wire.send(b"".join(map(messages.heartbeat, playback.clock.tail)))
        self._tape_ended(playback.clock.tail[-1])
        while playback.then == "idle":
            await asyncio.sleep(TICK_S)
            if playback.monotonic() - beat_at >= self._heartbeat:
                beat_at = playback.monotonic()
                await self.wire.send(messages.heartbeat(playback.clock.now()))

    async def _live_paced(self) -> None:
        clock, reel, real = self.playback.clock, self.playback.reel, self.playback.monotonic
        beat_at, quiet_since, ended = real(), clock.now(), False
        while True:
            tick, now = real(), clock.now()
            if await self._send_due(clock.position(now)):
                quiet_since = now
            elif now - quiet_since >= self._heartbeat and tick - beat_at >= BEAT_PAUSE:
                quiet_since, beat_at = now, tick
                await self.wire.send(messages.heartbeat(now))
                if reel.end is not None and not ended and now >= clock.tail[-1]:
                    ended = True
                    self._tape_ended(now)
            if self.playback.then == "close" and self.cursor == reel.end:
                self._tape_ended(reel.tape.last)
                return
            await asyncio.sleep(TICK_S)

    async def _send_due(self, position: int) -> bool:
        """Send up to a position; return whether there was anything for this client."""
        sent = False
        for block in self.playback.reel.blocks(self.cursor, position):
            picked = self.router.pick(block)
            await self._send_block(block, picked, ())
            sent = sent or len(picked) > 0
        return sent

    async def _send_block(self, block: Block, picked: Indices, beats: Iterator[tuple[int, bytes]] | tuple[()]) -> None:
        inserts = [*beats, *self.router.renamings(block, picked)]
        if len(picked):
            self._last_sent = int(self.playback.reel.tape.ts[picked[-1]]) + block.shift
        if len(picked) or inserts:
            await self.wire.send(self.router.encode(block, picked, inserts))
        self.cursor = max(self.cursor, block.end)
        await asyncio.sleep(0)  # a client that reads fast enough must not starve the others

    def _beats_in_gaps(self, block: Block, picked: Indices) -> Iterator[tuple[int, bytes]]:
        """Yield one heartbeat for each stretch of tape without records that is longer than the interval."""
        if not len(picked):
            return
        ts = self.playback.reel.tape.ts[picked] + block.shift
        before = np.concatenate(([ts[0] if self._last_sent is None else self._last_sent], ts[:-1]))
        for at in np.flatnonzero(ts - before > self._heartbeat).tolist():
            yield at, messages.heartbeat(int(before[at]) + self._heartbeat)

    def _tape_ended(self, ts: int) -> None:
        self.playback.notify("tape_end", {"ts": ts})
