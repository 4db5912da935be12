"""The archive's files and manifests: each session is the old one or the new one, whenever writing is cut short."""

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import define, evolve, field, frozen

from pine.bus import keys
from pine.bus.pauses import pause
from pine.core.errors import ArchiveError
from pine.history import frames
from pine.history.manifest import SCHEMA_VERSION, Content, Manifest, Part, Slot, Table
from pine.history.store import Staged, Store

if TYPE_CHECKING:
    import polars as pl


T = TypeVar("T")

WRITERS: Final = 4
"""Threads that encode and write files: they wait for the disk, or compute outside of Python."""


@frozen
class Edit:
    """A session as it shall be.

    Attributes
    ----------
    slot
        Which session.
    before
        What its file is.
    told
        What is covered and sealed; everything else follows from the rows.
    frame
        Its rows.
    """

    slot: Slot
    before: Content
    told: Content
    frame: "pl.DataFrame"


@frozen
class Made:
    """A session that is ready for its place; no file where the present one stays as it is."""

    part: Part
    staged: Staged | None


@define
class Shelf:
    """Every session's file, as the manifests list them.

    Parameters
    ----------
    store
        Where the files are.
    """

    store: Store
    _manifests: dict[Table, tuple[bytes | None, Manifest]] = field(factory=dict)

    def manifest(self, table: Table) -> Manifest:
        """Return what is listed of a table, as it is now.

        Raises
        ------
        ArchiveError
            If it cannot be read.
        """
        payload = self.store.read(table.manifest)
        known = self._manifests.get(table)
        if known is None or known[0] != payload:
            known = (payload, Manifest.read(table, payload))
            self._manifests[table] = known
        return known[1]

    def tables(self) -> list[Table]:
        """Return every table of which something is listed."""
        return [Table.of_manifest(path) for path in self.store.find("manifest")]

    def present(self, part: Part) -> Content:
        """Return what a session's file is; of two contents, after a replacement was cut short, the real one."""
        if part.following is None:
            return part.content
        payload = self.store.read(part.slot.file)
        is_new = (None if payload is None else sha256(payload)) == part.following.sha256
        return part.following if is_new else part.content

    def known(self, manifest: Manifest, slot: Slot) -> Content:
        """Return what a session's file is; nothing is in one that is not listed."""
        part = manifest.part(slot)
        return Content() if part is None else self.present(part)

    def read(self, table: Table, slot: Slot) -> "pl.DataFrame":
        """Return the rows of a session's file; raises `ArchiveError` if it cannot be read, or is not there."""
        import polars as pl

        payload = self.store.read(slot.file)
        if payload is None:
            raise ArchiveError(f"archive {self.store.shown}, {slot.file}: is listed and not there")
        with self.explained(slot.file):
            return pl.read_parquet(io.BytesIO(payload), columns=frames.columns(table))

    @contextlib.contextmanager
    def explained(self, path: str) -> Iterator[None]:
        """Raise `ArchiveError` for whatever polars or the system say of a file that is read."""
        from polars.exceptions import PolarsError

        try:
            yield
        except (PolarsError, OSError) as error:
            raise ArchiveError(
                f"archive {self.store.shown}, {path}: cannot be read: {error}; pine archive verify names the file"
            ) from None

    def content(self, table: Table, edit: Edit) -> Content:
        """Return what a session's file will be, but for its hash."""
        told = edit.told
        return evolve(
            frames.content(table, edit.frame), sealed=told.sealed, sealed_to=told.sealed_to, covered=told.covered
        )

    def _make(self, table: Table, edit: Edit) -> Made:
        """Make a session ready; its file is only written again if its rows change."""
        content = self.content(table, edit)
        if edit.before.rows and self._same_rows(edit.slot, edit.frame):
            return Made(Part(edit.slot, evolve(content, sha256=edit.before.sha256)), None)
        if not edit.frame.height:
            return Made(Part(edit.slot, content), None)
        payload = _parquet(edit.frame)
        return Made(Part(edit.slot, evolve(content, sha256=sha256(payload))), self.store.stage(edit.slot.file, payload))

    def _same_rows(self, slot: Slot, frame: "pl.DataFrame") -> bool:
        import polars as pl

        payload = self.store.read(slot.file)
        with self.explained(slot.file):
            return payload is not None and pl.read_parquet(io.BytesIO(payload)).equals(frame)

    @contextlib.contextmanager
    def batch(self) -> Iterator["Batch"]:
        """Provide a batch; nothing of it is written unless it is told to."""
        with ThreadPoolExecutor(WRITERS, "archive") as pool:
            yield Batch(self, pool)

    def write(self, manifest: Manifest, edits: Sequence[Edit]) -> bool:
        """Bring sessions of one table to what they shall be, and return whether anything had to be written."""
        with self.batch() as batch:
            batch.add(manifest, edits)
            return batch.commit() == [True]


@define
class Batch:
    """Sessions of several tables that are brought to what they shall be together; each table once.

    Files are made ready while others are added. All files come first then, and the manifests, in the order of the
    tables, last: each session is the old one or the new one, whenever this is cut short. Of a file that is replaced its
    manifest says beforehand what it is to become.
    """

    _shelf: Shelf
    _pool: Executor
    _added: dict[Table, tuple[Manifest, list[Future[Made]]]] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._added)

    def add(self, manifest: Manifest, edits: Iterable[Edit]) -> None:
        """Begin to make sessions of a table ready."""
        table = manifest.table
        if table in self._added:
            raise ValueError(f"archive {table.path}: is in this batch already")
        self._added[table] = (manifest, [self._pool.submit(self._shelf._make, table, edit) for edit in edits])

    def commit(self, tell: Callable[[], None] = lambda: None) -> list[bool]:
        """Write everything; return of each table, in order, whether anything had to be written.

        Parameters
        ----------
        tell
            Called after each file.

        Raises
        ------
        ArchiveError
            If something cannot be written.
        """
        added, self._added = self._added, {}
        made = [(manifest, [_waited(each, tell) for each in ready]) for manifest, ready in added.values()]
        changes = [(manifest, new, manifest.with_parts(one.part for one in new)) for manifest, new in made]
        changed = [(manifest, new, wanted) for manifest, new, wanted in changes if wanted != manifest]
        if changed:
            self._write(changed, tell)
        # One that was cut off may have left a manifest whose name is not durable yet.
        self._shelf.store.settle([m.table.manifest for m, _, wanted in changes if wanted == m and m.parts], tell)
        return [wanted != manifest for manifest, _, wanted in changes]

    def _write(self, changed: Sequence[tuple[Manifest, Sequence[Made], Manifest]], tell: Callable[[], None]) -> None:
        announced = [(manifest, self._announced(manifest, new)) for manifest, new, _ in changed]
        self._list([replacing for manifest, replacing in announced if replacing != manifest], tell)
        pause(keys.ARCHIVE, "written")
        store = self._shelf.store
        store.publish([one.staged for _, new, _ in changed for one in new if one.staged is not None], tell)
        pause(keys.ARCHIVE, "renamed")
        self._list([wanted for _, _, wanted in changed], tell)
        for manifest, new, _ in changed:
            for part in (one.part for one in new):
                known = manifest.part(part.slot)
                if known is not None and known.content.rows and not part.content.rows:
                    store.remove(part.slot.file)
        pause(keys.ARCHIVE, "listed")

    def _announced(self, manifest: Manifest, new: Sequence[Made]) -> Manifest:
        """Return a manifest that says of each file that is there what it is to become."""
        replaced = []
        for one in new:
            known = manifest.part(one.part.slot)
            if known is not None and one.staged is not None and self._shelf.present(known).rows:
                replaced.append(Part(known.slot, self._shelf.present(known), one.part.content))
        return manifest.with_parts(replaced)

    def _list(self, manifests: Sequence[Manifest], tell: Callable[[], None]) -> None:
        store = self._shelf.store
        staged = [self._pool.submit(store.stage, each.table.manifest, each.encode()) for each in manifests]
        store.publish([_waited(each, tell) for each in staged], tell)


def _waited(ready: "Future[T]", tell: Callable[[], None]) -> T:
    """Wait for something that a thread makes, with a sign of life after it."""
    found = ready.result()
    tell()
    return found


def _parquet(frame: "pl.DataFrame") -> bytes:
    sink = io.BytesIO()
    frame.write_parquet(sink, metadata={"pine.schema": str(SCHEMA_VERSION)})
    return sink.getvalue()


def sha256(payload: bytes) -> str:
    """Return the hash by which a manifest knows a file, in hexadecimal."""
    return hashlib.sha256(payload).hexdigest()
