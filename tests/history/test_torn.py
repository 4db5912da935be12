"""Cut off at any operation on the disk, an archive holds nothing torn, and the next look completes it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from books import archive_at, seal, snapshot, sparse_market
from market import configure, publish

from pine.bus.client import Client
from pine.history import store


class CutError(BaseException):
    """The process is gone."""


@contextmanager
def cut_at(last: float) -> Iterator[list[str]]:
    """Let so many operations on the disk through, and none after them; provide the names of those that came."""
    came: list[str] = []

    def counted(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            came.append(name)
            if len(came) > last:
                raise CutError
            return operation(*arguments)

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "put", counted("put", store.put))
        patch.setattr(store, "sync", counted("sync", store.sync))
        patch.setattr(Path, "replace", counted("replace", Path.replace))
        yield came


def test_an_archive_that_was_cut_off_anywhere_is_whole_and_is_completed(client: Client, tmp_path: Path) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    with cut_at(float("inf")) as came:
        seal(client, config, archive_at(tmp_path / "undisturbed", config))
    whole = snapshot(tmp_path / "undisturbed")
    assert {name: came.count(name) for name in ("put", "replace")} == dict.fromkeys(("put", "replace"), 2 * 31)
    for last in range(0, len(came), 11):
        folder = tmp_path / f"cut-{last}"
        archive = archive_at(folder, config)
        with cut_at(last), pytest.raises(CutError):
            seal(client, config, archive)
        torn = {path: content for path, content in snapshot(folder).items() if path.endswith(".parquet")}
        placed = {path: content for path, content in torn.items() if not path.startswith("tmp/")}
        assert placed.items() <= whole.items()
        found = archive_at(folder, config).verify()
        assert [each for each in found if not each.what.startswith("is not listed in its manifest")] == []
        seal(client, config, archive_at(folder, config))
        assert snapshot(folder) == whole
        assert archive_at(folder, config).verify() == []


def test_files_are_synced_under_another_name_before_any_has_its_place_and_manifests_come_last(
    client: Client, tmp_path: Path
) -> None:
    config = configure(tmp_path)
    publish(client, config, sparse_market())
    placed: list[str] = []
    rename = Path.replace

    def noted(path: Path, target: Path) -> Path:
        placed.append(target.relative_to(tmp_path / "a").parts[0])
        return rename(path, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", noted)
        seal(client, config, archive_at(tmp_path / "a", config))
    first_listed = placed.index("manifest")
    assert placed[:first_listed].count("bars") == 9
    assert placed[first_listed : 2 * first_listed] == ["manifest"] * first_listed
