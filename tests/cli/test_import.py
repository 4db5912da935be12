"""``pine import`` as a person runs it: no key, no server; told what came, what was there, and what is wrong."""

import json
from pathlib import Path

import pytest

from pine.sandbox.market import write_market

from .conftest import Shell


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "market.dbn.zst"
    write_market(path, ["ES", "GC", "CL"], 2, seed=4, trades_per_day=500)
    return path


def test_it_tells_what_came_and_a_second_time_that_it_was_there(pine: Shell, file: Path) -> None:
    first = pine("import", file, "--json")
    assert first.code == 0, first.err
    document = json.loads(first.out)
    assert document["files"] == [str(file)]
    assert set(document["roots"]) == {"ES", "GC"}
    assert document["roots"]["ES"]["1min"]["added"] > 300
    assert document["counts"]["root_not_configured"] > 0
    assert document["roots"]["ES"]["covered"][0][0].startswith("2024-03-03T23:0")
    again = json.loads(pine.quick("import", file, "--json").out)
    assert again["roots"]["ES"]["1min"] == {
        "added": 0,
        "equal": document["roots"]["ES"]["1min"]["added"],
        "replaced": 0,
    }
    assert not (pine.folder / "data" / "bus").exists()


def test_it_tells_people_too(pine: Shell, file: Path) -> None:
    ran = pine.quick("import", file, file)
    assert ran.code == 0, ran.err
    assert f"{file}: left out, the same as {file}" in ran.out
    assert "ES: 1min " in ran.out
    assert "left out: " in ran.out
    assert "root not configured" in ran.out
    assert pine.quick("archive", "verify").code == 0


def test_what_the_headers_do_not_say_can_be_said(pine: Shell, file: Path) -> None:
    ran = pine.quick("import", file, "--from", "2024-03-03T23:00", "--to", "2024-03-05T23:00", "--json")
    roots = json.loads(ran.out)["roots"]
    assert [roots[root]["daily"]["added"] for root in ("ES", "GC")] == [2, 2]
    assert roots["ES"]["covered"] == [["2024-03-03T23:00:00+00:00", "2024-03-05T23:00:00+00:00"]]


def test_a_damaged_file_ends_with_one_line_and_nothing_written(pine: Shell, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])
    ran = pine.quick("import", file)
    assert ran.code == 1
    assert ran.err == f"Stopped: {file}: ends inside a zstd frame, expected a complete file\n"
    assert not (pine.folder / "data").exists()


def test_what_is_no_dbn_file_is_named(pine: Shell, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("buy low, sell high")
    ran = pine.quick("import", other)
    assert ran.code == 1
    assert str(other) in ran.err
    assert "expected a DBN header" in ran.err
    assert pine.quick("import", tmp_path / "nowhere.dbn").code == 1
