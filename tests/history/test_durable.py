"""What is to survive a power cut is synced: a file before it has its name, its folder after."""

import os
from pathlib import Path

import pytest

from pine.history.store import LocalStore


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Inode numbers of what was synced, in order."""
    found: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: found.append(os.fstat(descriptor).st_ino))
    return found


def test_a_file_is_synced_before_it_is_published_and_its_folder_after(tmp_path: Path, synced: list[int]) -> None:
    store = LocalStore(tmp_path / "archive")
    staged = store.stage("bars/one", b"content")
    folders, file = synced[:-1], synced[-1]
    assert folders == [path.stat().st_ino for path in (tmp_path, tmp_path / "archive")]
    store.publish([staged])
    placed = tmp_path / "archive" / "bars" / "one"
    assert placed.stat().st_ino == file
    assert synced[len(folders) + 1 :] == [path.stat().st_ino for path in (tmp_path / "archive", placed.parent)]
