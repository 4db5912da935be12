"""Files of the archive in a folder or behind any URL that fsspec opens: whole and durable, or not there."""

import contextlib
import fcntl
import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol

from attrs import frozen

from pine.bus.durable import make_folder, put, sync
from pine.core.errors import ArchiveError

TEMPORARY: Final = "tmp"
LOCK: Final = "lock"
LOCK_SECONDS: Final = 120.0
"""How long another writer is waited for: one that was stopped would be waited for for ever."""
LOCK_PAUSE: Final = 0.02

_REMOTE_WRITERS: Final = threading.RLock()


class Staged(Protocol):
    """A file that is ready, and that nobody can see yet."""

    @property
    def path(self) -> str:
        """Its place."""
        ...


class Store(Protocol):
    """Where the files of an archive are; paths are relative, with slashes."""

    @property
    def shown(self) -> str:
        """The location as it may be shown."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file, or nothing if there is none."""
        ...

    def stage(self, path: str, content: bytes) -> Staged:
        """Make a file ready for its place; several threads may do so at once."""
        ...

    def publish(self, staged: Sequence[Staged], tell: Callable[[], None] = lambda: None) -> None:
        """Put files in their places, one after the other, over what is there; all of them are there for good then.

        `tell` is called after each.
        """
        ...

    def settle(self, paths: Sequence[str], tell: Callable[[], None] = lambda: None) -> None:
        """Make files durable that somebody put in their places who may not have come to it."""
        ...

    def remove(self, path: str) -> None:
        """Take a file away."""
        ...

    def find(self, folder: str) -> list[str]:
        """Return the files below a folder, in order of their names."""
        ...

    def sources(self, paths: Sequence[str]) -> list[Any]:
        """Return what polars reads files from."""
        ...

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Keep every other writer out."""
        ...


def open_store(location: str) -> Store:
    """Return the store of a folder or URL.

    Raises
    ------
    ArchiveError
        If the URL's protocol is unknown or needs a package that is not installed.
    """
    if "://" not in location:
        return LocalStore(Path(location))
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(location)
    except (ImportError, ValueError) as error:
        raise ArchiveError(f"archive.location: {_shown(location)} cannot be opened: {error}") from None
    if "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)):
        return LocalStore(Path(root))
    return RemoteStore(system, root.rstrip("/"), _shown(location))


def _shown(location: str) -> str:
    """Return a URL without what may be a password."""
    protocol, _, rest = location.partition("://")
    return f"{protocol}://{rest.rpartition('@')[2]}".partition("?")[0]


class LocalStore:
    """A folder: a file is written and synced under a temporary name on the same disk, then renamed.

    Parameters
    ----------
    root
        The folder; made when something is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def shown(self) -> str:
        """The folder."""
        return str(self.root)

    def read(self, path: str) -> bytes | None:
        """Return a file, or nothing if there is none."""
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArchiveError(f"archive {self.root / path}: cannot be read: {error.strerror}") from None

    def stage(self, path: str, content: bytes) -> Staged:
        """Write a file, synced to disk, beside its place."""
        target = self.root / path
        temporary = self.root / TEMPORARY / f"{os.getpid()}-{threading.get_ident()}-{path.replace('/', '+')}"
        with self._explained(target):
            make_folder(temporary.parent)
            put(temporary, content)
        return _StagedFile(path, temporary)

    def publish(self, staged: Sequence[Staged], tell: Callable[[], None] = lambda: None) -> None:
        """Rename files into their places, then make their folders durable, each once."""
        for file in staged:
            assert isinstance(file, _StagedFile)
            target = self.root / file.path
            with self._explained(target):
                make_folder(target.parent)
                file.temporary.replace(target)
            tell()
        self.settle([file.path for file in staged], tell)

    def settle(self, paths: Sequence[str], tell: Callable[[], None] = lambda: None) -> None:
        """Make the folders of files durable, each once."""
        for folder in dict.fromkeys((self.root / path).parent for path in paths):
            with self._explained(folder):
                sync(folder)
            tell()

    def remove(self, path: str) -> None:
        """Take a file away."""
        with self._explained(self.root / path):
            (self.root / path).unlink(missing_ok=True)

    def find(self, folder: str) -> list[str]:
        """Return the files below a folder, in order of their names."""
        found = (path for path in (self.root / folder).rglob("*") if path.is_file() and path.name[0] != ".")
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def sources(self, paths: Sequence[str]) -> list[Any]:
        """Return the paths, which polars reads in part."""
        return [self.root / path for path in paths]

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock of the folder, and clear away what a killed writer left under temporary names."""
        with self._explained(self.root):
            make_folder(self.root)
            lock = (self.root / LOCK).open("a")
        with lock:
            self._hold(lock)
            for left in (self.root / TEMPORARY).glob("*"):
                if left.is_file():
                    left.unlink()
            yield

    def _hold(self, lock: IO[str]) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ArchiveError(
                        f"archive {self.root}: another process writes there for more than {LOCK_SECONDS:.0f} s; "
                        f"see who has {LOCK} open"
                    ) from None
            time.sleep(LOCK_PAUSE)  # a lock that is given back tells nobody

    @contextlib.contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArchiveError(f"archive {path}: cannot be written: {error.strerror}") from None


@frozen
class _StagedFile:
    path: str
    temporary: Path


class RemoteStore:
    """Anything behind fsspec: a file is put whole, which an object store does at once or not at all.

    Parameters
    ----------
    system
        An fsspec file system.
    root
        Path of the archive in it.
    shown
        The location as it may be shown.
    """

    def __init__(self, system: Any, root: str, shown: str) -> None:
        self.system = system
        self.root = root
        self._shown = shown
        # What others wrote must be seen: no listing is remembered.
        self.system.use_listings_cache = False

    @property
    def shown(self) -> str:
        """The URL without a password."""
        return self._shown

    def read(self, path: str) -> bytes | None:
        """Return a file, or nothing if there is none."""
        with self._explained(path):
            try:
                return bytes(self.system.cat_file(f"{self.root}/{path}"))
            except FileNotFoundError:
                return None

    def stage(self, path: str, content: bytes) -> Staged:
        """Keep a file in memory until it is put."""
        return _StagedObject(path, content)

    def publish(self, staged: Sequence[Staged], tell: Callable[[], None] = lambda: None) -> None:
        """Put files, one after the other."""
        for file in staged:
            assert isinstance(file, _StagedObject)
            with self._explained(file.path):
                full = f"{self.root}/{file.path}"
                self.system.makedirs(full.rpartition("/")[0], exist_ok=True)
                self.system.pipe_file(full, file.content)
            tell()

    def settle(self, paths: Sequence[str], tell: Callable[[], None] = lambda: None) -> None:
        """Do nothing: what was put is there."""

    def remove(self, path: str) -> None:
        """Take a file away."""
        with self._explained(path):
            self.system.rm_file(f"{self.root}/{path}")

    def find(self, folder: str) -> list[str]:
        """Return the files below a folder, in order of their names."""
        with self._explained(folder):
            self.system.invalidate_cache()
            found = self.system.find(f"{self.root}/{folder}")
        prefix = f"{self.root.strip('/')}/".lstrip("/")
        return sorted(path.lstrip("/").removeprefix(prefix) for path in found)

    def sources(self, paths: Sequence[str]) -> list[Any]:
        """Fetch the files, as many at once as the file system can."""
        if not paths:
            return []
        with self._explained(paths[0]):
            found = self.system.cat_ranges([f"{self.root}/{path}" for path in paths], None, None, on_error="raise")
        return [io.BytesIO(content) for content in found]

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the other writers of this process out; those elsewhere are kept out by the lease ``archive``."""
        with _REMOTE_WRITERS:
            yield

    @contextlib.contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise ArchiveError(f"archive {self._shown}, {path}: {type(error).__name__}: {error}") from None


@frozen
class _StagedObject:
    path: str
    content: bytes
