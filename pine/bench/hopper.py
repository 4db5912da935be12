"""The reading end of a bare hop, as a process: notes when each entry of a stream came out of a blocked read.

``python -m pine.bench.hopper URL`` reads the stream until an entry says that it was the last, then prints the times.
"""

import sys
import time
from typing import Final

import orjson

from pine.bus import keys, streams
from pine.bus.connection import client_for

GROUP: Final = "hop"
STREAM: Final = keys.flight("hop")
"""A name that nothing else in the server of the row has."""
LAST: Final = b"last"
BLOCK_MS: Final = 1000


def main(url: str) -> None:
    """Read until told to end; print the monotonic time (ns) at which each entry was there."""
    client = client_for(url)
    streams.ensure_group(client, STREAM, GROUP)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    times: list[int] = []
    while True:
        for identifier, fields in streams.read_group(client, STREAM, GROUP, "reader", block_ms=BLOCK_MS):
            if LAST in fields:
                sys.stdout.buffer.write(orjson.dumps(times) + b"\n")
                sys.stdout.flush()
                times = []
            else:
                times.append(time.monotonic_ns())
            client.xack(STREAM, GROUP, identifier)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(sys.argv[1])
