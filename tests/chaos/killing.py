"""The demonstration under chaos, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def chaos(folder: Path, kills: int, seed: int, days: int) -> dict[str, Any]:
    """Run the command as a user would."""
    options = ["--kills", str(kills), "--chaos-seed", str(seed), "--days", str(days), "--keep", str(folder), "--json"]
    command = [sys.executable, "-m", "pine", "demo", "--chaos", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}\n{done.stdout[-3000:]}"
    facts: dict[str, Any] = json.loads(done.stdout)
    assert facts["differences"] == []
    assert facts["chaos"]["kills"] == kills
    return facts


def replayed_as_lived(folder: Path) -> int:
    """Replay what the workers of a run did, from what it left; return how many rows were compared, all the same."""
    command = [sys.executable, "-m", "pine", "replay", "--against", "flight", "--json"]
    done = subprocess.run(command, cwd=folder / "chaos", capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout[-3000:]}"
    runs = json.loads(done.stdout)["runs"]
    assert runs
    assert {run["parity"]["verdict"] for run in runs} == {"same"}
    return sum(table["left"] for run in runs for table in run["parity"]["tables"])
