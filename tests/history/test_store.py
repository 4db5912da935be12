"""What is to survive a power cut is synced: a file before it has its name, its folder after."""

import os
from pathlib import Path

import pytest

from pine.core.errors import ArchiveError
from pine.history import store as store_module
from pine.history.store import LocalStore


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Inode numbers of what was synced, in order."""
    found: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: found.append(os.fstat(descriptor).st_ino))
    return found


def test_a_writer_that_keeps_the_lock_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.05)
    store = LocalStore(tmp_path / "archive")
    with (
        store.writing(),
        pytest.raises(ArchiveError, match="another process writes there"),
        LocalStore(store.root).writing(),
    ):
        pytest.fail("two at once")
    with LocalStore(store.root).writing():
        pass


def test_a_file_is_synced_before_it_is_published_and_its_folder_after(tmp_path: Path, synced: list[int]) -> None:
    store = LocalStore(tmp_path / "archive")
    staged = store.stage("bars/one", b"content")
    folders, file = synced[:-1], synced[-1]
    assert folders == [path.stat().st_ino for path in (tmp_path, tmp_path / "archive")]
    store.publish([staged])
    placed = tmp_path / "archive" / "bars" / "one"
    assert placed.stat().st_ino == file
    assert synced[len(folders) + 1 :] == [path.stat().st_ino for path in (tmp_path / "archive", placed.parent)]
