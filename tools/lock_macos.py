"""Put xgboost for macOS into the lock file: pip-compile keeps only what the system it runs on installs.

On Linux that is xgboost-cpu, a twentieth of the size and the same program without NVIDIA's libraries; there is none
for macOS, where xgboost itself has no such libraries. It needs nothing that the lock file does not have already.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK = Path("requirements.lock")
HERE = "xgboost-cpu"
THERE = "xgboost"
OTHERS = ("numpy", "scipy", "nvidia-nccl-cu12")


def pinned(version: str) -> str:
    """Return the lines of a lock file for macOS's distribution: its version with the hashes of its files."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, locked = Path(folder) / "wanted.in", Path(folder) / "wanted.lock"
        wanted.write_text(f"{THERE}=={version}\n")
        hidden = [f"--no-emit-{what}" for what in ("index-url", "trusted-host", "find-links", "options")]
        unpinned = [part for other in OTHERS for part in ("--unsafe-package", other)]
        plain = ["--quiet", "--generate-hashes", "--strip-extras", "--no-header", "--no-annotate"]
        program = [str(Path(sys.executable).with_name("pip-compile")), *plain, *hidden, *unpinned]
        asked = [*program, "--output-file", str(locked), str(wanted)]
        done = subprocess.run(asked, check=False, capture_output=True, text=True)
        if done.returncode:  # only then: it warns of the packages that are pinned elsewhere in the file
            sys.exit(done.stderr)
        text, _, _ = locked.read_text().partition("\n\n#")
    lines = text.strip().replace(f"{THERE}=={version}", f'{THERE}=={version} ; sys_platform == "darwin"', 1)
    return f"{lines}\n    # via pine (pyproject.toml), on macOS\n"


def main() -> None:
    """Add the lines behind those of Linux's distribution."""
    text = LOCK.read_text()
    found = re.search(rf"^{HERE}==(?P<version>[\w.]+).*\n(?: .*\n)+", text, re.MULTILINE)
    if found is None:
        sys.exit(f"{LOCK}: found no {HERE}, expected it: run make lock on Linux")
    LOCK.write_text(text[: found.end()] + pinned(found["version"]) + text[found.end() :])


if __name__ == "__main__":
    main()
