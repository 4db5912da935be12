"""What a process that starts now finds wrong with a configuration: modules that this one imported may be old."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import orjson

from pine.core.config import load_config
from pine.core.errors import ConfigError, PineError

JUDGE_SECONDS: Final = 60.0
"""For everything that a user's own modules import."""


def judge(path: Path) -> None:
    """Load a configuration in a new process.

    Raises
    ------
    PineError
        With every mistake; or if it does not come to an end.
    """
    command = [sys.executable, "-P", "-m", "pine.ops.supervisor.judge", str(path)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=JUDGE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise PineError(
            f"the configuration is not loaded within {JUDGE_SECONDS:g} s; pine check says what hangs"
        ) from None
    try:
        problems: list[str] = orjson.loads(done.stdout.splitlines()[-1])
    except (IndexError, orjson.JSONDecodeError):
        raise PineError(f"the configuration cannot be loaded, exit code {done.returncode}; see pine check") from None
    if problems:
        raise PineError("the configuration has mistakes: " + "; ".join(problems))


def mistakes(path: Path) -> list[str]:
    """Return every mistake of a configuration."""
    from pine.strategies.catalog import PARAMS

    try:
        load_config(path, PARAMS)
    except ConfigError as error:
        return list(error.problems)
    return []


if __name__ == "__main__":
    found = mistakes(Path(sys.argv[1]))
    sys.stdout.write(f"\n{orjson.dumps(found).decode()}\n")
