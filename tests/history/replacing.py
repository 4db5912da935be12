"""A bar in an archive that takes the place of another; run as a program, by a process that can be killed at it."""

import sys
from pathlib import Path

from pine.core.bar import Bar
from pine.core.config import load_config
from pine.core.timeframe import Timeframe
from pine.history.archive import Archive
from pine.strategies.catalog import PARAMS

T = 1709506800 * 10**9


def put(configuration: Path, volume: int) -> None:
    """Put a bar of a volume where there may be one of another."""
    bar = Bar("ES", Timeframe.MINUTE, T, 1.0, 2.0, 0.5, 1.5, volume, 7, "ESH4")
    archive = Archive.of(load_config(configuration, PARAMS, {}))
    archive.add_bars("ES", Timeframe.MINUTE, [bar], T, T + 10**11, "import", replace=True)


if __name__ == "__main__":
    put(Path(sys.argv[1]), int(sys.argv[2]))
