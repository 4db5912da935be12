"""One client's connection, as bytes."""

import asyncio
from typing import Final

import zstandard

from pine.sandbox.control import RefusalError

MAX_LINE: Final = 1 << 18


class Wire:
    """Reads lines from and writes bytes to one client.

    Everything that a session says passes through here, so a fault between gateway and client belongs here.

    Parameters
    ----------
    reader, writer
        The two halves of the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._compressor: zstandard.ZstdCompressionObj | None = None

    def compress(self) -> None:
        """Send everything from here on as one zstd stream."""
        self._compressor = zstandard.ZstdCompressor(level=1).compressobj()

    async def line(self) -> bytes:
        """Return the next line with its end.

        Raises
        ------
        ConnectionError
            If the client closed its side.
        RefusalError
            If the line does not end.
        """
        try:
            line = await self._reader.readline()
        except ValueError:
            raise RefusalError(f"Line is longer than {MAX_LINE} bytes") from None
        if not line.endswith(b"\n"):
            raise ConnectionResetError("client closed the connection")
        return line

    async def send(self, data: bytes) -> None:
        """Write, and wait until the client has read enough to take more."""
        if self._compressor is not None:
            data = self._compressor.compress(data) + self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        self._writer.write(data)
        await self._writer.drain()

    async def finish(self) -> None:
        """Close so that the client reads everything that was sent, then the end of the stream."""
        if self._compressor is not None:
            self._writer.write(self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH))
        self._writer.close()
        await self._writer.wait_closed()

    def abort(self) -> None:
        """Drop the connection with whatever has not been sent."""
        self._writer.transport.abort()
