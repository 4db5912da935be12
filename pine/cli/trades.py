"""What commands share that run over recorded trades instead of bars: the files, and what closes in them."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pine.core.config import Config
    from pine.replay.tape import Spool

HISTORY: Final = "history"
TAPE: Final = "tape"


def trade_files(config: "Config", sources: Sequence[str], begin: int | None, end: int | None) -> list[Path]:
    """Return the files of trades that are named; none for history."""
    from pine.core.errors import PineError
    from pine.replay.tape import tape_files

    if tuple(sources) == (HISTORY,):
        return []
    if HISTORY in sources or (TAPE in sources and len(sources) > 1):
        raise PineError(f"--source: found {' and '.join(sources)}, expected history, tape, or DBN files")
    if tuple(sources) == (TAPE,):
        return tape_files(config.data_dir / "tape", begin, end)
    return [Path(name) for name in sources]


@contextlib.contextmanager
def _passing_folder() -> Iterator[Path]:
    """Provide a folder that goes again, also when the command is ended in the instant in which it is made."""
    folder = Path(tempfile.gettempdir()) / f"pine-replay-{secrets.token_hex(8)}"
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def spooled(config: "Config", chosen: Sequence[str], paths: Sequence[Path]) -> "Iterator[Spool | None]":
    """Provide what closes in files of trades, aggregated once for all strategies; nothing without files."""
    if not paths:
        yield None
        return
    from pine.cli.replay_view import reading
    from pine.replay.jobs import leads_of
    from pine.replay.tape import spool

    symbols = list(dict.fromkeys(symbol for name in chosen for symbol in config.reads(name)))
    total = sum(path.stat().st_size for path in paths if path.exists())
    with _passing_folder() as folder:
        with reading(total) as on_bytes:
            made = spool(config, paths, symbols, leads_of(config), folder, on_bytes)
        yield made
