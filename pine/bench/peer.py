"""The replay rows' bars through nautilus-trader's compiled engine, where somebody has installed it.

It runs in a Python of its own, which need not have pine: bars go there as a file of numbers, a time comes back.
"""

import subprocess
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from pine.bench.market import configure
from pine.bench.measure import timed
from pine.bench.row import Bench, BenchError, Spread
from pine.bench.rows.replay import CONFIG, month, pines
from pine.core.timeframe import NS_PER_MINUTE, Timeframe

SCRIPT: Final = Path(__file__).with_name("nautilus_script.py")
REPEAT: Final = 5
MICRO: Final = 1e6


@frozen
class Peer:
    """What another engine took for the same minutes, in microseconds each, in turns with pine.

    Its rule is a simpler one of the same shape: internal bar strength on hours that the engine makes of the minutes, no
    pivots, stops or windows; so decisions are not compared.

    Attributes
    ----------
    orders
        How many orders the other engine's rule made.
    """

    name: str
    version: str
    minutes: int
    theirs: Spread
    ours: Spread
    orders: int

    def in_words(self) -> str:
        """Return it as a line."""
        return (
            f"{self.name} {self.version}: {self.theirs.median:.1f} µs a minute, pine {self.ours.median:.1f} µs "
            f"({self.theirs.median / self.ours.median:.2f} ×) on {self.minutes:,} minutes of ES, hours made of "
            f"them, IBS; {self.orders} orders there, by a simpler rule"
        )


def check(python: str) -> None:
    """Raise `BenchError` unless a Python program has nautilus-trader."""
    try:
        done = subprocess.run([python, "-c", "import nautilus_trader"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise BenchError(f"{python}: cannot be run: {error.strerror}") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise BenchError(f"{python}: nautilus-trader is not installed there: {last[0]}")


def measure(bench: Bench, python: str, repeat: int | None) -> Peer:
    """Run both engines in turns.

    Raises
    ------
    BenchError
        If the Python program fails.
    """
    config, bars = configure(bench.folder, CONFIG), month(bench)
    rows = [
        (bar.start + NS_PER_MINUTE, bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in bars
        if bar.timeframe is Timeframe.MINUTE
    ]
    path = bench.folder / "minutes.json"
    path.write_bytes(orjson.dumps(rows))
    theirs, ours = [], []
    version, orders = "", 0
    for n in range(repeat or (1 if bench.quick else REPEAT)):
        bench.tell(f"nautilus: {n + 1}")
        done = subprocess.run([python, str(SCRIPT), str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{python}: cannot run nautilus-trader: {done.stderr.strip()[-300:]}")
        told = orjson.loads(done.stdout.splitlines()[-1])
        version, orders = told["version"], told["orders"]
        theirs.append(told["seconds"] / len(rows) * MICRO)
        _, spent = timed(lambda: pines(config, "hourly", bars))
        ours.append(spent.cpu / len(rows) * MICRO)
    return Peer("nautilus-trader", version, len(rows), Spread(theirs), Spread(ours), orders)
