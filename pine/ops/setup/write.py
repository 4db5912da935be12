"""Both files, whole or not at all; what was there is kept beside them."""

import os
import tempfile
from pathlib import Path
from typing import Final

from attrs import evolve, frozen
from dotenv import dotenv_values

from pine.core.config import load_config
from pine.core.errors import PineError
from pine.ops.setup.answers import Answers
from pine.ops.setup.render import render_env, render_yaml
from pine.strategies.catalog import PARAMS

YAML: Final = "pine.yaml"
ENV: Final = ".env"
IGNORED: Final = (".env", ".env.before*")
OWNER_ONLY: Final = 0o600
READABLE: Final = 0o644


@frozen
class Written:
    """What was written.

    Attributes
    ----------
    files
        The new files.
    kept
        Copies of what was there before.
    ignored
        The file in which git is told to leave the secrets alone, if it was not before.
    """

    files: tuple[Path, ...]
    kept: tuple[Path, ...]
    ignored: Path | None


def existing(folder: Path) -> list[Path]:
    """Return which of the files are there already."""
    return [path for path in (folder / YAML, folder / ENV) if path.exists()]


def write(folder: Path, answers: Answers, *, force: bool = False) -> Written:
    """Write ``pine.yaml`` and ``.env``.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    answers
        What is in them. Secrets that an earlier ``.env`` has, and that are not answered, stay.
    force
        Whether files that are there may be replaced; they are kept under another name.

    Raises
    ------
    ConfigError
        If what would be written is no configuration; nothing is written then.
    PineError
        If there is a file already, or the folder cannot be written.
    """
    there = existing(folder)
    if there and not force:
        raise PineError(f"{there[0]}: is there already; --force replaces it, and keeps a copy")
    answers = evolve(answers, secrets={**_earlier(folder / ENV), **answers.secrets})
    text, secrets = render_yaml(answers), render_env(answers)
    _check(text, secrets)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = tuple(_keep(path) for path in there)
        _replace(folder / ENV, secrets, OWNER_ONLY)
        _replace(folder / YAML, text, READABLE)
        ignored = _ignore(folder)
    except OSError as error:
        raise PineError(f"{folder}: cannot be written: {error.strerror}") from None
    return Written((folder / YAML, folder / ENV), kept, ignored)


def _earlier(path: Path) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(path).items() if value and "${" not in value}
    except (OSError, UnicodeDecodeError):
        return {}


def _check(text: str, secrets: str) -> None:
    """Load what would be written, as every command will."""
    with tempfile.TemporaryDirectory(prefix="pine-init-") as name:
        folder = Path(name)
        _replace(folder / ENV, secrets, OWNER_ONLY)
        _replace(folder / YAML, text, OWNER_ONLY)
        load_config(folder / YAML, PARAMS, {})


def _keep(path: Path) -> Path:
    """Rename a file to the first name that is free."""
    names = (path.with_name(f"{path.name}.before{n or ''}") for n in range(1_000_000))
    free = next(name for name in names if not name.exists())
    os.link(path, free)
    if path.name == ENV:
        free.chmod(OWNER_ONLY)
    return free


def _replace(path: Path, text: str, mode: int) -> None:
    """Write a file beside and put it in place, so that it is whole, and nobody reads secrets meanwhile."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # the descriptor carries the mode
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _ignore(folder: Path) -> Path | None:
    """Tell git to leave the secrets alone; return where, or nothing if there is no git or it knows."""
    absolute = folder.absolute()
    if not any((above / ".git").exists() for above in (absolute, *absolute.parents)):
        return None
    path = folder / ".gitignore"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [name for name in IGNORED if name not in before.splitlines()]
    if not missing:
        return None
    gap = "" if before.endswith("\n") or not before else "\n"
    path.write_text(before + gap + "".join(f"{name}\n" for name in missing), encoding="utf-8")
    return path
