"""Train the demonstration's models on a generated market of another seed than its own, into models/.

Usage: python tools/demo_models.py [SESSIONS]
"""

import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path
from typing import Final

from pine.sandbox.demo.perform import NEAR_GENERATED
from pine.sandbox.demo.plan import GENERATED, MODELS, write_config
from pine.sandbox.market import write_market

SESSIONS: Final = 120
SEED: Final = 1_000_003
"""Of the market; a demonstration of this seed would meet what its models were trained on."""

FEATURES: Final = (
    "ibs",
    "rsi(2)",
    "rsi(5)",
    "percent_change(1)",
    "percent_change(4)",
    "standardized(close, 8)",
    "momentum_z(2, 6)",
    "standardized(volume, 8)",
    "ratio(difference(high, low), sma(8, difference(high, low)))",
    "ratio(deviation(3), deviation(9))",
)
"""Windows of at most nine hours: the demonstration's market is ten sessions long, and nothing comes before it."""


def pine(folder: Path, *arguments: str) -> None:
    """Run a pine command over the market, or end with its exit code."""
    done = subprocess.run([sys.executable, "-m", "pine", "-c", str(folder / "pine.yaml"), *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Make the market, then the models of each strategy."""
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS
    with tempfile.TemporaryDirectory(prefix="pine-models-") as name:
        folder = Path(name)
        tape = folder / "market.dbn.zst"
        print(f"generating {sessions} sessions (seed {SEED})", flush=True)
        write_market(tape, list(dict.fromkeys(chain.from_iterable(GENERATED.values()))), sessions, SEED)
        write_config(folder, GENERATED, 13000, "http://127.0.0.1:9/never", near=NEAR_GENERATED, fsync="everysec")
        pine(folder, "import", str(tape))
        for strategy in GENERATED:
            asked = [part for feature in FEATURES for part in ("--features", feature)]
            pine(folder, "train", strategy, "--replace", "--out", str(MODELS), *asked)


if __name__ == "__main__":
    main()
