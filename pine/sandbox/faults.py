"""A gateway that misbehaves on purpose: each session takes the next fault of a list, later ones are sound."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import ClassVar, Final

from attrs import frozen

from pine.core.errors import SandboxError
from pine.sandbox import messages
from pine.sandbox.control import GREETING
from pine.sandbox.session import Playback, Session
from pine.sandbox.wire import Wire

EARLY: Final = ("refuse", "mute", "hangup-before-auth", "reset-before-auth", "hangup-before-metadata")
LATE: Final = ("fin", "reset", "silence", "garbage", "error")
SOUND: Final = "sound"
GARBAGE: Final = b"\xee" * 4096


@frozen
class Fault:
    """What goes wrong in one session.

    Attributes
    ----------
    manner
        ``refuse`` closes at once, ``mute`` never speaks, ``hangup-before-auth`` and ``reset-before-auth`` end after
        the challenge, ``hangup-before-metadata`` after the start; of the stream, ``fin`` is a clean end, ``reset``
        a broken connection, ``silence`` a stop without an end, ``garbage`` bytes that are no DBN, ``error`` an
        error message and the end; ``sound`` is no fault.
    after
        Bytes of the stream before a late fault.
    """

    manner: str
    after: int = 0

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read ``MANNER`` or ``MANNER:BYTES``.

        Raises
        ------
        SandboxError
            If the manner is unknown or the number is none.
        """
        manner, _, after = text.partition(":")
        known = (SOUND, *EARLY, *LATE)
        if manner not in known or not (after or "0").isdigit():
            raise SandboxError(f"fault: found {text!r}, expected one of {', '.join(known)}, perhaps with :BYTES")
        return cls(manner, int(after or 0))


class FaultyWire:
    """A connection that carries so many bytes of the stream and then fails.

    Parameters
    ----------
    wire
        The sound connection underneath.
    fault
        What happens when the bytes are used up.
    on_failure
        Called when it does.
    """

    def __init__(self, wire: Wire, fault: Fault, on_failure: Callable[[], None]) -> None:
        self._wire = wire
        self._fault = fault
        self._on_failure = on_failure
        self._left = fault.after

    def compress(self) -> None:
        """Compress from here on."""
        self._wire.compress()

    async def line(self) -> bytes:
        """Return the next line from the client."""
        return await self._wire.line()

    async def send(self, data: bytes) -> None:
        """Send what is left to send, then fail."""
        if len(data) <= self._left:
            self._left -= len(data)
            await self._wire.send(data)
            return
        await self._wire.send(data[: self._left])
        await self._fail()

    async def _fail(self) -> None:
        self._on_failure()
        if self._fault.manner == "silence":
            await asyncio.Event().wait()
        if self._fault.manner == "garbage":
            await self._wire.send(GARBAGE)
        if self._fault.manner == "error":
            await self._wire.send(messages.refused(0, "Internal error."))
        if self._fault.manner == "reset":
            self._wire.abort()
        raise ConnectionResetError("as planned")

    async def finish(self) -> None:
        """Close the connection in order."""
        await self._wire.finish()

    def abort(self) -> None:
        """Drop the connection."""
        self._wire.abort()


class FaultySession(Session):
    """A session that takes the next fault of its class's list."""

    faults: ClassVar[deque[Fault]] = deque()

    def __init__(self, number: int, wire: Wire, playback: Playback) -> None:
        super().__init__(number, wire, playback)
        self._fault = self.faults.popleft() if self.faults else None
        self._sound = wire

    def _tell(self) -> None:
        if self._fault is not None:
            self.playback.notify("fault", {"session": self.number, "manner": self._fault.manner})

    async def greet(self) -> str:
        """Send the challenge, unless this is where it ends."""
        manner = self._fault.manner if self._fault else ""
        if manner in EARLY and manner != "hangup-before-metadata":
            self._tell()
        if manner == "refuse":
            raise ConnectionResetError("as planned")
        if manner == "mute":
            await asyncio.Event().wait()
        if manner in ("hangup-before-auth", "reset-before-auth"):
            await self.wire.send(GREETING)
            if manner == "hangup-before-auth":
                await self.wire.finish()
            raise ConnectionResetError("as planned")
        return await super().greet()

    async def open_stream(self) -> None:
        """Send the header, unless this is where it ends."""
        if self._fault is not None and self._fault.manner == "hangup-before-metadata":
            self._tell()
            await self.wire.finish()
            raise ConnectionResetError("as planned")
        await super().open_stream()
        if self._fault is not None and self._fault.manner in LATE:
            self.wire = FaultyWire(self._sound, self._fault, self._tell)  # type: ignore[assignment]  # the same methods

    async def _stream(self) -> None:
        try:
            await super()._stream()
        except ConnectionResetError:
            if self._fault is not None and self._fault.manner in ("fin", "garbage", "error"):
                await self._sound.finish()
            raise


def faulty_session(faults: Iterable[Fault]) -> type[Session]:
    """Return a session class whose sessions take these faults, one each, and are sound afterwards."""
    return type("FaultySession", (FaultySession,), {"faults": deque(faults)})
