"""Measures for how long what the embedded server has acknowledged is not on disk yet, with each setting of bus.fsync.

Entries are appended one by one at a steady rate. A small library, compiled on the spot and loaded into the server,
notes when the append-only file is written and synced and when a client is answered. An entry is at risk from its
answer until a sync that began after it was written is done. Needs Linux, a C compiler named cc, and a server program
that is linked dynamically; measures real syncs of the disk that holds the folder it works in.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from pine.bus import keys
from pine.bus.connection import client_for
from pine.bus.embedded import EmbeddedServer

SOURCE = Path(__file__).with_suffix(".c")
NS = 1_000_000_000


@define
class Window:
    """What was at risk.

    Attributes
    ----------
    writes
        Writes to the append-only file: one per entry, or one for several that came while it was busy.
    exposed
        Those that were answered before they were on disk.
    longest
        Ns from an answer to the sync that made its entry safe.
    pending, bytes
        Most that was answered and not on disk at one moment.
    """

    writes: int = 0
    syncs: int = 0
    exposed: int = 0
    longest: int = 0
    pending: int = 0
    bytes: int = 0
    _unanswered: deque[tuple[int, int]] = field(factory=deque)
    _at_risk: deque[tuple[int, int, int]] = field(factory=deque)

    def read(self, events: Iterator[tuple[int, str, int]]) -> "Window":
        """Fold events in order of time."""
        covered: dict[int, int] = {}
        for at, kind, value in events:
            if kind == "W":
                self.writes += 1
                self._unanswered.append((self.writes, value))
            elif kind == "S":
                covered[value] = self.writes
            elif kind == "D":
                self.syncs += 1
                self._sync(covered[value], at)
            elif self._unanswered:
                self._answer(at)
        return self

    def _answer(self, at: int) -> None:
        while self._unanswered:
            number, size = self._unanswered.popleft()
            self._at_risk.append((number, size, at))
            self.exposed += 1
        self.pending = max(self.pending, len(self._at_risk))
        self.bytes = max(self.bytes, sum(size for _, size, _ in self._at_risk))

    def _sync(self, covered: int, at: int) -> None:
        while self._unanswered and self._unanswered[0][0] <= covered:
            self._unanswered.popleft()
        while self._at_risk and self._at_risk[0][0] <= covered:
            self.longest = max(self.longest, at - self._at_risk.popleft()[2])


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set variables for the processes that are started meanwhile."""
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def measure(folder: Path, library: Path, fsync: str, seconds: float, rate: int, slow_ms: int) -> Window:
    """Append to a fresh server and return what was at risk."""
    server = EmbeddedServer(folder / fsync, fsync)
    log = folder / f"{fsync}.log"
    slow = {"PINE_FSYNC_SLOW_MS": str(slow_ms)} if slow_ms else {}
    with environment(LD_PRELOAD=str(library), PINE_FSYNC_LOG=str(log), **slow):
        server.ensure()
    client = client_for(server.url)
    try:
        began = time.monotonic()
        for n in range(1, int(seconds * rate) + 1):
            client.xadd(keys.CLOCK, {"prev": f"{n - 1}-0", "fence": "1"}, id=f"{n}-0")
            time.sleep(max(0.0, began + n / rate - time.monotonic()))  # the rate is what is measured under
    finally:
        client.close()
        server.stop()
    lines = log.read_text().splitlines() if log.exists() else []
    window = Window().read((int(at), kind, int(value)) for at, kind, value in map(str.split, lines))
    if not window.writes or not window.syncs:
        sys.exit(
            "no write or no sync was seen: the server program is linked statically, or not the one that was started"
        )
    return window


def main() -> int:
    """Measure both settings and print a line for each; 1 if one was answered too early under `always`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="how long to append under each setting (20)")
    parser.add_argument("--rate", type=int, default=500, help="entries a second (500)")
    parser.add_argument("--slow-ms", type=int, default=0, help="make each sync take this much longer, as a slow disk")
    parser.add_argument("--folder", type=Path, help="work on the disk that holds this folder (the temporary one)")
    wanted = parser.parse_args()
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        sys.exit("needs Linux and a C compiler named cc: apt-get install gcc")
    with tempfile.TemporaryDirectory(prefix="fsync", dir=wanted.folder) as name:
        folder = Path(name)
        library = folder / "watch.so"
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        found = {
            fsync: measure(folder, library, fsync, wanted.seconds, wanted.rate, wanted.slow_ms)
            for fsync in ("always", "everysec")
        }
    for fsync, window in found.items():
        print(
            f"{fsync:8}  {window.writes} writes, {window.syncs} syncs; answered before on disk: {window.exposed}, "
            f"longest {window.longest / NS:.3f} s, at most {window.pending} writes or {window.bytes} bytes at once"
        )
    return 1 if found["always"].exposed else 0


if __name__ == "__main__":
    sys.exit(main())
