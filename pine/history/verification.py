"""Whether the archive's files are what its manifests say: hashes, counts and ids computed again."""

import contextlib
import io
from collections.abc import Callable, Iterator

from attrs import frozen

from pine.core.errors import ArchiveError
from pine.history import frames
from pine.history.manifest import BARS, Part, Table
from pine.history.shelf import Shelf, sha256
from pine.history.tables import CODECS


@frozen
class Difference:
    """What `verify` found wrong with one file or manifest."""

    path: str
    what: str


def verify(shelf: Shelf, on_file: Callable[[str], None] = lambda _: None) -> list[Difference]:
    """Read every file, recompute hashes and counts, and return what differs from the manifests.

    Parameters
    ----------
    shelf
        The files and their manifests.
    on_file
        Told each path before it is read.
    """
    found = _differences(shelf, on_file)
    if not found:
        return []
    # Somebody may be writing at this moment: what is still wrong while nobody does is wrong.
    with contextlib.suppress(ArchiveError), shelf.store.writing():
        found = _differences(shelf, lambda _: None)
    return found


def _differences(shelf: Shelf, on_file: Callable[[str], None]) -> list[Difference]:
    found: list[Difference] = []
    listed: set[str] = set()
    for path in shelf.store.find("manifest"):
        try:
            manifest = shelf.manifest(Table.of_manifest(path))
        except ArchiveError as error:
            found.append(Difference(path, str(error)))
            continue
        for part in manifest.parts:
            if part.content.rows or (part.following is not None and part.following.rows):
                listed.add(part.slot.file)
                on_file(part.slot.file)
                found += [Difference(part.slot.file, what) for what in _wrong(shelf, manifest.table, part)]
    for kind in (*BARS, *CODECS):
        found += [
            Difference(path, "is not listed in its manifest; pine archive --once seals it again")
            for path in shelf.store.find(kind)
            if path not in listed
        ]
    return found


def _wrong(shelf: Shelf, table: Table, part: Part) -> Iterator[str]:
    """Yield what is wrong with one file."""
    import polars as pl

    payload = shelf.store.read(part.slot.file)
    if payload is None:
        yield "is listed and not there"
        return
    content = shelf.present(part)
    found = sha256(payload)
    if found != content.sha256:
        yield f"sha256: found {found}, expected {content.sha256}"
    try:
        frame = pl.read_parquet(io.BytesIO(payload), columns=frames.columns(table))
    except Exception as error:  # noqa: BLE001  # whatever a damaged file makes of polars
        yield f"cannot be read: {type(error).__name__}: {error}"
        return
    seen = frames.content(table, frame)
    for name in ("rows", "first_id", "last_id", "sources"):
        if getattr(seen, name) != getattr(content, name):
            yield f"{name}: found {getattr(seen, name)}, expected {getattr(content, name)}"
