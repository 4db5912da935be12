"""The archive's files and manifests: each session is the old one or the new one, whenever writing is cut short."""

import contextlib
import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from pine.bus import keys
from pine.bus.pauses import pause
from pine.core.errors import ArchiveError
from pine.history import frames
from pine.history.manifest import SCHEMA_VERSION, Content, Manifest, Part, Slot, Table
from pine.history.store import Store

if TYPE_CHECKING:
    import polars as pl


@frozen
class Edit:
    """A session as it shall be; no bytes where its file stays as it is."""

    part: Part
    payload: bytes | None


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

    def edit(self, table: Table, slot: Slot, before: Content, told: Content, frame: "pl.DataFrame") -> Edit:
        """Return the session as it shall be; its file is only written again if its rows change.

        Parameters
        ----------
        table, slot
            Which session.
        before
            What its file is.
        told
            What is covered and sealed; everything else follows from the rows.
        frame
            Its rows.
        """
        content = evolve(
            frames.content(table, frame), sealed=told.sealed, sealed_to=told.sealed_to, covered=told.covered
        )
        if before.rows and self._same_rows(slot, frame):
            return Edit(Part(slot, evolve(content, sha256=before.sha256)), None)
        payload = _parquet(frame) if frame.height else None
        return Edit(Part(slot, evolve(content, sha256=None if payload is None else sha256(payload))), payload)

    def _same_rows(self, slot: Slot, frame: "pl.DataFrame") -> bool:
        import polars as pl

        payload = self.store.read(slot.file)
        with self.explained(slot.file):
            return payload is not None and pl.read_parquet(io.BytesIO(payload)).equals(frame)

    def write(self, manifest: Manifest, edits: Sequence[Edit]) -> bool:
        """Bring sessions to what they shall be, and return whether anything had to be written.

        Files first, then the manifest. Of a file that is replaced the manifest says beforehand what it is to become.
        """
        wanted = manifest.with_parts(edit.part for edit in edits)
        if wanted == manifest:
            return False
        staged = [self.store.stage(e.part.slot.file, e.payload) for e in edits if e.payload is not None]
        announced = self._announced(manifest, edits)
        if announced != manifest:
            self._list(announced)
        pause(keys.ARCHIVE, "written")
        for ready in staged:
            ready.publish()
        pause(keys.ARCHIVE, "renamed")
        self._list(wanted)
        for edit in edits:
            known = manifest.part(edit.part.slot)
            if known is not None and known.content.rows and not edit.part.content.rows:
                self.store.remove(edit.part.slot.file)
        pause(keys.ARCHIVE, "listed")
        return True

    def _announced(self, manifest: Manifest, edits: Sequence[Edit]) -> Manifest:
        """Return a manifest that says of each file that is there what it is to become."""
        replaced = []
        for edit in edits:
            known = manifest.part(edit.part.slot)
            if known is not None and edit.payload is not None and self.present(known).rows:
                replaced.append(Part(known.slot, self.present(known), edit.part.content))
        return manifest.with_parts(replaced)

    def _list(self, manifest: Manifest) -> None:
        self.store.stage(manifest.table.manifest, manifest.encode()).publish()


def _parquet(frame: "pl.DataFrame") -> bytes:
    sink = io.BytesIO()
    frame.write_parquet(sink, metadata={"pine.schema": str(SCHEMA_VERSION)})
    return sink.getvalue()


def sha256(payload: bytes) -> str:
    """Return the hash by which a manifest knows a file, in hexadecimal."""
    return hashlib.sha256(payload).hexdigest()
